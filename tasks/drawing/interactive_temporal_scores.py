"""Figure 7 to zoom into: probability of the true class and decision after each step, with their values on hover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from plotly import graph_objects
from plotly.subplots import make_subplots

from .geometry import Floats, Geometry
from .interactive import looks, safe, stops_of
from .style import HEAT
from .temporal_scores import TimedSample, class_colours

_ROW = 34
"""Pixels per sample in each of the two panels."""


def interactive_temporal_scores(
    geometry: Geometry, samples: Sequence[TimedSample], classes: Sequence[str], *, title: str
) -> graph_objects.Figure:
    """Two panels over one time axis, a row per sample in each: probability above, decision below.

    Hovering tells the time (of a scan line: the pixel), the true class, the class decided on and the probability
    of the true class. ValueError where there are no samples.
    """
    if not samples:
        raise ValueError("samples is empty; expected at least one sample.")
    probability = np.stack([sample.probability for sample in samples])
    decisions = np.stack([sample.decisions for sample in samples])
    rows = [f"{number + 1}. {safe(classes[sample.label])}" for number, sample in enumerate(samples)]
    names = np.array([safe(name) for name in classes], dtype=object)
    times, unit, label = _axis(geometry, probability.shape[1])
    shared = {
        "x": times,
        "y": rows,
        "hovertemplate": f"%{{y}}<br>{unit}<br>decided on: %{{customdata[0]}}"
        "<br>probability of the true class: %{customdata[1]:.3f}<extra></extra>",
        "customdata": np.dstack([names[decisions], probability.round(4).astype(object)]),
    }
    panels = ("probability of the true class", "class decided on")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=panels)
    bars = {"lenmode": "fraction", "len": 0.46, "thickness": 12, "outlinewidth": 0}
    figure.add_trace(
        graph_objects.Heatmap(
            z=probability.round(4), zmin=0, zmax=1, colorscale=stops_of(HEAT), colorbar={**bars, "y": 0.78}, **shared
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        graph_objects.Heatmap(
            z=decisions,
            zmin=-0.5,
            zmax=len(classes) - 0.5,
            colorscale=_class_scale(len(classes)),
            colorbar={**bars, "y": 0.22, "tickvals": list(range(len(classes))), "ticktext": list(names)},
            **shared,
        ),
        row=2,
        col=1,
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title_text=label, row=2, col=1)
    return looks(figure, title, height=190 + 2 * _ROW * len(samples))


def _axis(geometry: Geometry, steps: int) -> tuple[Floats, str, str]:
    """Places of the steps, how hovering tells one, and the axis's label."""
    if geometry.image:
        return np.arange(float(steps)), "pixel %{x}", "pixel, in reading order"
    return geometry.times(steps), f"%{{x:.4~g}} {geometry.time_unit}", geometry.time_label


def _class_scale(classes: int) -> list[tuple[float, str]]:
    """Flat steps: a class keeps one colour over its whole range."""
    edges = np.linspace(0, 1, classes + 1)
    colours = class_colours(classes)
    return [(float(edge), colours[number]) for number in range(classes) for edge in edges[number : number + 2]]
