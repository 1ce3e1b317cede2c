"""The effect of gaps against their length: a line per channel."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .layout import Margins, grid
from .style import FIRST, INK, MUTED, SECOND, SMALL, TEXT, heading, plain, require_columns, tidy

COLUMNS = ("channel", "filled", "gap", "quantity", "mean", "ci_low", "ci_high")
QUANTITIES = {
    "logit": "fall in logit\nof the true class",
    "probability": "fall in probability\nof the true class",
    "changed": "share of decisions\nchanged",
}
FILLED = {"zero": "gap set to 0 (normalised)", "held": "last value held"}
_COLOURS = (FIRST, SECOND, "#009e73", "#cc79a7", "#882255", "#999933")


def missing_values(table: pd.DataFrame, *, unit: str, kind: str, title: str) -> Figure:
    """Mean effect with its interval against the length of the gap; a row per quantity, a column per filling.

    ``table`` has the columns channel, filled (``zero`` or ``held``), gap (in ``unit``), quantity (``logit``,
    ``probability``, ``changed``), mean, ci_low and ci_high over what ``kind`` names. The first channel is drawn in
    ink: it stands for all.
    ValueError where a column is missing.
    """
    require_columns(table, COLUMNS, "table")
    margins = Margins(0.95, 0.15, 0.95, 0.95, between_columns=0.15, between_rows=0.15)
    figure, axes = grid(len(QUANTITIES), len(FILLED), 1.55, margins)
    channels = list(dict.fromkeys(table["channel"]))
    for row, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        for panel, filled in zip(row, FILLED, strict=True):
            part = table[(table["quantity"] == quantity) & (table["filled"] == filled)]
            _panel(panel, part, channels)
        row[0].set_ylabel(label, size=TEXT, color=INK)
    for panel, words in zip(axes[0], FILLED.values(), strict=True):
        panel.set_title(words, size=TEXT, color=INK, loc="left", pad=4)
    for panel in axes[-1]:
        panel.set_xlabel(plain(f"length of the gap ({unit})"), size=TEXT, color=INK)
    if len(channels) > 1:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=SMALL)
    heading(figure, title, f"mean over {kind}s with its interval; above 0: the gap harms")
    return figure


def _panel(axes: Axes, table: pd.DataFrame, channels: list[str]) -> None:
    for position, channel in enumerate(channels):
        line = table[table["channel"] == channel].sort_values("gap")
        colour = _COLOURS[(position - 1) % len(_COLOURS)] if position else INK
        dashes: Any = "-" if position else (0, (5, 2))
        axes.plot(
            line["gap"], line["mean"], marker="o", markersize=4, linewidth=1.7, linestyle=dashes, color=colour,
            label=plain(channel),
        )  # fmt: skip
        axes.fill_between(line["gap"], line["ci_low"], line["ci_high"], color=colour, alpha=0.12, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    axes.set_xscale("log")
    gaps = sorted(set(table["gap"]))
    axes.set_xticks(gaps, labels=[f"{gap:.3g}" for gap in gaps])
    axes.xaxis.set_minor_locator(NullLocator())
    tidy(axes, grid="y")
