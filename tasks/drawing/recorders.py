"""Whether a network reads the recorder instead of the heart: scores by recorder, each beside its chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .intervals import beside, draw_interval, interval_text
from .layout import Margins, grid
from .part_colours import part_colours
from .style import INK, SMALL, TEXT, heading, require_columns, tidy, wrapped

COLUMNS = ("recorder", "what", "value", "ci_low", "ci_high", "chance")
_ROW, _LINE = 0.3, 0.16
"""Inches of a row, and more of each further line of a name."""
_HEAD, _HEAD_LINE = 0.7, 0.55
"""Rows that the name of a score takes: the room around it, and each of its lines."""


def recorder_scores(table: pd.DataFrame, *, title: str) -> Figure:
    """A group of rows per score, a row per recorder: its value with its interval, and a bar where chance lies.

    ``table`` has the columns recorder, what (which score), value, ci_low, ci_high and chance, NaN where unknown, a row
    per recorder and score; both keep their order. A value without an interval is hollow, one that is not finite is
    written out. ValueError where a column is missing or a recorder occurs twice in a score.
    """
    require_columns(table, COLUMNS, "table")
    twice = table[table.duplicated(["what", "recorder"])]
    if len(twice):
        raise ValueError(f"table has several rows of {twice.iloc[0]['recorder']!r} for {twice.iloc[0]['what']!r}.")
    rows = table.assign(group=pd.factorize(table["what"])[0]).sort_values("group", kind="stable")
    heads = {str(what): wrapped(str(what), 66) for what in rows["what"]}
    above = np.cumsum([_HEAD + _HEAD_LINE * (words.count("\n") + 1) for words in heads.values()])
    rows["place"] = np.arange(len(rows)) + above[rows["group"]]
    names = [wrapped(str(name), 30) for name in rows["recorder"]]
    height = _ROW + _LINE * max(name.count("\n") for name in names)
    last = rows["place"].iloc[-1]
    figure, cells = grid(1, 1, height * (last + 0.6), Margins(2.3, 2.85, 0.7, 0.85))
    axes = cells[0, 0]
    for words, place in zip(heads.values(), rows.drop_duplicates("group")["place"], strict=True):
        axes.text(0, place - 0.5, words, transform=axes.get_yaxis_transform(), size=TEXT, weight="bold", color=INK,
                  va="bottom")  # fmt: skip
    _draw(axes, rows)
    axes.set_yticks(rows["place"], labels=names)
    axes.set_ylim(last + 0.6, 0)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _limit(axes, rows)
    axes.set_xlabel("score", size=TEXT, color=INK)
    _key(figure)
    heading(figure, title, "value with its interval by recorder; upright bar: what chance alone would reach")
    return figure


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    colours = part_colours(list(dict.fromkeys(map(str, rows["recorder"]))))
    for _, row in rows.iterrows():
        place, chance = row["place"], row["chance"]
        if np.isfinite(chance):
            axes.plot([chance] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.6, zorder=4)
        told = "" if np.isfinite(chance) else "   (chance unknown)"
        axes.text(1.03, place, interval_text(row["value"], row, 2) + told, **beside(axes))
        if np.isfinite(row["value"]):
            colour = colours[str(row["recorder"])]
            face = colour if np.isfinite(row["ci_low"]) else "white"
            draw_interval(axes, place, row["value"], row, (colour, "o", face, ""))


def _limit(axes: Axes, rows: pd.DataFrame) -> None:
    """From 0 to 1, or as far as the values go beyond."""
    values = rows[["value", "ci_low", "ci_high", "chance"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    axes.set_xlim(min(0.0, *values, 1.0) - 0.02, max(1.0, *values, 0.0) + 0.02)


def _key(figure: Figure) -> None:
    bar = Line2D([], [], color=INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="", label="chance")
    figure.legend(handles=[bar], loc="lower right", frameon=False, fontsize=SMALL,
                  bbox_to_anchor=(0.99, 0.1 / figure.get_figheight()))  # fmt: skip
