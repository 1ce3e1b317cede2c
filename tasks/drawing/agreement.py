"""How far explainers agree with each other: every pair's value with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .layout import inches
from .style import INK, RULE, SIGNED, SMALL, TEXT, WIDTH, heading, require_columns, wrapped

COLUMNS = ("first", "second", "value", "ci_low", "ci_high")
_LEFT, _BOTTOM, _TOP = 1.7, 0.75, 0.85
_WIDEST = 1.5
_ROW = 0.72


def agreement(pairs: pd.DataFrame, *, measure: str, n: str, title: str) -> Figure:
    """Explainers by explainers: a measure in [-1, 1] (rank correlation, intraclass correlation) and its interval.

    ``pairs`` has the columns first, second, value, ci_low and ci_high, each unordered pair once; ``n`` says on how
    many of what it rests. A pair that is absent or undefined is grey. ValueError where a column is missing or a
    pair occurs twice.
    """
    require_columns(pairs, COLUMNS, "pairs")
    names = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    cells: dict[frozenset[str], pd.Series] = {}
    for _, row in pairs.iterrows():
        pair = frozenset((row["first"], row["second"]))
        if pair in cells:
            raise ValueError(f"pairs has several rows for {sorted(pair)}; expected each pair once.")
        cells[pair] = row
    size = len(names)
    width = min(_WIDEST, (WIDTH - _LEFT - 0.2) / size)
    figure = Figure(figsize=(WIDTH, _ROW * size + _BOTTOM + _TOP), facecolor="white")
    axes = inches(figure, _LEFT, _BOTTOM, width * size, _ROW * size)
    axes.imshow(_values(names, cells), cmap=SIGNED.with_extremes(bad=RULE), vmin=-1, vmax=1, aspect="auto")
    for row, column in np.ndindex(size, size):
        _write(axes, row, column, cells.get(frozenset((names[row], names[column]))))
    axes.set_xticks(range(size), labels=[wrapped(name, int(11 * width)) for name in names])
    axes.set_yticks(range(size), labels=[wrapped(name, 20) for name in names])
    axes.tick_params(labelsize=SMALL, labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)
    heading(figure, title, f"{measure} and its interval; n = {n}; red: agree, blue: disagree")
    return figure


def _values(names: list[str], cells: dict[frozenset[str], pd.Series]) -> np.ma.MaskedArray:
    values = np.full((len(names), len(names)), np.nan)
    for row, column in np.ndindex(values.shape):
        cell = cells.get(frozenset((names[row], names[column])))
        if row != column and cell is not None:
            values[row, column] = cell["value"]
    return np.ma.masked_invalid(values)


def _write(axes: Axes, row: int, column: int, cell: pd.Series | None) -> None:
    if row == column:
        text, size = "same", SMALL
    elif cell is None or not np.isfinite(cell["value"]):
        text, size = "undefined", SMALL
    else:
        bounds = f"[{cell['ci_low']:.2f},\n{cell['ci_high']:.2f}]" if np.isfinite(cell["ci_low"]) else "no interval"
        text, size = f"{cell['value']:.2f}\n{bounds}", TEXT
    strong = cell is not None and row != column and abs(cell["value"]) > 0.75
    axes.text(
        column, row, text.replace("-", "−"), ha="center", va="center", size=size, color="white" if strong else INK
    )
