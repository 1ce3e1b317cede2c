"""Figures 5 D and Annex 2 of Tjoa et al. (2019): the normalised mean of relevance by filter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .filter_boxes import draw_filter_boxes, name_filters, series_key
from .filter_names import jitter, series_colours
from .layout import WIDTH, inches
from .style import INK, TEXT, heading, require_columns, tidy

MEANS = ("filter", "series", "mean")
LABEL = "mean of R / max |R|"
_SCATTER, _BOXES, _BETWEEN, _TOP, _BOTTOM, _LEFT, _RIGHT = 2.1, 2.1, 0.42, 1.0, 0.75, 0.8, 0.12


def normalised_means(means: pd.DataFrame, *, title: str) -> Figure:
    """Every mean as a point above its filter, spread sideways at random, and below the same as boxes by series.

    ``means`` has a row per net, case and channel: filter, series and mean, the mean over space of relevance divided by
    the channel's largest |R|; NaN where undefined, which is counted and not drawn. ValueError where a column is
    missing.
    """
    require_columns(means, MEANS, "means")
    filters = list(dict.fromkeys(means["filter"]))
    colours = series_colours(list(dict.fromkeys(means["series"])))
    height = _TOP + _SCATTER + _BETWEEN + _BOXES + _BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    width = WIDTH - _LEFT - _RIGHT
    above = inches(figure, _LEFT, _BOTTOM + _BOXES + _BETWEEN, width, _SCATTER)
    below = inches(figure, _LEFT, _BOTTOM, width, _BOXES)
    for series, colour in colours.items():
        rows = means[means["series"] == series].dropna(subset=["mean"])
        groups = rows["filter"].map(filters.index).to_numpy(dtype=float)
        places = groups + jitter(len(rows), 0.84)
        above.plot(places, rows["mean"], "o", markersize=3, color=colour, alpha=0.5, markeredgewidth=0)
    draw_filter_boxes(below, means, "mean", filters, colours, points=False)
    for axes, words in ((above, "every net, case and channel"), (below, "by series")):
        tidy(axes, grid="y")
        axes.axhline(0, color=INK, linewidth=0.7, zorder=1)
        name_filters(axes, filters, labels=axes is below)
        axes.set_ylabel(LABEL, size=TEXT, color=INK)
        axes.set_title(words, size=TEXT, color=INK, loc="left", pad=3)
    undefined = int(np.isnan(means["mean"].to_numpy(dtype=float)).sum())
    heading(figure, title, f"{len(means) - undefined:,} means, {undefined:,} undefined and not shown; "
            "boxes: quartiles, whiskers to the extremes; diamond: mean")  # fmt: skip
    series_key(figure, colours)
    return figure
