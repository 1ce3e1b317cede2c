"""Heatmap figures: where each explainer sees the importance, for single samples and class means.

Every signal and every attribution is ``(channel, *grid)`` on the grid that a :class:`Geometry` describes; one
that is an image read in scan lines is drawn as that image, of a volume one slice. Masks of evidence are
``(channel, *grid)``, ``(1, *grid)`` or ``grid``.
``low_is_important`` names the explainers whose low values mark what matters (the paper's
occlusion sum). All functions raise ValueError where a shape is not the geometry's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import ModuleType

from matplotlib.figure import Figure

from . import images, signals, volumes
from .geometry import Floats, Geometry, Mask


def sample_heatmap(
    signal: Floats,
    attribution: Floats,
    *,
    geometry: Geometry,
    title: str,
    evidence: Mask | None = None,
    high_is_important: bool = True,
) -> Figure:
    """One sample under one explainer: a row per channel, the image, or of a volume a slice of every channel.

    The map is scaled by itself: to 0-1, or around zero where it has negative values. With
    ``high_is_important`` false the scale says that 1 is the least important.
    """
    values = geometry.map_of(signal, attribution, "the explainer")
    draw = _module(geometry)
    return draw.sample_heatmap(
        geometry, geometry.signal(signal), values, title=title, evidence=evidence, low=not high_is_important
    )


def all_explainers(
    signal: Floats,
    attributions: Mapping[str, Floats],
    *,
    geometry: Geometry,
    title: str,
    evidence: Mask | None = None,
    low_is_important: Collection[str] = (),
) -> Figure:
    """One sample under several explainers, each map scaled by itself as in :func:`sample_heatmap`."""
    maps = {name: geometry.map_of(signal, values, name) for name, values in attributions.items()}
    draw = _module(geometry)
    return draw.all_explainers(
        geometry, geometry.signal(signal), maps, title=title, evidence=evidence, low=low_is_important
    )


def class_by_explainer(
    samples: Mapping[str, Floats],
    attributions: Mapping[str, Mapping[str, Floats]],
    *,
    geometry: Geometry,
    title: str,
    evidence: Mapping[str, Mask] | None = None,
    low_is_important: Collection[str] = (),
) -> Figure:
    """Figures 3, 4 and 5 of van der Westhuizen & Lasenby (2017): a sample per class by explainer.

    ``samples`` holds one signal per class, ``attributions`` per class the maps by explainer. Every map
    is scaled by itself: as in the paper from its minimum to its maximum, but around zero where the explainer
    has negative values, because between two extremes "no effect" would be no colour of its own. A class
    without a map of some explainer keeps that cell empty; explainers that find no room go on in a further band.
    """
    draw = _module(geometry)
    return draw.class_by_explainer(
        geometry,
        *_checked(geometry, samples, attributions),
        title=title,
        evidence=evidence or {},
        low=low_is_important,
    )


def class_mean_heatmaps(
    mean_signals: Mapping[str, Floats],
    mean_attributions: Mapping[str, Mapping[str, Floats]],
    *,
    geometry: Geometry,
    title: str,
    counts: Mapping[str, int] | None = None,
    evidence: Mapping[str, Mask] | None = None,
    low_is_important: Collection[str] = (),
) -> Figure:
    """Mean attribution of every class and explainer, beside or under the mean signal of the class.

    Both are means over the samples of a class; ``counts`` are those samples' numbers. Maps are scaled one by
    one, those of an explainer around zero as soon as one class has negative values. ValueError for volumes: lesions
    lie in other places, so that their mean shows nothing.
    """
    if geometry.volume:
        raise ValueError("the samples are volumes; expected signals or images, whose class means can be drawn.")
    draw = _module(geometry)
    return draw.class_mean_heatmaps(
        geometry,
        *_checked(geometry, mean_signals, mean_attributions),
        title=title,
        counts=counts or {},
        evidence=evidence or {},
        low=low_is_important,
    )


def _module(geometry: Geometry) -> ModuleType:
    """Who draws samples of this shape."""
    if geometry.volume:
        return volumes
    return images if geometry.image else signals


def _checked(
    geometry: Geometry, samples: Mapping[str, Floats], attributions: Mapping[str, Mapping[str, Floats]]
) -> tuple[dict[str, Floats], dict[str, dict[str, Floats]]]:
    maps = {
        label: {name: geometry.map_of(samples[label], values, name) for name, values in by_name.items()}
        for label, by_name in attributions.items()
    }
    return {label: geometry.signal(signal) for label, signal in samples.items()}, maps
