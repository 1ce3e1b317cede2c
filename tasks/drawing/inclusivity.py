"""Figure 3 of Tjoa et al. (2019): inclusivity coefficients by filter, and their table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .filter_boxes import draw_filter_boxes, name_filters, series_key
from .filter_names import KINDS, filter_kind, filter_range, kinds_of, of_kind, series_colours
from .layout import WIDTH, inches
from .style import INK, TEXT, heading, plain, require_columns, tidy

INCLUSIVITY = ("case", "series", "filter", "against", "value")
_ROW, _TOP, _BOTTOM, _LEFT, _RIGHT, _APART = 1.55, 0.98, 1.15, 0.78, 0.12, 0.12
_TITLE = 0.26
"""Inches above a row for the names of its panels."""


def inclusivity_boxes(coefficients: pd.DataFrame, *, title: str) -> Figure:
    """Boxes of D(relevance, truth) and D(relevance, input) by filter and series: a row per case and b of D(a, b).

    ``coefficients`` has a row per net and channel: case, series, filter (``raw``, ``pass<low>-<high>``,
    ``clamp<high>``), against (``truth``, ``input``) and value in [0, 1], NaN where undefined. Pass filters stand left,
    clamps right, raw relevance beside both. ValueError where a column is missing or a filter is none of these.
    """
    require_columns(coefficients, INCLUSIVITY, "coefficients")
    kinds = kinds_of(coefficients["filter"])
    filters = [of_kind(coefficients["filter"], kind) for kind in kinds]
    colours = series_colours(list(dict.fromkeys(coefficients["series"])))
    rows = list(coefficients[["case", "against"]].drop_duplicates().itertuples(index=False, name=None))
    height = _TOP + len(rows) * (_ROW + _TITLE) + _BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    widths = _widths([len(names) for names in filters])
    for number, (case, against) in enumerate(rows):
        part = coefficients[(coefficients["case"] == case) & (coefficients["against"] == against)]
        bottom = height - _TOP - (number + 1) * (_ROW + _TITLE) + _TITLE
        left, shared = _LEFT, None
        for kind, names, width in zip(kinds, filters, widths, strict=True):
            axes = inches(figure, left, bottom, width, _ROW, sharey=shared)
            draw_filter_boxes(axes, part, "value", names, colours, points=True)
            _dress(axes, names, case, against, kind, last=number == len(rows) - 1)
            axes.tick_params(labelleft=shared is None)
            if shared is None:
                axes.set_ylabel(f"D(relevance, {against})", size=TEXT, color=INK)
            left, shared = left + width + _APART, axes
    count = coefficients.groupby(["case", "against", "series", "filter"])["value"].size().max()
    heading(figure, title, f"boxes: quartiles of at most {count} values (net and channel) each; diamond: mean; "
            "range: (low, high) in fractions of the largest |R|")  # fmt: skip
    series_key(figure, colours)
    return figure


def _widths(counts: Sequence[int]) -> list[float]:
    room = WIDTH - _LEFT - _RIGHT - _APART * (len(counts) - 1)
    return [room * count / sum(counts) for count in counts]


def _dress(axes: Axes, names: Sequence[str], case: object, against: object, kind: str, *, last: bool) -> None:
    tidy(axes, grid="y")
    name_filters(axes, names, labels=last)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_title(plain(f"case {case}, {against}, {kind}"), size=TEXT, color=INK, loc="left", pad=3)


def inclusivity_table(coefficients: pd.DataFrame, case: object) -> pd.DataFrame:
    """The table in Figure 3: the mean D of a case by filter, a column per ``against`` and series.

    Columns filter (its kind), range, then ``truth A``, ``truth B``, ... Undefined values are left out of a mean.
    ValueError where a column is missing or the case has no row.
    """
    require_columns(coefficients, INCLUSIVITY, "coefficients")
    rows = coefficients[coefficients["case"] == case]
    require_columns(rows, INCLUSIVITY, f"coefficients of case {case}")
    means = rows.pivot_table(index="filter", columns=["against", "series"], values="value", aggfunc="mean", sort=False)
    order = sorted(dict.fromkeys(rows["filter"]), key=lambda name: ("raw", *KINDS).index(filter_kind(name)))
    columns = [
        (against, series) for against in dict.fromkeys(rows["against"]) for series in dict.fromkeys(rows["series"])
    ]
    means = means.reindex(index=order, columns=pd.MultiIndex.from_tuples(columns))
    table = pd.DataFrame({f"{against} {series}": means[against, series].to_numpy() for against, series in columns})
    table.insert(0, "range", [filter_range(name) if filter_kind(name) != "raw" else "" for name in order])
    table.insert(0, "filter", [filter_kind(name) for name in order])
    return table.astype(dict.fromkeys(table.columns[2:], np.float64))
