"""Figures 1, 5 and Annex 3, 4 of Tjoa et al. (2019): one slice of one case under several relevance filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .geometry import Floats, Geometry, Mask
from .heat import footer
from .layout import WIDTH, AxesGrid, Margins, banded_grid
from .slices import Slice, chosen_slice, volume_mask
from .style import INK, SIGNED, SMALL, TEXT, heading, plain, wrapped
from .volume_cell import LINE, draw_grey, draw_heat, draw_line

PREDICTED = "#35d0c5"
"""Of the line round what the network predicts."""
FEWEST = 4
_SIDE, _GAP = 0.12, 0.1
_LETTERS = 90
"""That find room beside each other in a row of names."""


@dataclass(frozen=True)
class SegmentedCase:
    """A case: ``signal (channel, depth, height, width)``, ``truth`` and ``prediction (depth, height, width)``, Dice."""

    signal: Floats
    truth: Mask
    prediction: Mask
    dice: float


def relevance_slices(
    geometry: Geometry,
    case: SegmentedCase,
    maps: Mapping[str, Floats],
    channel: str,
    *,
    title: str,
    depth: int | None = None,
) -> Figure:
    """Relevance alone and over the map under each filter, then truth, prediction, the map, and both lines.

    ``maps``: relevance ``(channel, depth, height, width)`` by the filter's words. It is divided by the channel's
    largest magnitude over the whole volume, max |R_c|, which each panel states. ``channel``: which map and relevance
    are shown; ``depth``: which slice, by default that with most truth. ValueError where a shape is not the
    geometry's, or the channel or the slice is not one of it.
    """
    if channel not in geometry.channels:
        raise ValueError(f"channel is {channel!r}; expected one of {', '.join(geometry.channels)}.")
    number = geometry.channels.index(channel)
    signal, truth, prediction = (
        geometry.signal(case.signal)[number], volume_mask(geometry, case.truth), volume_mask(geometry, case.prediction)
    )  # fmt: skip
    shown = {name: geometry.map_of(case.signal, values, name) for name, values in maps.items()}
    cut = _slice(geometry, shown, truth, depth)
    columns = max(len(maps) + 2, FEWEST)
    names = [wrapped(name, _LETTERS // columns) for name in maps]
    figure, axes = _grid(geometry, columns, max((name.count("\n") + 1 for name in names), default=1))
    for letter, name, values, (alone, over) in zip(ascii_uppercase, names, shown.values(), axes.T, strict=False):
        heated, largest = _by_channel(values[number])
        _name(alone, letter, f"{name}\nmax |R_c| = {largest}")
        draw_heat(alone, geometry, heated[cut.depth], opaque=True)
        _name(over, f"{letter}2", "over the map")
        draw_grey(over, geometry, signal, cut.depth)
        draw_heat(over, geometry, heated[cut.depth])
    cells = [axes[row, len(maps) + column] for column in (0, 1) for row in (0, 1)]
    words = ("truth", "prediction", plain(geometry.channel_label(number)), "truth and prediction")
    marks = ((truth, None), (None, prediction), (None, None), (truth, prediction))
    for letter, cell, word, (true, predicted) in zip(ascii_uppercase[len(maps) :], cells, words, marks, strict=False):
        _name(cell, letter, word)
        draw_grey(cell, geometry, signal, cut.depth)
        draw_line(cell, predicted, cut.depth, PREDICTED)
        draw_line(cell, true, cut.depth)
    for cell in axes[:, len(maps) + 2 :].flat:
        cell.set_visible(False)
    heading(figure, title, f"{cut.words}, {geometry.channels[number]}; Dice {_dice(case.dice)}; "
            "relevance divided by its channel's max |R_c| in the whole volume")  # fmt: skip
    footer(figure, {"relevance / max |R_c|": SIGNED}, left=_SIDE, evidence=False)
    _key(figure)
    return figure


def _grid(geometry: Geometry, columns: int, lines: int) -> tuple[Figure, AxesGrid]:
    """Two rows of cells under names of so many lines."""
    side = (WIDTH - 2 * _SIDE - (columns - 1) * _GAP) / columns * geometry.slice_aspect
    margins = Margins(_SIDE, _SIDE, 1.0 + 0.16 * lines, 1.0, between_columns=_GAP, between_rows=0.34)
    figure, axes = banded_grid(1, [side, side], columns, 0, margins)
    return figure, axes[0]


def _slice(geometry: Geometry, maps: Mapping[str, Floats], truth: Mask | None, depth: int | None) -> Slice:
    if depth is None:
        return chosen_slice(maps.values(), truth)
    slices = (geometry.volume or (0,))[0]
    if not 0 <= depth < slices:
        raise ValueError(f"depth is {depth}; expected 0 to {slices - 1}, a slice of the volume.")
    return Slice(depth, slices, "chosen")


def _by_channel(values: Floats) -> tuple[Floats, str]:
    """Heat of one channel's relevance around 0.5 and its largest magnitude in words; NaN where that is 0."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    if not np.isfinite(largest) or largest == 0:
        return np.full(values.shape, np.nan), "0" if largest == 0 else "not finite"
    return 0.5 + values / (2 * largest), f"{largest:.4g}"


def _name(axes: Axes, letter: str, words: str) -> None:
    axes.set_title(f"{letter}  {words}", size=TEXT, color=INK, loc="left", pad=4)


def _dice(dice: float) -> str:
    return f"{dice:.3f}" if np.isfinite(dice) else "undefined"


def _key(figure: Figure) -> None:
    keys = [Line2D([], [], color=LINE, linewidth=2, label="truth"),
            Line2D([], [], color=PREDICTED, linewidth=2, label="prediction")]  # fmt: skip
    figure.legend(
        handles=keys, loc="center right", bbox_to_anchor=(0.99, 0.47 / figure.get_figheight()), ncols=2, frameon=False,
        fontsize=SMALL, labelcolor=INK,
    )  # fmt: skip
