"""The measures of a watched champion over its looks, beside what they were at promotion."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .layout import Margins, grid
from .style import FIRST, INK, SECOND, SMALL, TEXT, UNDECIDED, fitted, heading, plain, require_columns, tidy

LOOKS = (
    "look",
    "measure",
    "baseline",
    "baseline_low",
    "baseline_high",
    "new",
    "ci_low",
    "ci_high",
    "n_new",
    "violated",
)
MOST_LOOKS = 60
"""Older ones are left out of the figure; the ledger keeps them."""


def measures_over_looks(table: pd.DataFrame, *, title: str) -> Figure:
    """A row per measure: its mean over all subjects that arrived since promotion, look by look.

    ``table`` has the columns LOOKS, one row per look and measure; ``ci_low`` and ``ci_high`` are those of the
    difference to the baseline and are drawn about it, so that an interval that misses the baseline's line is a
    violation. Looks that compared nothing say so. ValueError where a column is missing or there is no row.
    """
    require_columns(table, LOOKS, "table")
    if table.empty:
        raise ValueError("table is empty; expected one look or more.")
    recent = table[table["look"] > table["look"].max() - MOST_LOOKS]
    measures = list(dict.fromkeys(recent["measure"]))
    figure, cells = grid(len(measures), 1, 1.25, Margins(2.0, 0.35, 0.95, 1.0, between_rows=0.25))
    for axes, measure in zip(cells[:, 0], measures, strict=True):
        _draw(axes, recent[recent["measure"] == measure])
        axes.set_ylabel(
            plain(fitted(measure, 22)), size=TEXT, color=INK, rotation=0, ha="right", va="center", labelpad=14
        )
        tidy(axes, grid="x")
    last = cells[-1, 0]
    counted = recent[recent["measure"] == measures[0]]
    shown = counted.iloc[:: max(1, len(counted) // 12)]
    last.set_xticks(shown["look"], [f"{row.look}\n{row.n_new}" for row in shown.itertuples()])
    last.set_xlim(counted["look"].min() - 0.6, counted["look"].max() + 0.6)
    last.set_xlabel("look, and subjects that had arrived until then", size=TEXT, color=INK)
    _key(figure)
    heading(figure, title, "intervals hold over all looks and all measures and subgroups together (95 %)")
    return figure


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    first = rows.iloc[-1]
    axes.axhspan(first["baseline_low"], first["baseline_high"], color=UNDECIDED, alpha=0.25, linewidth=0, zorder=0)
    axes.axhline(first["baseline"], color=INK, linewidth=0.9, zorder=1)
    compared = rows.dropna(subset=["new", "ci_low"])
    for row in compared.to_dict("records"):
        colour, marker = (SECOND, "s") if row["violated"] else (FIRST, "o")
        span = [row["baseline"] + row["ci_low"], row["baseline"] + row["ci_high"]]
        axes.plot([row["look"]] * 2, span, color=colour, linewidth=2, zorder=2)
        axes.plot([row["look"]], [row["new"]], marker, color=colour, markersize=6, zorder=3)
    if compared.empty:
        axes.text(
            0.5, 0.12, "too few subjects yet", transform=axes.transAxes, size=SMALL, color=INK, ha="center", zorder=4
        )


def _key(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=FIRST, marker="o", linewidth=2, markersize=6, label="no drift shown"),
        Line2D([], [], color=SECOND, marker="s", linewidth=2, markersize=6, label="violation"),
        Line2D([], [], color=INK, linewidth=0.9, label="at promotion"),
        Patch(color=UNDECIDED, alpha=0.25, linewidth=0, label="95 % interval of its mean"),
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=SMALL)
