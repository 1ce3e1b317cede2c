"""Shares of relevance as boxes over folds: a group of boxes per part, in it one per explainer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .style import INK, MUTED, SMALL

SHARE_LABEL = "share of absolute relevance (%)"


def place_of(part: int, explainer: int, explainers: int) -> float:
    """Where a box stands: boxes are 1 apart, and groups of ``explainers`` boxes one box further."""
    return part * (explainers + 1.0) + explainer


def group_middles(parts: int, explainers: int) -> list[float]:
    """The middle of each part's group of boxes."""
    return [place_of(part, 0, explainers) + (explainers - 1) / 2 for part in range(parts)]


def folds_counted(table: pd.DataFrame) -> str:
    """``1 fold`` or ``11 folds``: how many of them the column fold holds."""
    count = table["fold"].nunique()
    return f"{count} fold" if count == 1 else f"{count} folds"


def draw_share_boxes(
    axes: Axes, shares: pd.DataFrame, explainers: Sequence[str], colours: dict[str, str], *, point: float
) -> None:
    """Boxes (quartiles, whiskers to the extremes) of ``share`` over folds with every fold as a point on top.

    ``shares`` has the columns explainer, part and share (percent), one row per fold; undefined shares are not
    drawn, and a part without any says so. ``colours`` gives parts their order and colours; ``point``: size of
    a fold's point in printer's points. A single fold is a point without a box.
    """
    for number, (part, colour) in enumerate(colours.items()):
        for position, explainer in enumerate(explainers):
            rows = shares[(shares["part"] == part) & (shares["explainer"] == explainer)]
            values = rows["share"].to_numpy(dtype=float)
            values = values[np.isfinite(values)]
            place = place_of(number, position, len(explainers))
            if len(values) > 1:
                _box(axes, place, values, colour)
            if len(values):
                aside = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
                axes.plot(place + aside, values, "o", markersize=point, color=colour, markeredgecolor="white",
                          markeredgewidth=0.3)  # fmt: skip
            elif len(rows):
                axes.text(place, 2, "undefined", rotation=90, ha="center", va="bottom", size=SMALL, color=MUTED)
    axes.set_xlim(-1, place_of(len(colours) - 1, len(explainers), len(explainers)))


def _box(axes: Axes, place: float, values: np.ndarray, colour: str) -> None:
    thin = {"color": colour, "linewidth": 0.9}
    axes.boxplot(
        [values], positions=[place], widths=0.66, whis=(0, 100), patch_artist=True, manage_ticks=False,
        showfliers=False,
        boxprops={"facecolor": colour, "alpha": 0.5, "edgecolor": colour, "linewidth": 0.9},
        medianprops={"color": INK, "linewidth": 1.2}, whiskerprops=thin, capprops={"linewidth": 0},
    )  # fmt: skip
