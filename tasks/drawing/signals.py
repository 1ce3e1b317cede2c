"""Heatmap figures of signals: a line per channel in the colours of its heat."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from .geometry import Floats, Geometry, Mask, mask_of
from .heat import LOW, LOW_IS_IMPORTANT, LOW_NOTE, colours_by_explainer, colours_of, footer, heat, scales_for
from .layout import AxesGrid, Margins, banded_grid, grid, in_bands
from .signal_cell import draw_channels, mark_beat, shade
from .style import INK, MUTED, RULE, SIGNED, SMALL, TEXT, heading, plain, tidy, wrapped

PANELS_PER_ROW = 5
CELLS_PER_ROW = 8
STACKS_PER_ROW = 3
_ONE_SCALE = "each channel on its own axis; the heat of a map on one scale for all its channels"

Maps = Mapping[str, Floats]


def sample_heatmap(
    geometry: Geometry, signal: Floats, values: Floats, *, title: str, evidence: Mask | None, low: bool
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.sample_heatmap`; ``low``: the map's low values mark what matters."""
    colours = colours_of(values, low_is_important=low)
    channels = len(signal)
    figure, axes = grid(channels, 1, 1.9 / channels**0.5, Margins(0.95, 0.25, 0.5, 1.15, between_rows=0.13))
    draw_channels(axes[:, 0], geometry, signal, values, evidence, colours)
    for channel, row in enumerate(axes[:, 0]):
        row.set_ylabel(_in_lines(geometry, channel), size=TEXT, color=INK)
    figure.align_ylabels(axes[:, 0])
    axes[-1, 0].set_xlabel(geometry.time_label, size=TEXT, color=INK)
    heading(figure, title)
    footer(figure, scales_for([colours], low_is_important=low), left=0.95, evidence=evidence is not None)
    return figure


def all_explainers(
    geometry: Geometry, signal: Floats, maps: Maps, *, title: str, evidence: Mask | None, low: Collection[str]
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.all_explainers`: one channel in rows, several stacked in columns."""
    colours = {name: colours_of(values, low_is_important=name in low) for name, values in maps.items()}
    draw = _in_rows if len(signal) == 1 else _in_stacks
    figure, left = draw(geometry, signal, maps, colours, evidence, low)
    note = "the line and the strip under it carry the explainer's heat"
    beginning = f"signal in {geometry.units[0]}; {note}" if len(signal) == 1 else f"{note}; {_ONE_SCALE}"
    heading(figure, title, beginning)
    footer(figure, scales_for(colours.values()), left=left, evidence=evidence is not None)
    return figure


def _in_rows(
    geometry: Geometry,
    signal: Floats,
    maps: Maps,
    colours: Mapping[str, Colormap],
    evidence: Mask | None,
    low: Collection[str],
) -> tuple[Figure, float]:
    figure, axes = grid(len(maps), 1, 0.8, Margins(1.75, 0.2, 0.72, 1.15, between_rows=0.13))
    for row, (name, values) in zip(axes, maps.items(), strict=True):
        draw_channels(row, geometry, signal, values, evidence, colours[name])
        label = wrapped(name, 16) + (f"\n{LOW_IS_IMPORTANT}" if name in low else "")
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", size=TEXT, color=INK, labelpad=8)
    axes[-1, 0].set_xlabel(geometry.time_label, size=TEXT, color=INK)
    return figure, 1.75


def _in_stacks(
    geometry: Geometry,
    signal: Floats,
    maps: Maps,
    colours: Mapping[str, Colormap],
    evidence: Mask | None,
    low: Collection[str],
) -> tuple[Figure, float]:
    bands = in_bands(list(maps), STACKS_PER_ROW)
    heights = [0.62] * len(signal)
    margins = Margins(1.15, 0.12, 0.95, 1.15, between_columns=0.12, between_rows=0.06)
    figure, axes = banded_grid(len(bands), heights, len(bands[0]), 0.55, margins)
    for names, band in zip(bands, axes, strict=True):
        for column, name in enumerate(names):
            draw_channels(band[:, column], geometry, signal, maps[name], evidence, colours[name])
            note = f" {LOW_IS_IMPORTANT}" if name in low else ""
            band[0, column].set_title(wrapped(name + note, 38), size=TEXT, color=INK, loc="left", pad=4)
        for channel, cell in enumerate(band[:, 0]):
            cell.set_ylabel(_in_lines(geometry, channel), size=SMALL, color=INK)
        figure.align_ylabels(band[:, 0])
        _hide(band[:, len(names) :])
    figure.supxlabel(geometry.time_label, size=TEXT, color=INK, y=0.68 / figure.get_figheight())
    return figure, 1.15


def class_by_explainer(
    geometry: Geometry,
    signals: Maps,
    attributions: Mapping[str, Maps],
    *,
    title: str,
    evidence: Mapping[str, Mask],
    low: Collection[str],
) -> Figure:
    """See :func:`tasks.drawing.heatmaps.class_by_explainer`: a row per class and channel."""
    channels = len(geometry.channels)
    colours = colours_by_explainer(attributions.values(), low)
    bands = in_bands(list(colours), CELLS_PER_ROW)
    left = 1.15 if channels == 1 else 2.0
    margins = Margins(left, 0.12, 1.15, 1.15, between_columns=0.09)
    heights = [0.85 / channels**0.5] * (len(signals) * channels)
    between = ([0.04] * (channels - 1) + [0.1 if channels == 1 else 0.2]) * len(signals)
    figure, axes = banded_grid(len(bands), heights, len(bands[0]), 0.95, margins, between=between)
    for names, band in zip(bands, axes, strict=True):
        for number, (label, signal) in enumerate(signals.items()):
            rows = band[number * channels : (number + 1) * channels]
            shown = {name: colours[name] for name in names}
            _draw_class(rows, geometry, signal, attributions.get(label, {}), shown, evidence.get(label))
            _name_class(figure, list(rows[:, 0]), geometry, label)
        for column, name in enumerate(names):
            note = f"\n{wrapped(LOW_IS_IMPORTANT, 17)}" if name in low else ""
            band[0, column].set_title(wrapped(name, 11) + note, size=SMALL, color=INK, pad=5)
        _hide(band[:, len(names) :])
    figure.supxlabel(geometry.time_label, size=TEXT, color=INK, y=0.68 / figure.get_figheight())
    signal_words = f"signal in {geometry.units[0]}" if channels == 1 else "each channel on its own axis"
    heading(figure, title, f"{signal_words}; the line and the strip under it carry the explainer's heat")
    footer(figure, scales_for(colours.values()), left=left, evidence=bool(evidence))
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
    """See :func:`tasks.drawing.heatmaps.class_mean_heatmaps`: under each channel its strips."""
    channels = len(geometry.channels)
    colours = colours_by_explainer(attributions.values(), low)
    bands = in_bands(list(signals), PANELS_PER_ROW)
    strips_height = (0.23 if channels == 1 else 0.2) * len(colours)
    margins = Margins(1.75, 0.15, 1.1, 1.15)
    between = [0.06, 0.22] * channels
    figure, axes = banded_grid(
        len(bands), [0.9, strips_height] * channels, len(bands[0]), 0.85, margins, between=between
    )
    for labels, band in zip(bands, axes, strict=True):
        for column, label in enumerate(labels):
            count = f"\nn = {counts[label]:,}" if label in counts else ""
            band[0, column].set_title(wrapped(label, 96 // len(bands[0])) + count, size=TEXT, color=INK, pad=4)
            heated = _heated(attributions[label], colours)
            for channel in range(channels):
                mean, strips = band[2 * channel : 2 * channel + 2, column]
                _draw_mean(mean, geometry, signals[label][channel], mask_of(evidence.get(label), channel))
                _draw_strips(strips, geometry, {name: heated[name][channel] for name in heated}, colours)
        for channel, (mean, strips) in enumerate(band[:, 0].reshape(channels, 2)):
            mean.set_ylabel(_in_lines(geometry, channel), size=SMALL, color=INK)
            _name_strips(strips, colours, low)
        _hide(band[:, len(labels) :])
    figure.supxlabel(geometry.time_label, size=TEXT, color=INK, y=0.68 / figure.get_figheight())
    note = "mean signal above, mean attribution per explainer below"
    note += LOW_NOTE if low else ""
    heading(figure, title, note if channels == 1 else f"{note}; a map has one scale for all its channels")
    footer(figure, scales_for(colours.values()), left=1.75, evidence=bool(evidence))
    return figure


def _in_lines(geometry: Geometry, channel: int) -> str:
    return plain(geometry.channel_label(channel).replace(" (", "\n("))


def _hide(cells: AxesGrid) -> None:
    for cell in cells.flat:
        cell.set_visible(False)


def _draw_class(
    rows: AxesGrid,
    geometry: Geometry,
    signal: Floats,
    maps: Maps,
    colours: Mapping[str, Colormap],
    mask: Mask | None,
) -> None:
    for column, name in enumerate(colours):
        cells = rows[:, column]
        if name in maps:
            draw_channels(cells, geometry, signal, maps[name], mask, colours[name])
        for cell in cells:
            cell.set_yticks([])
            cell.spines[["left", "bottom"]].set_color(RULE)
            cell.locator_params(axis="x", nbins=3)


def _name_class(figure: Figure, cells: Sequence[Axes], geometry: Geometry, label: str) -> None:
    """The class left of its rows; between them and it, where there are several, the channels."""
    beside: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 8}
    if len(cells) == 1:
        cells[0].set_ylabel(wrapped(label, 12), size=TEXT, **beside)
        return
    for channel, cell in enumerate(cells):
        cell.set_ylabel(_in_lines(geometry, channel), size=SMALL, color=MUTED, **beside)
    bottom, top = cells[-1].get_position().y0, cells[0].get_position().y1
    figure.text(0.012, (bottom + top) / 2, wrapped(label, 12), size=TEXT, color=INK, weight="bold", va="center")


def _heated(maps: Maps, colours: Mapping[str, Colormap]) -> dict[str, Floats]:
    return {name: heat(values, signed=colours[name] is SIGNED) for name, values in maps.items()}


def _draw_mean(axes: Axes, geometry: Geometry, signal: Floats, mask: Mask | None) -> None:
    axes.plot(geometry.times(len(signal)), signal, color=INK, linewidth=1.2)
    shade(axes, geometry, mask)
    mark_beat(axes, geometry)
    tidy(axes)
    axes.locator_params(axis="y", nbins=4)


def _draw_strips(axes: Axes, geometry: Geometry, heated: Maps, colours: Mapping[str, Colormap]) -> None:
    steps = len(next(iter(heated.values())))
    image = np.ones((len(colours), steps, 4))
    for number, (name, colour_map) in enumerate(colours.items()):
        if name in heated:
            image[number] = colour_map.with_extremes(bad=RULE)(np.ma.masked_invalid(heated[name]))
    time, half = geometry.times(steps), geometry.half_step()
    edges = (time[0] - half, time[-1] + half, len(colours) - 0.5, -0.5)
    axes.imshow(image, aspect="auto", extent=edges, interpolation="nearest")
    for edge in range(1, len(colours)):
        axes.axhline(edge - 0.5, color="white", linewidth=2)
    if geometry.origin:
        axes.axvline(0, color=MUTED, linewidth=0.5, alpha=0.6)
    tidy(axes)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)


def _name_strips(axes: Axes, colours: Iterable[str], low: Collection[str]) -> None:
    labels = [wrapped(f"{name} {LOW}" if name in low else name, 26) for name in colours]
    axes.set_yticks(range(len(labels)), labels=labels)
