"""Networks of one kind against each other: what is measured of each, over its Dice score, with their names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .filter_boxes import series_key
from .filter_names import series_colours
from .layout import WIDTH, in_bands, inches
from .style import INK, MUTED, SMALL, TEXT, heading, plain, require_columns, tidy, wrapped

NETS = ("net", "series", "dice")
PANELS_PER_ROW = 3
LOG_FROM = 50
"""Ratio of the largest to the smallest of positive values from which on their axis is logarithmic."""
FEWEST = 3
"""Nets below which there is no correlation."""
_TOP, _BOTTOM, _LEFT, _RIGHT, _HIGH, _ACROSS, _DOWN = 1.0, 1.0, 0.75, 0.15, 2.3, 0.75, 0.95
_LINE, _LETTER, _AWAY = 9.0, 5.8, 4.5
"""Points: height of a name, width of a letter, distance from its net's middle."""


def against_dice(nets: pd.DataFrame, quantities: Mapping[str, str], *, title: str) -> Figure:
    """A panel per quantity: every net as a named point over its Dice score, and their rank correlation.

    ``nets`` has a row per net: net, series, dice in [0, 1] and the columns that ``quantities`` gives words for, such as
    the largest |R| of a layer or D(relevance, truth). Nets with an undefined value are left out of that panel, whose
    title counts the others; of fewer than 3 there is no correlation. Positive values that span a factor of 50 stand on
    a logarithmic axis. ValueError where a column is missing.
    """
    require_columns(nets, [*NETS, *quantities], "nets")
    colours = series_colours(list(dict.fromkeys(nets["series"])))
    bands = in_bands(list(quantities), PANELS_PER_ROW)
    columns = len(bands[0])
    width = (WIDTH - _LEFT - _RIGHT - (columns - 1) * _ACROSS) / columns
    height = _TOP + len(bands) * (_HIGH + _DOWN) + _BOTTOM - _DOWN
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    for row, names in enumerate(bands):
        for column, name in enumerate(names):
            bottom = height - _TOP - row * (_HIGH + _DOWN) - _HIGH
            axes = inches(figure, _LEFT + column * (width + _ACROSS), bottom, width, _HIGH)
            known = nets[[*NETS, name]].dropna()
            _draw(axes, known, name, colours)
            axes.set_title(_correlation(known, name), size=TEXT, color=INK, loc="left", pad=4)
            axes.set_ylabel(wrapped(quantities[name], 30), size=TEXT, color=INK)
            axes.set_xlabel("Dice", size=TEXT, color=INK)
    heading(figure, title, "each point is a net, with its name; ρ: rank correlation over nets")
    series_key(figure, colours)
    return figure


def _draw(axes: Axes, known: pd.DataFrame, name: str, colours: Mapping[str, str]) -> None:
    values = known[name].to_numpy(dtype=float)
    for series, colour in colours.items():
        rows = known[known["series"] == series]
        axes.plot(rows["dice"], rows[name], "o", markersize=5.5, color=colour, markeredgecolor="white",
                  markeredgewidth=0.5, zorder=3)  # fmt: skip
    if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        axes.set_yscale("log")
    tidy(axes, grid="y")
    axes.margins(0.14)
    axes.minorticks_off()
    if len(known):
        _name_points(axes, known["dice"].to_numpy(dtype=float), values, [str(net) for net in known["net"]])
    else:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "undefined for every net", transform=axes.transAxes, size=SMALL, color=MUTED, ha="center")


def _correlation(known: pd.DataFrame, name: str) -> str:
    count = len(known)
    if count < FEWEST or known["dice"].nunique() == 1 or known[name].nunique() == 1:
        return f"no correlation, n = {count}"
    ranks = known[["dice", name]].rank()
    return f"ρ = {ranks['dice'].corr(ranks[name]):.2f}, n = {count}".replace("-", "−")


def _name_points(axes: Axes, x: np.ndarray, y: np.ndarray, names: list[str]) -> None:
    """Writes each name at the side of its point where it covers least of what stands there already."""
    axes.autoscale_view()
    scale = 72 / axes.figure.dpi
    places = axes.transData.transform(np.column_stack([x, y])) * scale
    taken = [(left - 3, low - 3, left + 3, low + 3) for left, low in places]
    frame = np.array(axes.get_window_extent().extents) * scale
    for point, (left, low), name in zip(zip(x, y, strict=True), places, names, strict=True):
        wide = _LETTER * len(name)
        boxes = [_beside(left, low, across, up, wide) for across, up in _SIDES]
        costs = [_covered(box, taken) + _outside(box, frame) for box in boxes]
        best = boxes[int(np.argmin(costs))]
        taken.append(best)
        at = (best[0] - left, best[1] - low)
        axes.annotate(plain(name), point, xytext=at,
                      textcoords="offset points", size=SMALL, color=INK, va="bottom", ha="left")  # fmt: skip


Box = tuple[float, float, float, float]
"""Left, lower, right and upper end in points."""
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _beside(left: float, low: float, across: int, up: int, wide: float) -> Box:
    start = left + (across - 1) * wide / 2 + across * _AWAY
    bottom = low + (up - 1) * _LINE / 2 + up * _AWAY * (0.3 if across else 1)
    return start, bottom, start + wide, bottom + _LINE


def _covered(box: Box, taken: list[Box]) -> float:
    overlaps = [
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in taken
    ]
    return sum(overlaps)


def _outside(box: Box, frame: np.ndarray) -> float:
    """Points of the name that lie beyond the panel, dearer than any overlap."""
    beyond = np.maximum(0, [frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3]])
    return 1e3 * float(beyond.sum())
