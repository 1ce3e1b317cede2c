"""Figure 2 of van der Westhuizen & Lasenby (2017): hidden units beside the wavelet coefficients they match best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .gates import clock, draw_lines
from .geometry import Floats, Geometry
from .image_cell import draw_sample
from .layout import inches
from .signal_cell import mark_beat
from .style import (
    FIRST,
    INK,
    MUTED,
    RULE,
    SECOND,
    SMALL,
    TEXT,
    UNDECIDED,
    WIDTH,
    heading,
    plain,
    require_columns,
    tidy,
    wrapped,
)

UNITS = ("network", "wavelet", "input")
NETWORKS = ("network", "wavelet")

_LEFT, _RIGHT, _TOP, _BOTTOM = 1.75, 0.15, 1.05, 0.95
"""Inches around the panels."""
_ROW, _UNDER, _PAIR, _BETWEEN = 0.85, 0.1, 0.3, 0.85
"""Inches: height of a row, gap inside a pair, gap between pairs, gap above the distributions."""
_DISTRIBUTION = 1.9


@dataclass(frozen=True)
class MatchedSample:
    """A sample of the class ``label``: ``signal (channel, time)`` in physical units."""

    label: str
    signal: Floats


@dataclass(frozen=True)
class MatchedUnit:
    """A unit and its coefficient on the shown samples: ``coefficients`` and ``hidden (sample, time)``.

    ``lag`` in steps (positive: the unit follows), ``sign`` 1 or -1, ``correlation`` over all samples, held out.
    """

    coefficient: str
    unit: str
    lag: int
    sign: float
    coefficients: Floats
    hidden: Floats
    correlation: float


def wavelet_figure(
    geometry: Geometry,
    samples: Sequence[MatchedSample],
    pairs: Sequence[MatchedUnit],
    units: pd.DataFrame,
    networks: pd.DataFrame,
    *,
    title: str,
) -> Figure:
    """A column per sample: the sample, then coefficient and unit of every pair; distributions of all units below.

    ``units`` has a row per unit, columns network (trained, untrained), wavelet and input: its matches; ``networks`` a
    row per network, columns network and wavelet. ValueError where there is no sample or a column is missing.
    """
    if not samples:
        raise ValueError("samples is empty; expected at least one sample.")
    require_columns(units, UNITS, "units")
    require_columns(networks, NETWORKS, "networks")
    first = 1.25 if geometry.image else 0.85 + 0.12 * (len(geometry.channels) - 1)
    pair = 2 * _ROW + _UNDER + _PAIR
    height = _TOP + first + 0.28 + len(pairs) * pair + _BETWEEN + _DISTRIBUTION + _BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    _draw_samples(figure, geometry, samples, height - _TOP - first, first)
    for number, match in enumerate(pairs):
        top = height - _TOP - first - 0.28 - number * pair
        _draw_pair(figure, geometry, match, top, last=number == len(pairs) - 1)
    _draw_distributions(figure, units, networks)
    heading(figure, title, "columns: samples; the pairs are the top of the ranked table, not picked by eye")
    return figure


def _columns(count: int) -> list[tuple[float, float]]:
    """Left edge and width of each column, in inches."""
    width = (WIDTH - _LEFT - _RIGHT - 0.14 * (count - 1)) / count
    return [(_LEFT + number * (width + 0.14), width) for number in range(count)]


def _draw_samples(
    figure: Figure, geometry: Geometry, samples: Sequence[MatchedSample], bottom: float, height: float
) -> None:
    cells: list[Axes] = []
    for sample, (left, width) in zip(samples, _columns(len(samples)), strict=True):
        axes = inches(figure, left, bottom, width, height, sharey=cells[0] if cells and not geometry.image else None)
        if geometry.image:
            draw_sample(axes, geometry, geometry.signal(sample.signal))
        else:
            draw_lines(axes, geometry, geometry.signal(sample.signal))
            axes.set_title("", loc="left")
            axes.tick_params(labelleft=not cells)
        axes.set_title(wrapped(sample.label, 26), size=TEXT, color=INK, pad=5)
        cells.append(axes)
    if len(geometry.channels) == 1:
        _name_row(cells[0], "sample" if geometry.image else geometry.channel_label(0))


def _draw_pair(figure: Figure, geometry: Geometry, match: MatchedUnit, top: float, *, last: bool) -> None:
    """Two rows: the coefficient of each sample, and the unit with that coefficient behind it as it was matched."""
    steps = match.hidden.shape[1]
    times, label = clock(geometry, steps)
    columns = _columns(len(match.hidden))
    rows: list[list[Axes]] = [[], []]
    for sample, (left, width) in enumerate(columns):
        upper = inches(figure, left, top - _ROW, width, _ROW, sharey=rows[0][0] if sample else None)
        lower = inches(figure, left, top - 2 * _ROW - _UNDER, width, _ROW, sharey=rows[1][0] if sample else None)
        upper.plot(times, match.coefficients[sample], color=SECOND, linewidth=1.1)
        behind = _as_matched(match.coefficients[sample], match.hidden[sample], match.lag, match.sign)
        lower.plot(times, behind, color=SECOND, linewidth=1.0, alpha=0.55)
        lower.plot(times, match.hidden[sample], color=FIRST, linewidth=1.3)
        for row, axes in zip(rows, (upper, lower), strict=True):
            row.append(axes)
            _frame(axes, geometry, times, labelled=sample == 0)
        lower.tick_params(labelbottom=last)
        if last:
            lower.locator_params(axis="x", nbins=4)
    _name_row(rows[0][0], match.coefficient)
    sign = ", inverted" if match.sign < 0 else ""
    _name_row(rows[1][0], f"{match.unit}\nlag {match.lag}{sign}\nr = {match.correlation:.2f}".replace("-", "−"))
    if last:
        figure.text(
            (_LEFT + WIDTH - _RIGHT) / 2 / WIDTH, (top - 2 * _ROW - _UNDER - 0.32) / figure.get_figheight(),
            plain(label), size=TEXT, color=INK, ha="center", va="top",
        )  # fmt: skip


def _as_matched(coefficients: Floats, hidden: Floats, lag: int, sign: float) -> Floats:
    """The coefficient moved by the lag and fitted to the unit's mean and spread; NaN where the lag leaves it open."""
    moved = np.full(len(coefficients), np.nan)
    steps = np.arange(len(coefficients)) - lag
    inside = (steps >= 0) & (steps < len(coefficients))
    moved[inside] = sign * coefficients[steps[inside]]
    spread = np.nanstd(moved)
    if not spread > 0:
        return np.full(len(coefficients), np.nan)
    return (moved - np.nanmean(moved)) * (np.std(hidden[inside]) / spread) + np.mean(hidden[inside])


def _frame(axes: Axes, geometry: Geometry, times: Floats, *, labelled: bool) -> None:
    tidy(axes)
    mark_beat(axes, geometry)
    axes.set_xlim(times[0], times[-1])
    axes.tick_params(labelbottom=False, labelleft=labelled)
    axes.locator_params(axis="y", nbins=3)


def _name_row(axes: Axes, name: str) -> None:
    """Beside the row, clear of its tick labels."""
    axes.annotate(
        plain(name), (0, 0.5), xycoords="axes fraction", xytext=(-34, 0), textcoords="offset points",
        size=TEXT, color=INK, ha="right", va="center",
    )  # fmt: skip


def _draw_distributions(figure: Figure, units: pd.DataFrame, networks: pd.DataFrame) -> None:
    """Matches of all units with wavelets, with the input, and the mean of every network."""
    width = (WIDTH - 0.75 - _RIGHT - 2 * 0.45) / 3
    places = [0.75 + number * (width + 0.45) for number in range(3)]
    cells = [inches(figure, left, _BOTTOM, width, _DISTRIBUTION) for left in places]
    for axes, column, name in zip(cells, ("wavelet", "input"), ("its best wavelet", "the input itself"), strict=False):
        _histogram(axes, units, column)
        axes.set_title(f"match of a unit with {name}", size=TEXT, color=INK, loc="left", pad=4)
        axes.set_xlabel("held-out correlation", size=TEXT, color=INK)
    cells[0].set_ylabel("density of units", size=TEXT, color=INK)
    _network_means(cells[2], networks)
    keys = [
        Line2D([], [], color=FIRST, linewidth=2, label="trained"),
        Line2D([], [], color=UNDECIDED, linewidth=2, label="untrained"),
        Line2D([], [], color=SECOND, linewidth=1.5, label="wavelet coefficient (pale: lagged and scaled to the unit)"),
    ]
    figure.legend(
        handles=keys, loc="lower center", ncols=len(keys), frameon=False, fontsize=SMALL, labelcolor=INK,
        bbox_to_anchor=(0.5, 0.06 / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip


def _histogram(axes: Axes, units: pd.DataFrame, column: str) -> None:
    known = units[units[column].notna()]
    low = min(0.0, float(known[column].min())) if len(known) else 0.0
    edges = np.linspace(low, 1, 31)
    for network, colour, fill in (("untrained", UNDECIDED, True), ("trained", FIRST, False)):
        values = known.loc[known["network"] == network, column]
        if len(values):
            look: dict[str, Any] = (
                {"histtype": "stepfilled", "alpha": 0.45} if fill else {"histtype": "step", "linewidth": 1.8}
            )
            axes.hist(values, bins=list(edges), density=True, color=colour, **look)
            axes.axvline(values.mean(), color=colour, linewidth=1.4, linestyle=(0, (4, 2)))
    if not len(known):
        axes.text(0.5, 0.5, "undefined", transform=axes.transAxes, size=SMALL, color=MUTED, ha="center", va="center")
    tidy(axes)
    axes.set_xlim(low, 1)
    axes.locator_params(axis="y", nbins=4)


def _network_means(axes: Axes, networks: pd.DataFrame) -> None:
    """One dot per untrained network, a line for the trained version."""
    fresh = networks.loc[networks["network"] == "untrained", "wavelet"].dropna().sort_values()
    trained = networks.loc[networks["network"] == "trained", "wavelet"].dropna()
    axes.plot(fresh, np.arange(1, len(fresh) + 1), "o", color=UNDECIDED, markersize=4.5, markeredgewidth=0)
    for value in trained:
        axes.axvline(value, color=FIRST, linewidth=2)
    if not len(fresh) and not len(trained):
        axes.text(0.5, 0.5, "undefined", transform=axes.transAxes, size=SMALL, color=MUTED, ha="center", va="center")
    tidy(axes, grid="x")
    axes.spines["left"].set_color(RULE)
    axes.set_yticks([])
    axes.set_ylabel("untrained networks, in order", size=SMALL, color=INK)
    axes.margins(x=0.12)
    axes.locator_params(axis="x", nbins=5)
    axes.set_title("mean of a network, best wavelet", size=TEXT, color=INK, loc="left", pad=4)
    axes.set_xlabel("held-out correlation", size=TEXT, color=INK)
