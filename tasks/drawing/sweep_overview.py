"""A sweep of relevance filters by several measures side by side: whether a filter makes maps truer or only larger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .filter_names import filter_kind, filter_range
from .intervals import draw_interval
from .layout import Margins, grid
from .style import FIRST, INK, MUTED, RULE, SECOND, SMALL, TEXT, heading, plain, require_columns, tidy, wrapped

SWEEP = ("filter", "metric", "mean", "ci_low", "ci_high")
CONTROL = ("control", "metric", "mean")
_LOOKS = {"raw": (INK, "D"), "pass": (FIRST, "o"), "clamp": (SECOND, "s")}
_LINES = ((0, (1, 1.4)), (0, (5, 2)), (0, (6, 1.5, 1, 1.5)), "-")


def sweep_overview(sweep: pd.DataFrame, controls: pd.DataFrame, metrics: Mapping[str, str], *, title: str) -> Figure:
    """A row per filter, a column per metric: mean over subjects with its interval, the controls as upright lines.

    ``sweep`` has the columns filter, metric, mean, ci_low and ci_high, ``controls`` control, metric and mean;
    ``metrics``: which are drawn and in what words, in their order; higher must be better in each. Undefined means are
    written out. ValueError where a column is missing, a metric has no row or a filter occurs twice.
    """
    require_columns(sweep, SWEEP, "sweep")
    filters = list(dict.fromkeys(sweep["filter"]))
    heads = max(words.count("\n") + 1 for words in (wrapped(each, 16) for each in metrics.values()))
    margins = Margins(1.35, 0.15, 0.8 + 0.16 * heads, 0.85, between_columns=0.16)
    figure, axes = grid(1, len(metrics), 0.25 * len(filters) + 0.2, margins)
    styles = dict(zip(dict.fromkeys(controls["control"]), _LINES * len(controls), strict=False))
    for cell, (metric, words) in zip(axes[0], metrics.items(), strict=True):
        rows = sweep[sweep["metric"] == metric]
        require_columns(rows, SWEEP, f"sweep for the metric {metric!r}")
        if rows["filter"].duplicated().any():
            raise ValueError(f"sweep has several rows of {metric!r} for a filter; expected one for each.")
        for _, row in controls[controls["metric"] == metric].iterrows():
            cell.axvline(row["mean"], color=MUTED, linewidth=1.1, linestyle=styles[row["control"]], zorder=1)
        _draw(cell, rows.set_index("filter").reindex(filters))
        cell.set_title(wrapped(words, 16), size=TEXT, color=INK, loc="left", pad=4)
    _name_rows(axes[0, 0], filters)
    keys = [
        Line2D([], [], color=MUTED, linestyle=line, linewidth=1.2, label=plain(name)) for name, line in styles.items()
    ]
    if keys:
        figure.legend(
            handles=keys, loc="lower center", ncols=len(keys), frameon=False, fontsize=SMALL, labelcolor=INK,
            handlelength=3, bbox_to_anchor=(0.5, 0.08 / figure.get_figheight()), borderaxespad=0,
        )  # fmt: skip
    heading(figure, title, "mean over subjects with its interval, higher is better; upright lines: controls; "
            "ranges in fractions of the largest |R|")  # fmt: skip
    return figure


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    for place, (name, row) in enumerate(rows.iterrows()):
        colour, marker = _LOOKS[filter_kind(str(name))]
        if np.isfinite(row["mean"]):
            draw_interval(axes, place, row["mean"], row, (colour, marker, colour, ""))
        else:
            axes.text(0.02, place, "undefined", transform=axes.get_yaxis_transform(), size=SMALL, color=MUTED,
                      va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    kinds = [filter_kind(str(name)) for name in rows.index]
    for place in range(1, len(kinds)):
        if kinds[place] != kinds[place - 1]:
            axes.axhline(place - 0.5, color=RULE, linewidth=0.9, zorder=0)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=3)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.0), max(high, 0.0))


def _name_rows(axes: Axes, filters: list[str]) -> None:
    labels = [name if filter_kind(name) == "raw" else f"{filter_kind(name)} {filter_range(name)}" for name in filters]
    axes.set_yticks(range(len(filters)), labels=[label.replace("\n", " ") for label in labels])
    axes.set_ylim(len(filters) - 0.4, -0.6)
