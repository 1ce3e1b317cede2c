"""Heatmap figures of volumes: one slice of a map in grey with the attribution laid over it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .geometry import Floats, Geometry, Mask
from .heat import LOW, LOW_IS_IMPORTANT, LOW_NOTE, footer, heat, scales_for
from .layout import WIDTH, AxesGrid, Margins, banded_grid, in_bands
from .slices import chosen_slice, leading_channel, volume_mask
from .style import INK, SIGNED, SMALL, TEXT, heading, plain, wrapped
from .volume_cell import LINE, draw_grey, draw_heat, draw_line

CHANNELS_PER_ROW = 6
CELLS_PER_ROW = 6
FEWEST = 4
"""Cells that a row has room for, so that few do not become huge."""
_SIDE, _GAP = 0.12, 0.08
_LINE = 0.15
"""Inches: margins at the sides, between cells, and a line of a title."""
_LAID_OVER = "grey: the map; in colour, the more opaque the larger: the attribution"

Maps = Mapping[str, Floats]


def sample_heatmap(
    geometry: Geometry, signal: Floats, values: Floats, *, title: str, evidence: Mask | None, low: bool
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.sample_heatmap`: a column per channel, above without the heat."""
    mask = volume_mask(geometry, evidence)
    cut = chosen_slice([values], mask)
    heated = heat(values, signed=True)
    bands = in_bands([str(channel) for channel in range(len(signal))], CHANNELS_PER_ROW)
    figure, axes = _grid(geometry, len(bands), 2, len(bands[0]), top=1.0)
    for names, band in zip(bands, axes, strict=True):
        for channel, (above, below) in zip(map(int, names), band.T, strict=False):
            _draw_map(above, geometry, signal[channel], mask, cut.depth)
            _draw_over(below, geometry, signal[channel], heated[channel], mask, cut.depth)
            above.set_title(plain(geometry.channel_label(channel)), size=TEXT, color=INK, loc="left", pad=4)
        _hide(band[:, len(names) :])
    heading(figure, title, f"{cut.words}; {_LAID_OVER}")
    _foot(figure, mask, low=low)
    return figure


def all_explainers(
    geometry: Geometry, signal: Floats, maps: Maps, *, title: str, evidence: Mask | None, low: Collection[str]
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.all_explainers`: each explainer on the channel that it gives most."""
    mask = volume_mask(geometry, evidence)
    cut = chosen_slice(maps.values(), mask)
    bands = in_bands(list(maps), CELLS_PER_ROW)
    titles = {name: wrapped(f"{name} {LOW_IS_IMPORTANT}" if name in low else name, 20) for name in maps}
    lines = 1 + _lines(titles.values())
    figure, axes = _grid(geometry, len(bands), 1, len(bands[0]), top=0.75 + lines * _LINE, between=0.2 + lines * _LINE)
    for names, band in zip(bands, axes[:, 0], strict=True):
        for name, cell in zip(names, band, strict=False):
            channel = _draw_leading(cell, geometry, signal, maps[name], mask, cut.depth)
            cell.set_title(
                f"{titles[name]}\n{plain(geometry.channels[channel])}", size=SMALL, color=INK, loc="left", pad=4
            )
        _hide(band[len(names) :])
    heading(figure, title, f"{cut.words}, each explainer on the channel it gives most; {_LAID_OVER}")
    _foot(figure, mask)
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
    """See :func:`tasks.drawing.heatmaps.class_by_explainer`: a row per class, each cell on its leading channel."""
    names = list(dict.fromkeys(name for maps in attributions.values() for name in maps))
    bands = in_bands(names, CELLS_PER_ROW)
    titles = {name: wrapped(f"{name} {LOW}" if name in low else name, 16) for name in names}
    heads = _lines(titles.values()) * _LINE
    figure, axes = _grid(
        geometry, len(bands), len(signals), len(bands[0]), left=1.0, top=0.8 + heads, rows_apart=0.3,
        between=0.5 + heads,
    )  # fmt: skip
    masks = {label: volume_mask(geometry, evidence.get(label)) for label in signals}
    for shown, band in zip(bands, axes, strict=True):
        for (label, signal), row in zip(signals.items(), band, strict=True):
            maps = attributions.get(label, {})
            cut = chosen_slice(maps.values(), masks[label])
            _name_row(row[0], f"{label}\n{cut.depth + 1} of {cut.slices}")
            for name, cell in zip(shown, row, strict=False):
                if name in maps:
                    channel = _draw_leading(cell, geometry, signal, maps[name], masks[label], cut.depth)
                    cell.set_xlabel(plain(geometry.channels[channel]), size=SMALL, color=INK, labelpad=2)
                else:
                    cell.set_axis_off()
        for name, cell in zip(shown, band[0], strict=False):
            cell.set_title(titles[name], size=SMALL, color=INK, pad=5)
        _hide(band[:, len(shown) :])
    note = f"left: slice; below: channel given most; {_LAID_OVER}"
    heading(figure, title, note + (LOW_NOTE if low else ""))
    _foot(figure, next((mask for mask in masks.values() if mask is not None), None), left=1.0)
    return figure


def _grid(
    geometry: Geometry,
    bands: int,
    rows: int,
    cells: int,
    *,
    top: float,
    left: float = _SIDE,
    rows_apart: float = _GAP,
    between: float = 0.42,
) -> tuple[Figure, np.ndarray]:
    columns = max(cells, FEWEST)
    margins = Margins(left, _SIDE, top, 1.0, between_columns=_GAP, between_rows=rows_apart)
    height = (WIDTH - left - _SIDE - (columns - 1) * _GAP) / columns * geometry.slice_aspect
    return banded_grid(bands, [height] * rows, columns, between, margins)


def _lines(titles: Iterable[str]) -> int:
    return max((title.count("\n") + 1 for title in titles), default=1)


def _draw_map(axes: Axes, geometry: Geometry, channel: Floats, mask: Mask | None, depth: int) -> None:
    draw_grey(axes, geometry, channel, depth)
    draw_line(axes, mask, depth)


def _draw_over(axes: Axes, geometry: Geometry, channel: Floats, heated: Floats, mask: Mask | None, depth: int) -> None:
    draw_grey(axes, geometry, channel, depth)
    draw_heat(axes, geometry, heated[depth])
    draw_line(axes, mask, depth)


def _draw_leading(axes: Axes, geometry: Geometry, signal: Floats, values: Floats, mask: Mask | None, depth: int) -> int:
    """Draws the channel that the map gives most; returns it."""
    channel = leading_channel(values, depth)
    _draw_over(axes, geometry, signal[channel], heat(values, signed=True)[channel], mask, depth)
    return channel


def _foot(figure: Figure, mask: Mask | None, *, low: bool = False, left: float = _SIDE) -> None:
    scales = scales_for([SIGNED], low_is_important=low)
    footer(figure, scales, left=left, evidence=mask is not None, outline=LINE)


def _name_row(axes: Axes, words: str) -> None:
    axes.set_ylabel(plain(words), rotation=0, ha="right", va="center", size=SMALL, color=INK, labelpad=8)


def _hide(cells: AxesGrid) -> None:
    for cell in np.asarray(cells).flat:
        cell.set_visible(False)
