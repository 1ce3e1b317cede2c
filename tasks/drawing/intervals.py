"""Estimates with their intervals: explainers against each other, and side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .layout import Margins, grid
from .style import (
    CONTROLS,
    FIRST,
    INK,
    MUTED,
    SECOND,
    SMALL,
    TEXT,
    UNDECIDED,
    explainer_style,
    heading,
    plain,
    require_columns,
    tidy,
    wrapped,
)

ONE_LINE = 44
"""Characters that find room beside the axes of pairs."""

COMPARISON = (
    "first",
    "second",
    "difference",
    "ci_low",
    "ci_high",
    "p_adjusted",
    "in_favour",
    "subjects",
    "winner",
)
OVERVIEW = ("explainer", "metric", "mean", "ci_low", "ci_high")

_VERDICTS = {
    "first": (FIRST, "o", FIRST, "first more faithful"),
    "second": (SECOND, "s", SECOND, "second more faithful"),
    "undecided": (UNDECIDED, "D", "white", "undecided"),
}


def forest(comparison: pd.DataFrame, *, metric: str, higher_is_better: bool, title: str) -> Figure:
    """Paired differences ``first - second`` of a metric with their intervals, a row per pair.

    ``comparison`` has the columns first, second, difference, ci_low, ci_high, p_adjusted, in_favour,
    subjects (counts) and winner (a name, or empty where undecided): the figure colours what the comparison
    decided and decides nothing. An undefined difference is written out, not drawn. ValueError where a
    column is missing.
    """
    require_columns(comparison, COMPARISON, "comparison")
    rows = comparison.reset_index(drop=True)
    figure, cells = grid(1, 1, 0.27 * len(rows) + 0.3, Margins(3.0, 3.35, 1.05, 1.2))
    axes = cells[0, 0]
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for position, row in rows.iterrows():
        verdict = _verdict(row)
        draw_interval(axes, int(str(position)), row["difference"], row, _VERDICTS[verdict])
    _label_pairs(axes, rows)
    _write_columns(axes, rows)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    widen_to_zero(axes, rows[["difference", "ci_low", "ci_high"]])
    axes.set_xlabel(plain(f"difference in {metric} (first − second)"), size=TEXT, color=INK, labelpad=20)
    _arrows(axes, higher_is_better)
    _verdict_key(figure)
    heading(figure, title, f"{metric}: {'higher' if higher_is_better else 'lower'} is more faithful")
    return figure


def metric_overview(table: pd.DataFrame, *, metric: str, higher_is_better: bool, title: str) -> Figure:
    """The metric of every explainer with its interval, best on top, controls marked.

    ``table`` has the columns explainer, metric, mean, ci_low and ci_high, one row per explainer of this
    metric (choose the primary baseline first); undefined means come last and are written out.
    ValueError where a column is missing, the metric is absent or an explainer occurs twice.
    """
    require_columns(table, OVERVIEW, "table")
    rows = table[table["metric"] == metric]
    require_columns(rows, OVERVIEW, f"table for the metric {metric!r}")
    twice = sorted(set(rows["explainer"][rows["explainer"].duplicated()]))
    if twice:
        raise ValueError(f"table has several rows of {metric!r} for {twice}; expected one baseline only.")
    rows = rows.sort_values("mean", ascending=not higher_is_better, na_position="last").reset_index(drop=True)
    figure, cells = grid(1, 1, 0.32 * len(rows) + 0.2, Margins(2.3, 2.3, 0.75, 0.6))
    axes = cells[0, 0]
    digits = digits_for(rows["mean"])
    for position, row in rows.iterrows():
        name = row["explainer"]
        colour = explainer_style(name, int(str(position)))["color"]
        look = (colour, "D", "white", "") if name in CONTROLS else (colour, "o", colour, "")
        draw_interval(axes, int(str(position)), row["mean"], row, look)
        if name in CONTROLS and np.isfinite(row["mean"]):
            axes.axvline(row["mean"], color=UNDECIDED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.text(1.03, int(str(position)), interval_text(row["mean"], row, digits), **beside(axes))
    labels = [plain(wrapped(name, 30)) + (" (control)" if name in CONTROLS else "") for name in rows["explainer"]]
    axes.set_yticks(range(len(rows)), labels=labels)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    arrow = "more faithful →" if higher_is_better else "← more faithful"
    axes.set_xlabel(plain(f"{metric}   ({arrow})"), size=TEXT, color=INK)
    heading(figure, title, "mean over subjects with its interval; dashed lines: the controls")
    return figure


def interval_text(value: float, row: pd.Series, digits: int) -> str:
    """``value [low, high]`` with that many digits after the point, or why there is none."""
    if not np.isfinite(value):
        return "undefined"
    if not np.isfinite(row["ci_low"]):
        return f"{value:.{digits}f} (no interval)".replace("-", "−")
    return f"{value:.{digits}f} [{row['ci_low']:.{digits}f}, {row['ci_high']:.{digits}f}]".replace("-", "−")


def digits_for(values: pd.Series) -> int:
    """Digits after the point that give the largest of the values three significant ones."""
    largest = values.abs().max()
    return int(np.clip(2 - np.floor(np.log10(largest)), 0, 6)) if largest > 0 else 3


def _verdict(row: pd.Series) -> str:
    sides = {row["first"]: "first", row["second"]: "second"}
    return sides.get(row["winner"], "undecided")


def draw_interval(axes: Axes, position: float, value: float, row: pd.Series, look: tuple[str, str, str, str]) -> None:
    """A row's interval as a line, its value as a point; ``look``: colour, marker, fill and what they mean."""
    colour, marker, face, _ = look
    axes.plot([row["ci_low"], row["ci_high"]], [position] * 2, color=colour, linewidth=2, zorder=2)
    axes.plot(
        [value],
        [position],
        marker,
        markersize=6.5,
        color=colour,
        markerfacecolor=face,
        markeredgewidth=1.5,
        zorder=3,
    )


def _label_pairs(axes: Axes, rows: pd.DataFrame) -> None:
    pairs = [f"{first}  vs  {second}" for first, second in zip(rows["first"], rows["second"], strict=True)]
    labels = [plain(pair if len(pair) <= ONE_LINE else pair.replace("  vs  ", "\nvs  ")) for pair in pairs]
    axes.set_yticks(range(len(rows)), labels=labels)
    axes.set_ylim(len(rows) - 0.4, -0.6)


def beside(axes: Axes) -> dict[str, Any]:
    """How text is set that stands in a row, right of the axes."""
    return {"transform": axes.get_yaxis_transform(), "size": SMALL, "color": INK, "va": "center"}


def _write_columns(axes: Axes, rows: pd.DataFrame) -> None:
    digits = digits_for(rows["difference"])
    for position, row in rows.iterrows():
        chance = row["p_adjusted"]
        texts = (
            interval_text(row["difference"], row, digits),
            "–" if not np.isfinite(chance) else "<0.001" if chance < 0.001 else f"{chance:.3f}",
            "–" if pd.isna(row["in_favour"]) else f"{int(row['in_favour'])} of {int(row['subjects'])}",
        )
        for place, text in zip((1.04, 1.57, 1.74), texts, strict=True):
            axes.text(place, int(str(position)), text, **beside(axes))
    for place, text in zip((1.04, 1.57, 1.74), ("difference [interval]", "adj. p", "in favour"), strict=True):
        axes.text(place, -0.95, text, **{**beside(axes), "color": MUTED})


def widen_to_zero(axes: Axes, values: pd.DataFrame) -> None:
    """Sets the x axis to hold 0 and every finite value."""
    finite = values.to_numpy(dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = min(0.0, *finite, 0.0), max(0.0, *finite, 0.0)
    room = 0.08 * ((high - low) or 1.0)
    axes.set_xlim(low - room, high + room)


def _arrows(axes: Axes, higher_is_better: bool) -> None:
    left, right = ("second", "first") if higher_is_better else ("first", "second")
    for place, side, text, align in (
        (0.0, left, f"← {left} more faithful", "left"),
        (1.0, right, f"{right} more faithful →", "right"),
    ):
        axes.annotate(
            text,
            (place, 0),
            xycoords="axes fraction",
            xytext=(0, -22),
            textcoords="offset points",
            size=SMALL,
            color=_VERDICTS[side][0],
            ha=align,
            va="top",
        )


def _verdict_key(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, markersize=6, linewidth=2, label=label)
        for colour, marker, face, label in _VERDICTS.values()
    ]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, fontsize=SMALL)
