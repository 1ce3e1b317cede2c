"""Shares of relevance by group of samples: by true and predicted class, by fold, by both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .resampling import FEWEST_SUBJECTS, Array, bootstrap_weights, widened_percentiles

COLUMNS = ("part", "share", "ci_low", "ci_high", "mean_share", "n_epochs", "n_undefined", "n_subjects")


def group_shares(
    table: pd.DataFrame,
    by: Sequence[str] = ("true", "predicted"),
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of each part in each group of every explainer.

    ``table`` has one row per epoch, explainer and part: columns ``subject, explainer, part, share`` (percent, NaN
    = undefined), ``relevance`` (its absolute sum, any unit) and those named ``by``. Returns one row per
    explainer, group and part, columns ``explainer, *by`` and `COLUMNS`: ``share`` is the ratio of the sums of
    relevance over the group's epochs, in percent, with a bootstrap interval over subjects; ``mean_share`` the
    mean of the epochs' own shares, in which a weak epoch counts as much as a strong one. ``n_undefined`` of
    ``n_epochs`` have no share. No interval under 3 subjects. Raises ValueError where a column is missing.
    """
    needed = ["subject", "explainer", "part", "share", "relevance", *by]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"table lacks the columns {missing}; expected {needed}.")
    keys = ["explainer", *by]
    rows = []
    for _, group in table.groupby(keys, sort=True):
        parts = _group(group, resamples, seed, level)
        parts[keys] = group[keys].iloc[0].to_list()
        rows.append(parts)
    return pd.concat(rows, ignore_index=True)[[*keys, *COLUMNS]] if rows else pd.DataFrame(columns=[*keys, *COLUMNS])


def _group(group: pd.DataFrame, resamples: int, seed: int, level: float) -> pd.DataFrame:
    sums = group.pivot_table(index="subject", columns="part", values="relevance", aggfunc="sum", fill_value=0.0)
    low, high = _interval(sums.to_numpy(dtype=float), resamples, seed, level)
    epochs = group.groupby("part")["share"].agg(mean_share="mean", n_epochs="size", defined="count")
    return epochs.assign(
        share=_ratio(sums.to_numpy(dtype=float).sum(axis=0)),
        ci_low=low,
        ci_high=high,
        n_undefined=epochs["n_epochs"] - epochs["defined"],
        n_subjects=len(sums),
    ).reset_index()


def _interval(sums: Array, resamples: int, seed: int, level: float) -> tuple[Array, Array]:
    """Interval of each part's ratio of sums, from the sums of each subject ``(subject, part)``."""
    if len(sums) < FEWEST_SUBJECTS:
        return np.full(sums.shape[1], np.nan), np.full(sums.shape[1], np.nan)
    return widened_percentiles(_ratio(bootstrap_weights(len(sums), resamples, seed) @ sums), len(sums), level)


def _ratio(sums: Array) -> Array:
    """Parts (last axis) in percent of their sum; NaN where that is zero."""
    whole = sums.sum(axis=-1, keepdims=True)
    return np.divide(100 * sums, whole, out=np.full_like(sums, np.nan), where=whole > 0)
