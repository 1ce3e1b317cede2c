"""Figure 1 of Ellis et al. (2021): how the relevance divides among the parts, over the folds."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from .layout import Margins, grid
from .part_colours import part_colours, part_keys
from .share_boxes import SHARE_LABEL, draw_share_boxes, folds_counted, group_middles, place_of
from .style import INK, SMALL, TEXT, WIDTH, heading, plain, require_columns, tidy, wrapped

COLUMNS = ("explainer", "fold", "part", "share")
_LEFT, _RIGHT = 0.75, 0.15
_LETTERS_PER_INCH = 13
_TURNED_BELOW = 0.7
"""Inches per box under which the explainers' names no longer fit beside each other."""


def modality_shares(by_fold: pd.DataFrame, *, title: str) -> Figure:
    """Boxes over folds of each part's share of absolute relevance, grouped by part, one box per explainer.

    ``by_fold`` has the columns explainer, fold, part and share (percent, 0 to 100), a row per fold. Parts and
    explainers keep the order of the table. ValueError where a column is missing or the table is empty.
    """
    require_columns(by_fold, COLUMNS, "by_fold")
    explainers = list(dict.fromkeys(by_fold["explainer"]))
    colours = part_colours(list(dict.fromkeys(by_fold["part"])))
    per_box = (WIDTH - _LEFT - _RIGHT) / (len(colours) * (len(explainers) + 1))
    turned = per_box < _TURNED_BELOW
    names = [wrapped(name, 22 if turned else int(per_box * _LETTERS_PER_INCH)) for name in explainers]
    figure, cells = grid(1, 1, 3.3, Margins(_LEFT, _RIGHT, 1.1, _room_for(names, turned)))
    axes = cells[0, 0]
    draw_share_boxes(axes, by_fold, explainers, colours, point=4.2)
    tidy(axes, grid="y")
    axes.set_ylim(0, max(100.0, 1.02 * by_fold["share"].max()))
    axes.set_ylabel(SHARE_LABEL, size=TEXT, color=INK)
    places = [place_of(part, one, len(explainers)) for part in range(len(colours)) for one in range(len(explainers))]
    look = {"rotation": 90} if turned else {}
    axes.set_xticks(places, labels=names * len(colours), **look)
    for middle, part in zip(group_middles(len(colours), len(explainers)), colours, strict=True):
        axes.text(
            middle, 1.02, plain(part), transform=axes.get_xaxis_transform(), size=TEXT, weight="bold", color=INK,
            ha="center", va="bottom",
        )  # fmt: skip
    figure.legend(handles=part_keys(colours), loc="lower left", bbox_to_anchor=(0.07, 0), ncols=6, frameon=False,
                  fontsize=SMALL)  # fmt: skip
    heading(
        figure,
        title,
        f"n = {folds_counted(by_fold)}; points: folds; box: quartiles with the median; whiskers: extremes",
    )
    return figure


def _room_for(names: list[str], turned: bool) -> float:
    """Inches under the axes for the explainers' names and the legend."""
    if not turned:
        return 0.55 + 0.15 * max(name.count("\n") + 1 for name in names)
    return 0.5 + 0.072 * max(len(line) for name in names for line in name.split("\n"))
