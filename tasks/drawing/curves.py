"""Perturbation curves: how the score falls while the input is removed in an explainer's order."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .layout import Margins, grid
from .style import CONTROLS, INK, MUTED, SMALL, TEXT, explainer_style, heading, plain, require_columns, tidy

COLUMNS = ("explainer", "baseline", "order", "fraction", "mean", "ci_low", "ci_high")
ORDERS = {
    "morf": ("most relevant first (MoRF)", "most relevant first: a faster fall is more faithful"),
    "lerf": ("least relevant first (LeRF)", "least relevant first: a slower fall is more faithful"),
}


def perturbation_curves(curves: pd.DataFrame, *, title: str, score: str = "score of the labelled class") -> Figure:
    """Mean score against the fraction of the input removed; a panel per order, a row per baseline.

    ``curves`` has the columns explainer, baseline, order (``morf`` or ``lerf``), fraction in [0, 1], mean,
    ci_low and ci_high (a NaN interval draws no band). ``score`` names the scalar and its unit. Samek et
    al. (2017). ValueError where a column is missing or an order is unknown.
    """
    require_columns(curves, COLUMNS, "curves")
    unknown = sorted(set(curves["order"]) - set(ORDERS))
    if unknown:
        raise ValueError(f"curves has the orders {unknown}; expected {' or '.join(map(repr, ORDERS))}.")
    orders = [order for order in ORDERS if (curves["order"] == order).any()]
    baselines = list(dict.fromkeys(curves["baseline"]))
    names = list(dict.fromkeys(curves["explainer"]))
    legend_rows = -(-len(names) // 4)
    row_height = 3.0 if len(baselines) == 1 else 2.1
    bottom = 0.65 + 0.22 * legend_rows
    figure, axes = grid(len(baselines), len(orders), row_height, Margins(0.85, 0.15, 1.0, bottom, 0.4, 0.35))
    for row, baseline in enumerate(baselines):
        for column, order in enumerate(orders):
            part = curves[(curves["baseline"] == baseline) & (curves["order"] == order)]
            _panel(axes[row, column], part, names)
            axes[row, column].set_title(_panel_title(order, baseline), size=TEXT, color=INK, loc="left", pad=4)
        axes[row, 0].set_ylabel(plain(score), size=TEXT, color=INK)
    for panel in axes[-1]:
        panel.set_xlabel("fraction of the input removed", size=TEXT, color=INK)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=SMALL, handlelength=2.8)
    heading(figure, title, "; ".join(ORDERS[order][1] for order in orders))
    return figure


def _panel_title(order: str, baseline: str) -> str:
    return plain(ORDERS[order][0] + (f", removed parts set to {baseline}" if baseline else ""))


def _panel(axes: Axes, curves: pd.DataFrame, names: list[str]) -> None:
    for position, name in enumerate(names):
        line = curves[curves["explainer"] == name].sort_values("fraction")
        style = explainer_style(name, position)
        depth = 2 if name in CONTROLS else 3
        label = plain(name + (" (control)" if name in CONTROLS else ""))
        axes.plot(line["fraction"], line["mean"], label=label, linewidth=1.7, zorder=depth, **style)
        axes.fill_between(
            line["fraction"], line["ci_low"], line["ci_high"], color=style["color"], alpha=0.1, linewidth=0
        )
    axes.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    axes.set_xlim(0, 1)
    tidy(axes, grid="y")
