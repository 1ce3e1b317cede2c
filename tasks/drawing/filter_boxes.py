"""Boxes by relevance filter, in each group of boxes one per series of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .filter_names import filter_range, jitter
from .style import INK, MUTED, SMALL

_GROUP = 0.84
"""Width of a group of boxes; groups are 1 apart."""
_ROOM = 0.72
"""Inches that the range of a filter takes."""


def draw_filter_boxes(
    axes: Axes, table: pd.DataFrame, value: str, filters: Sequence[str], colours: Mapping[str, str], *, points: bool
) -> None:
    """Boxes (quartiles, whiskers to the extremes, a diamond for the mean) of the column ``value``.

    ``table`` has the columns filter and series; undefined values are left out, and where nothing else is, the place
    says so. ``points`` draws every value as well.
    """
    each = _GROUP / len(colours)
    for group, name in enumerate(filters):
        for place, (series, colour) in enumerate(colours.items()):
            at = group - _GROUP / 2 + (place + 0.5) * each
            rows = table[(table["filter"] == name) & (table["series"] == series)]
            values = rows[value].to_numpy(dtype=float)
            values = values[np.isfinite(values)]
            if len(values):
                _box(axes, at, 0.86 * each, values, colour, points=points)
            elif len(rows):
                axes.text(at, 0.02, "undefined", rotation=90, ha="center", va="bottom", size=SMALL, color=MUTED,
                          transform=axes.get_xaxis_transform())  # fmt: skip


def _box(axes: Axes, at: float, width: float, values: np.ndarray, colour: str, *, points: bool) -> None:
    if len(values) > 1:
        thin = {"color": colour, "linewidth": 0.9}
        axes.boxplot(
            [values], positions=[at], widths=width, whis=(0, 100), patch_artist=True, manage_ticks=False,
            showfliers=False,
            boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": colour, "linewidth": 0.9},
            medianprops={"color": INK, "linewidth": 1.1}, whiskerprops=thin, capprops={"linewidth": 0},
        )  # fmt: skip
    if points:
        aside = at + jitter(len(values), 0.6 * width)
        axes.plot(aside, values, "o", markersize=2.2, color=colour, alpha=0.75, markeredgewidth=0)
    axes.plot([at], [values.mean()], "D", markersize=3.4, color=INK, markerfacecolor="white", markeredgewidth=0.8)


def name_filters(axes: Axes, filters: Sequence[str], *, labels: bool) -> None:
    """Ticks of the filters' ranges, turned where they find no room side by side."""
    words = [filter_range(name) for name in filters]
    room = axes.get_window_extent().width / axes.figure.dpi / len(filters)
    axes.set_xticks(range(len(filters)), labels=words, rotation=0 if room > _ROOM else 90)
    axes.set_xlim(-0.6, len(filters) - 0.4)
    axes.tick_params(axis="x", length=0, labelbottom=labels)
    for edge in range(1, len(filters)):
        axes.axvline(edge - 0.5, color="#eef1f4", linewidth=0.8, zorder=0)


def series_key(figure: Figure, colours: Mapping[str, str]) -> None:
    """What colour stands for which series, at the lower edge."""
    keys = [Patch(facecolor=colour, alpha=0.6, label=f"series {name}") for name, colour in colours.items()]
    figure.legend(
        handles=keys, loc="lower center", ncols=min(len(keys), 6), frameon=False, fontsize=SMALL, labelcolor=INK,
        bbox_to_anchor=(0.5, 0.05 / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip
