"""Coefficients of all models with their intervals: what changes when epochs are not taken to be independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .coefficients import SIGNIFICANT
from .layout import Margins, grid
from .style import FIRST, INK, MUTED, SECOND, SMALL, TEXT, heading, plain, require_columns, tidy, wrapped

COLUMNS = ("group", "part", "model", "factor", "coefficient", "ci_low", "ci_high", "q", "n_subjects")
_COLOURS = {"ols": SECOND, "ols_cluster": "#009e73", "mixed": "#aa4499", "subject_mean": FIRST}
_OTHERS = ("#7d6a1f", "#332288", "#56a5c8", "#661100")
_ROW = 0.2


def coefficient_forest(
    coefficients: pd.DataFrame, part: str, groups: Mapping[str, str], *, title: str, unit: str = "percentage points"
) -> Figure:
    """A panel per factor: for every group a row per model, its coefficient with its interval, 0 marked.

    ``coefficients`` has the columns group, part, model, factor, coefficient, ci_low, ci_high, q and n_subjects, a
    row per coefficient of one explainer; ``groups`` gives those to show and their labels. Filled: q < 0.05.
    ValueError where a column is missing or the part is unknown.
    """
    require_columns(coefficients, COLUMNS, "coefficients")
    rows = coefficients[(coefficients["part"] == part) & coefficients["group"].isin(list(groups))]
    require_columns(rows, COLUMNS, f"coefficients of the part {part!r}")
    factors, models = list(dict.fromkeys(rows["factor"])), list(dict.fromkeys(rows["model"]))
    others = iter(_OTHERS * len(models))
    colours = {model: _COLOURS.get(model) or next(others) for model in models}
    height = _ROW * len(groups) * (len(models) + 1)
    figure, axes = grid(1, len(factors), height, Margins(1.3, 0.2, 1.0, 1.05, between_columns=0.2))
    for factor, panel in zip(factors, axes[0], strict=True):
        _panel(panel, rows[rows["factor"] == factor], groups, colours)
        panel.set_title(plain(factor), size=TEXT, weight="bold", color=INK, loc="left", pad=4)
    _label_groups(axes[0, 0], rows, groups, len(models))
    figure.supxlabel(plain(f"coefficient ({unit} per unit of the factor)"), size=TEXT, color=INK,
                     y=0.48 / figure.get_figheight())  # fmt: skip
    _key(figure, colours)
    heading(figure, title, f"{part}: coefficient and interval by model; filled: q < {SIGNIFICANT}")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, groups: Mapping[str, str], colours: Mapping[str, str]) -> None:
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for _, row in rows.iterrows():
        place = _place(list(groups), list(colours), row["group"], row["model"])
        if not np.isfinite(row["coefficient"]):
            axes.text(0.02, place, "no estimate", transform=axes.get_yaxis_transform(), size=SMALL, color=MUTED,
                      va="center")  # fmt: skip
            continue
        colour = colours[row["model"]]
        axes.plot([row["ci_low"], row["ci_high"]], [place] * 2, color=colour, linewidth=1.8, zorder=2)
        face = colour if row["q"] < SIGNIFICANT else "white"
        axes.plot([row["coefficient"]], [place], "o", markersize=5, color=colour, markerfacecolor=face,
                  markeredgewidth=1.3, zorder=3)  # fmt: skip
    for number in range(1, len(groups)):
        axes.axhline(number * (len(colours) + 1) - 1, color=MUTED, linewidth=0.4)
    tidy(axes, grid="x")
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(groups) * (len(colours) + 1) - 1, -1)


def _place(groups: Sequence[str], models: Sequence[str], group: str, model: str) -> int:
    return groups.index(group) * (len(models) + 1) + models.index(model)


def _label_groups(axes: Axes, rows: pd.DataFrame, groups: Mapping[str, str], models: int) -> None:
    people = rows.groupby("group")["n_subjects"].max()
    labels = [f"{wrapped(label, 16)}\nn = {_count(people.get(group))}" for group, label in groups.items()]
    axes.set_yticks([number * (models + 1) + (models - 1) / 2 for number in range(len(groups))], labels=labels)
    axes.tick_params(axis="y", length=0)


def _count(people: float | None) -> str:
    if people is None or pd.isna(people):
        return "?"
    return f"{int(people)} subject" + ("s" if people != 1 else "")


def _key(figure: Figure, colours: Mapping[str, str]) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5, linewidth=1.8, label=plain(model))
        for model, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="lower center", ncols=min(len(handles), 6), frameon=False, fontsize=SMALL)
