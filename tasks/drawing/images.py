"""Heatmap figures of images read in scan lines: each map is an image again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from .geometry import Floats, Geometry, Mask
from .heat import LOW, LOW_IS_IMPORTANT, LOW_NOTE, colours_by_explainer, colours_of, footer, scales_for
from .image_cell import draw_heat, draw_sample
from .layout import WIDTH, AxesGrid, Margins, banded_grid, grid, in_bands
from .style import INK, SMALL, TEXT, heading, wrapped

MAPS_PER_ROW = 12
CELLS_PER_ROW = 7

Maps = Mapping[str, Floats]


def sample_heatmap(
    geometry: Geometry, signal: Floats, values: Floats, *, title: str, evidence: Mask | None, low: bool
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.sample_heatmap`; ``low``: the map's low values mark what matters."""
    colours = colours_of(values, low_is_important=low)
    side = 3.6
    room = (WIDTH - 2 * side - 0.4) / 2
    figure, axes = grid(1, 2, side * _aspect(geometry), Margins(room, room, 0.85, 1.05, between_columns=0.4))
    sample, heated = axes[0]
    draw_sample(sample, geometry, signal)
    draw_heat(heated, geometry, signal, values, evidence, colours)
    for cell, words in ((sample, "sample"), (heated, "heat")):
        cell.set_title(words, size=TEXT, color=INK, loc="left", pad=4)
    heading(figure, title, _outlined(evidence is not None))
    scales = scales_for([colours], low_is_important=low)
    footer(figure, scales, left=room, evidence=evidence is not None, outline=INK)
    return figure


def all_explainers(
    geometry: Geometry, signal: Floats, maps: Maps, *, title: str, evidence: Mask | None, low: Collection[str]
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.all_explainers`: the sample, then a panel per explainer."""
    colours = {name: colours_of(values, low_is_important=name in low) for name, values in maps.items()}
    bands = in_bands(["", *maps], CELLS_PER_ROW)
    columns = max(len(bands[0]), 4)
    margins = Margins(0.12, 0.12, 0.95, 1.05, between_columns=0.1)
    height = (WIDTH - 0.24 - (columns - 1) * 0.1) / columns * _aspect(geometry)
    figure, axes = banded_grid(len(bands), [height], columns, 0.5, margins)
    for names, band in zip(bands, axes[:, 0], strict=True):
        for name, cell in zip(names, band, strict=False):
            if name:
                draw_heat(cell, geometry, signal, maps[name], evidence, colours[name])
            else:
                draw_sample(cell, geometry, signal)
            note = f"\n{LOW_IS_IMPORTANT}" if name in low else ""
            cell.set_title(wrapped(name or "sample", 22) + note, size=TEXT, color=INK, loc="left", pad=4)
        _hide(band[len(names) :])
    heading(figure, title, _outlined(evidence is not None))
    footer(figure, scales_for(colours.values()), left=0.12, evidence=evidence is not None, outline=INK)
    return figure


def class_by_explainer(
    geometry: Geometry,
    signals: Maps,
    attributions: Mapping[str, Maps],
    *,
    title: str,
    evidence: Mapping[str, Mask],
    low: Collection[str],
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.class_by_explainer`: Figure 4, a row per sample."""
    colours = colours_by_explainer(attributions.values(), low)
    rows = {label: wrapped(label, 12) for label in signals}
    figure = _table(geometry, signals, attributions, rows, colours, evidence, low, first="sample")
    heading(figure, title, _outlined(bool(evidence)) + (LOW_NOTE if low else ""))
    footer(figure, scales_for(colours.values()), left=1.0, evidence=bool(evidence), outline=INK)
    return figure


def class_mean_heatmaps(
    geometry: Geometry,
    signals: Maps,
    attributions: Mapping[str, Maps],
    *,
    title: str,
    counts: Mapping[str, int],
    evidence: Mapping[str, Mask],
    low: Collection[str],
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.class_mean_heatmaps`: a row per class, its mean image first."""
    colours = colours_by_explainer(attributions.values(), low)
    rows = {label: wrapped(label, 12) + (f"\nn = {counts[label]:,}" if label in counts else "") for label in signals}
    figure = _table(geometry, signals, attributions, rows, colours, evidence, low, first="mean")
    note = f"mean image and mean attribution per explainer; {_outlined(bool(evidence), 'mean')}"
    heading(figure, title, note + (LOW_NOTE if low else ""))
    footer(figure, scales_for(colours.values()), left=1.0, evidence=bool(evidence), outline=INK)
    return figure


def _table(
    geometry: Geometry,
    signals: Maps,
    attributions: Mapping[str, Maps],
    rows: Mapping[str, str],
    colours: Mapping[str, Colormap],
    evidence: Mapping[str, Mask],
    low: Collection[str],
    *,
    first: str,
) -> Figure:
    """A row per class: its image, then its maps; explainers that find no room go on in a further band."""
    bands = in_bands(list(colours), MAPS_PER_ROW)
    columns = max(len(bands[0]) + 1, 7)
    gap = 0.05
    margins = Margins(1.0, 0.08, 1.3, 1.0, between_columns=gap, between_rows=gap)
    height = (WIDTH - 1.08 - (columns - 1) * gap) / columns * _aspect(geometry)
    figure, axes = banded_grid(len(bands), [height] * len(signals), columns, 0.9, margins)
    for names, band in zip(bands, axes, strict=True):
        for row, (label, signal) in zip(band, signals.items(), strict=True):
            draw_sample(row[0], geometry, signal)
            row[0].set_ylabel(rows[label], rotation=0, ha="right", va="center", size=TEXT, color=INK, labelpad=8)
            _draw_maps(
                list(row[1:]), geometry, signal, attributions.get(label, {}), names, colours, evidence.get(label)
            )
        for cell, name in zip(band[0], [first, *names], strict=False):
            cell.set_title(wrapped(f"{name} {LOW}" if name in low else name, 9), size=SMALL, color=INK, pad=5)
        _hide(band[:, len(names) + 1 :])
    return figure


def _draw_maps(
    cells: Sequence[Axes],
    geometry: Geometry,
    signal: Floats,
    maps: Maps,
    names: Collection[str],
    colours: Mapping[str, Colormap],
    mask: Mask | None,
) -> None:
    for cell, name in zip(cells, names, strict=False):
        if name in maps:
            draw_heat(cell, geometry, signal, maps[name], mask, colours[name], small=True)
        else:
            cell.set_axis_off()


def _outlined(evidence: bool, image: str = "sample") -> str:
    return f"the line runs round {'the evidence' if evidence else f'the pixels above half the range of the {image}'}"


def _aspect(geometry: Geometry) -> float:
    height, width = geometry.image or (1, 1)
    return height / width


def _hide(cells: AxesGrid) -> None:
    for cell in np.asarray(cells).flat:
        cell.set_visible(False)
