"""Figure 2 of Ellis et al. (2021): the parts' shares of relevance for every pair of true and predicted class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .layout import AxesGrid, Margins, grid
from .part_colours import part_colours, part_keys
from .share_boxes import draw_share_boxes, folds_counted, group_middles, place_of
from .style import INK, MUTED, SMALL, TEXT, WIDTH, heading, plain, require_columns, tidy, wrapped

GROUPS = ("explainer", "true", "predicted", "part", "share", "ci_low", "ci_high", "n_epochs", "n_subjects")
BY_FOLD = ("explainer", "true", "predicted", "fold", "part", "share")
_ROW = 1.25
_BETWEEN = 0.08
_NARROW = 1.5
"""Inches of a panel below which its counts stand in two lines."""
_LETTERS_PER_INCH = 8.5
_LEFT, _RIGHT = 0.95, 0.1
_ASIDE = 0.5
"""How far right of its box an interval stands; boxes are 1 apart."""
_LINE = 105
"""Letters of a line of the key."""


def share_groups(
    by_group: pd.DataFrame, by_fold: pd.DataFrame, classes: Sequence[str], *, title: str, samples: str = "epochs"
) -> Figure:
    """Panels true class (row) by predicted class (column): boxes over folds, and the pooled share's interval.

    ``by_group`` has the columns explainer, true, predicted (names of ``classes``), part, share (percent, pooled),
    ci_low and ci_high (over subjects, NaN where too few), n_epochs and n_subjects; ``by_fold`` explainer, true,
    predicted, fold, part and share. A pair that does not occur says "no epochs" (``samples``: what they are).
    ValueError where a column is missing or a class is not among ``classes``.
    """
    require_columns(by_group, GROUPS, "by_group")
    require_columns(by_fold, BY_FOLD, "by_fold")
    for table, name in ((by_group, "by_group"), (by_fold, "by_fold")):
        _require_classes(table, classes, name)
    explainers = list(dict.fromkeys(by_group["explainer"]))
    colours = part_colours(list(dict.fromkeys(by_group["part"])))
    key = _key(explainers)
    width = (WIDTH - _LEFT - _RIGHT) / len(classes) - _BETWEEN
    names = [wrapped(name, int(width * _LETTERS_PER_INCH)) for name in classes]
    name_lines = max(name.count("\n") + 1 for name in names)
    narrow = width < _NARROW
    bottom = 0.8 + 0.17 * (key.count("\n") + 1)
    top, gap = (1.33, 0.57) if narrow else (1.18, 0.42)
    margins = Margins(_LEFT, _RIGHT, top + 0.17 * name_lines, bottom, between_columns=_BETWEEN, between_rows=gap)
    figure, axes = grid(len(classes), len(classes), _ROW, margins)
    for (row, column), cell in np.ndenumerate(axes):
        here = _of_pair(by_group, classes[row], classes[column])
        _panel(cell, here, _of_pair(by_fold, classes[row], classes[column]), explainers, colours, samples)
        cell.set_title(_count(here, narrow=narrow), size=SMALL, color=INK, pad=3)
        cell.set_facecolor("#f4f6f8" if row == column else "white")
    _name_classes(figure, axes, classes, names, gap - 0.2)
    _name_parts(axes, colours, len(explainers))
    _legend(figure, colours, key)
    heading(figure, title, f"share of absolute relevance (%); boxes: {folds_counted(by_fold)}; "
            "diamond and line: pooled, with its interval over subjects (hollow: too few)")  # fmt: skip
    return figure


def _require_classes(table: pd.DataFrame, classes: Sequence[str], what: str) -> None:
    unknown = sorted((set(table["true"]) | set(table["predicted"])) - set(classes), key=str)
    if unknown:
        raise ValueError(f"{what} has the classes {unknown}; expected some of {list(classes)}.")


def _of_pair(table: pd.DataFrame, true: str, predicted: str) -> pd.DataFrame:
    return table[(table["true"] == true) & (table["predicted"] == predicted)]


def _panel(
    axes: Axes,
    pooled: pd.DataFrame,
    folds: pd.DataFrame,
    explainers: Sequence[str],
    colours: dict[str, str],
    samples: str,
) -> None:
    tidy(axes, grid="y")
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.set_xlim(-1, place_of(len(colours) - 1, len(explainers), len(explainers)))
    axes.set_xticks([])
    if pooled.empty or not pooled["n_epochs"].max() > 0:
        axes.text(0.5, 0.5, f"no {samples}", transform=axes.transAxes, size=TEXT, color=MUTED, ha="center", va="center")
        return
    draw_share_boxes(axes, folds, explainers, colours, point=2.0)
    for _, row in pooled.iterrows():
        place = place_of(list(colours).index(row["part"]), explainers.index(row["explainer"]), len(explainers))
        axes.vlines(place + _ASIDE, row["ci_low"], row["ci_high"], color=INK, linewidth=0.9, zorder=4)
        axes.plot([place + _ASIDE], [row["share"]], "D", color=INK, markersize=2.2, markeredgewidth=0.7, zorder=5,
                  markerfacecolor=INK if np.isfinite(row["ci_low"]) else "white")  # fmt: skip


def _count(pooled: pd.DataFrame, *, narrow: bool) -> str:
    """How many samples a pair has, of how many subjects; nothing where it does not occur."""
    if pooled.empty or not pooled["n_epochs"].max() > 0:
        return ""
    people = int(pooled["n_subjects"].max())
    break_ = "\n" if narrow else " "
    return f"{int(pooled['n_epochs'].max()):,}{break_}({people} subject{'s' * (people != 1)})"


def _name_classes(figure: Figure, axes: AxesGrid, classes: Sequence[str], names: Sequence[str], above: float) -> None:
    """The predicted classes ``above`` inches over the columns, the true ones left of the rows."""
    height = figure.get_figheight()
    for cell, name in zip(axes[0], names, strict=True):
        place = cell.get_position()
        figure.text((place.x0 + place.x1) / 2, place.y1 + above / height, name, size=TEXT, weight="bold",
                    color=INK, ha="center", va="bottom")  # fmt: skip
    for cell, name in zip(axes[:, 0], classes, strict=True):
        cell.set_ylabel(wrapped(name, 14), size=TEXT, weight="bold", color=INK)
    figure.align_ylabels(axes[:, 0])
    grid_top, grid_bottom = axes[0, 0].get_position().y1, axes[-1, 0].get_position().y0
    figure.text(0.12 / WIDTH, (grid_top + grid_bottom) / 2, "true class", size=TEXT, color=MUTED, rotation=90,
                va="center")  # fmt: skip
    middle = (axes[0, 0].get_position().x0 + axes[0, -1].get_position().x1) / 2
    lines = max(name.count("\n") + 1 for name in names)
    figure.text(
        middle,
        grid_top + (above + 0.1 + 0.17 * lines) / height,
        "predicted class",
        size=TEXT,
        color=MUTED,
        ha="center",
        va="bottom",
    )


def _name_parts(axes: AxesGrid, colours: dict[str, str], explainers: int) -> None:
    names = [wrapped(part.split(" ")[0], 8) for part in colours]
    for cell in axes[-1]:
        cell.set_xticks(group_middles(len(colours), explainers), labels=names)
        cell.tick_params(axis="x", length=0)


def _key(explainers: Sequence[str]) -> str:
    """Which box is which explainer, in lines that fit."""
    lines = ["in each group, from left to right:"]
    for number, name in enumerate(explainers, start=1):
        entry = f"  {number} {name}"
        if len(lines[-1]) + len(entry) > _LINE:
            lines.append("")
        lines[-1] += entry
    return plain("\n".join(line.strip() for line in lines))


def _legend(figure: Figure, colours: dict[str, str], key: str) -> None:
    height = figure.get_figheight()
    figure.text(_LEFT / WIDTH, 0.42 / height, key, size=SMALL, color=INK, va="bottom", linespacing=1.4)
    figure.legend(handles=part_keys(colours), loc="lower left", bbox_to_anchor=(_LEFT / WIDTH - 0.01, 0.05 / height),
                  ncols=8, frameon=False, fontsize=SMALL)  # fmt: skip
