"""Means over subjects with their intervals, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xai.quality.comparison import mean_table


def subject_means(table: pd.DataFrame, keys: Sequence[str], value: str = "value") -> pd.DataFrame:
    """Mean of ``value`` over subjects for each combination of ``keys``, with its bootstrap interval.

    ``table`` has a row per sample, its ``subject``, the keys and the value (NaN = undefined). A subject's samples
    are averaged first. Returns the keys, mean, ci_low, ci_high, subjects and undefined (subjects).
    """
    by_subject = table.groupby([*keys, "subject"], sort=False, observed=True)[value].mean().unstack("subject")
    cells = by_subject.index.to_frame(index=False)
    means = mean_table(by_subject.T.set_axis(range(len(cells)), axis=1)).drop(columns="explainer")
    return pd.concat([cells, means], axis=1)


def interval_text(row: pd.Series, digits: int = 2, *, percent: bool = False) -> str:
    """``mean [low, high]`` of a row of `subject_means`, in percent on request; says so where there is no interval."""
    mean, low, high = (100 * row[name] if percent else row[name] for name in ("mean", "ci_low", "ci_high"))
    digits, unit = (0, " %") if percent else (digits, "")
    if not np.isfinite(mean):
        return "undefined"
    if not np.isfinite(low):
        return f"{_plain(mean, digits)}{unit} (too few for an interval)"
    return f"{_plain(mean, digits)}{unit} [{_plain(low, digits)}, {_plain(high, digits)}]"


def _plain(value: float, digits: int) -> str:
    """The rounded number; 0 has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def one_row(table: pd.DataFrame, **chosen: object) -> pd.Series:
    """The single row of a table with these values."""
    keep = np.ones(len(table), dtype=bool)
    for column, value in chosen.items():
        keep &= (table[column] == value).to_numpy()
    (place,) = np.flatnonzero(keep)
    return table.iloc[int(place)]
