"""What is measured on cropped windows against their length: a row per quantity, a line per explainer."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .layout import Margins, grid
from .style import INK, MUTED, SMALL, TEXT, explainer_style, heading, plain, require_columns, tidy

COLUMNS = ("quantity", "explainer", "length", "mean", "ci_low", "ci_high")


def sequence_length(means: pd.DataFrame, shown: Mapping[str, str], *, unit: str, title: str) -> Figure:
    """Means with their intervals against the length (in ``unit``, logarithmic).

    ``means`` has the columns quantity, explainer, length, mean, ci_low and ci_high; ``shown`` names the quantities to
    draw, from the top, and the label of each. ValueError where a column is missing.
    """
    require_columns(means, COLUMNS, "means")
    margins = Margins(1.05, 2.2, 0.75, 0.6, between_rows=0.2)
    figure, axes = grid(len(shown), 1, 1.7, margins)
    for panel, (quantity, label) in zip(axes[:, 0], shown.items(), strict=True):
        _panel(panel, means[means["quantity"] == quantity])
        panel.set_ylabel(plain(label), size=TEXT, color=INK)
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=SMALL)
    lengths = sorted(set(means["length"]))
    axes[-1, 0].set_xscale("log")
    axes[-1, 0].set_xticks(lengths, labels=[str(length) for length in lengths])
    axes[-1, 0].xaxis.set_minor_locator(NullLocator())
    axes[-1, 0].set_xlabel(plain(f"length of the window ({unit})"), size=TEXT, color=INK)
    heading(figure, title, "mean and interval; an excess above 0: the gradient is less faithful than occlusion")
    return figure


def _panel(axes: Axes, means: pd.DataFrame) -> None:
    names = list(dict.fromkeys(means["explainer"]))
    for position, name in enumerate(names):
        line = means[means["explainer"] == name].sort_values("length")
        style = explainer_style(name, position)
        places = line["length"] * 1.02 ** (position - (len(names) - 1) / 2)  # side by side, so that bars can be told
        axes.plot(places, line["mean"], marker="o", markersize=4, linewidth=1.7, label=plain(name), **style)
        axes.vlines(places, line["ci_low"], line["ci_high"], color=style["color"], linewidth=1.5)
    axes.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    tidy(axes, grid="y")
