"""Whether explanations are equally good for everyone: a metric by subgroup."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .layout import Margins, grid
from .style import INK, MUTED, SMALL, TEXT, explainer_style, heading, plain, require_columns, tidy, wrapped

COLUMNS = ("group", "level", "explainer", "mean", "ci_low", "ci_high", "n")
PANELS_PER_ROW = 5


def subgroups(table: pd.DataFrame, *, metric: str, higher_is_better: bool, title: str) -> Figure:
    """Mean and interval of a metric per level of each group (sex, age band, drug), a panel per explainer.

    ``table`` has the columns group, level, explainer, mean, ci_low, ci_high and n (subjects). A mean without
    an interval is drawn hollow; an undefined mean is written out. ValueError where a column is missing.
    """
    require_columns(table, COLUMNS, "table")
    explainers = list(dict.fromkeys(table["explainer"]))
    places = _places(table)
    columns = min(len(explainers), PANELS_PER_ROW)
    bands = -(-len(explainers) // columns)
    height = 0.27 * (max(places.values()) + 1)
    margins = Margins(2.2, 0.2, 1.05, 0.65, between_columns=0.14, between_rows=0.75)
    figure, axes = grid(bands, columns, height, margins)
    panels = list(axes.flat)
    for position, (name, panel) in enumerate(zip(explainers, panels, strict=False)):
        colour = explainer_style(name, position)["color"]
        _panel(panel, table[table["explainer"] == name], places, colour)
        panel.set_title(wrapped(name, 18), size=TEXT, color=INK, loc="left", pad=4)
    for spare in panels[len(explainers) :]:
        spare.set_visible(False)
    _same_scale(panels[: len(explainers)], table)
    for row in axes:
        _label_levels(row[0], table, places)
    figure.supxlabel(plain(metric), size=TEXT, color=INK, y=0.12 / figure.get_figheight())
    direction = "higher" if higher_is_better else "lower"
    heading(figure, title, f"{metric}: {direction} is more faithful; n = subjects")
    return figure


def _places(table: pd.DataFrame) -> dict[tuple[object, object], float]:
    """Vertical place of each (group, level), in rows from the top, with room for the group's name."""
    places: dict[tuple[object, object], float] = {}
    row = 0.0
    for group, part in table.groupby("group", sort=False):
        row += 1
        for level in dict.fromkeys(part["level"]):
            places[group, level] = row
            row += 1
        row += 0.3
    return places


def _panel(axes: Axes, rows: pd.DataFrame, places: dict[tuple[object, object], float], colour: str) -> None:
    for _, row in rows.iterrows():
        place = places[row["group"], row["level"]]
        if not np.isfinite(row["mean"]):
            axes.text(
                0.5, place, "undefined", transform=axes.get_yaxis_transform(),
                size=SMALL, color=MUTED, ha="center", va="center",
            )  # fmt: skip
            continue
        known = bool(np.isfinite(row["ci_low"]))
        axes.plot([row["ci_low"], row["ci_high"]], [place] * 2, color=colour, linewidth=2, zorder=2)
        axes.plot(
            [row["mean"]], [place], "o", color=colour, markersize=6,
            markerfacecolor=colour if known else "white", zorder=3,
        )  # fmt: skip


def _same_scale(panels: list[Axes], table: pd.DataFrame) -> None:
    values = table[["mean", "ci_low", "ci_high"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    room = 0.08 * ((high - low) or 1.0)
    for panel in panels:
        tidy(panel, grid="x")
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0, labelleft=False)
        panel.tick_params(axis="x", labelbottom=True)
        panel.locator_params(axis="x", nbins=3)
        panel.set_xlim(low - room, high + room)


def _label_levels(axes: Axes, table: pd.DataFrame, places: dict[tuple[object, object], float]) -> None:
    counts = table.groupby(["group", "level"], sort=False)["n"].max().to_dict()
    axes.set_ylim(max(places.values()) + 0.6, -0.6)
    axes.set_yticks(list(places.values()), labels=[_level_label(key, counts[key]) for key in places])
    axes.tick_params(axis="y", labelleft=True)
    for group in dict.fromkeys(group for group, _ in places):
        top = min(place for (name, _), place in places.items() if name == group)
        axes.text(
            -0.03, top - 0.95, plain(group), transform=axes.get_yaxis_transform(),
            size=TEXT, weight="bold", color=INK, ha="right", va="center",
        )  # fmt: skip


def _level_label(key: tuple[object, object], count: float) -> str:
    return f"{plain(key[1])}  (n = {'?' if pd.isna(count) else int(count)})"
