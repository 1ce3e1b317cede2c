"""Differences with intervals over subjects: two versions on the same subjects, and two groups of subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from xai.quality.resampling import FEWEST_SUBJECTS, adjusted, bootstrap_weights, mean_intervals, widened_percentiles

from ..training.confusions import class_rates, subject_confusions

LEVEL = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """A difference with its 95 % interval; NaN where there are too few subjects."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Gap:
    """How far two groups of subjects are apart: ``first`` - ``second``, by absolute value, with the corrected p.

    ``low`` and ``high`` bound the absolute difference. ``p_adjusted``: of "they are apart by no more than the bound",
    Holm over all pairs of groups.
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    p_adjusted: float


def mean_difference(ours: pd.Series, theirs: pd.Series) -> Difference:
    """The mean of ours - theirs over the subjects (index) that have both; bootstrap over subjects."""
    paired = (ours - theirs).dropna().sort_values().to_numpy(dtype=float)
    if len(paired) < FEWEST_SUBJECTS:
        return Difference(float(paired.mean()) if len(paired) else math.nan)
    low, high = mean_intervals(paired[:, None], RESAMPLES, 0, LEVEL)
    return Difference(float(paired.mean()), float(low[0]), float(high[0]))


def balanced_accuracy_difference(ours: pd.DataFrame, theirs: pd.DataFrame, classes: int) -> Difference:
    """Our balanced accuracy - theirs on the subjects that both have, which are drawn whole and for both alike.

    ``ours`` and ``theirs``: columns subject, label, prediction (class indices). Classes of fewer than 3 subjects are
    left out, as of the balanced accuracy itself; a draw that misses a class has no value.
    """
    common = sorted(set(ours["subject"]) & set(theirs["subject"]))
    if len(common) < FEWEST_SUBJECTS:
        return Difference()
    mine, other = (subject_confusions(table[table["subject"].isin(common)], classes) for table in (ours, theirs))
    enough = (np.minimum(mine.sum(axis=2), other.sum(axis=2)) > 0).sum(axis=0) >= FEWEST_SUBJECTS
    if not enough.any():
        return Difference()

    def difference(weights: np.ndarray) -> np.ndarray:
        ours, theirs = (class_rates(np.tensordot(weights, each, axes=1))["recall"] for each in (mine, other))
        return (ours - theirs)[:, enough].mean(axis=1)

    low, high = widened_percentiles(difference(bootstrap_weights(len(common), RESAMPLES, 0)), len(common), LEVEL)
    return Difference(float(difference(np.ones((1, len(common))))[0]), float(low), float(high))


def widest_gap(values: pd.Series, groups: pd.Series, *, bound: float, fewest: int) -> Gap | None:
    """The pair of groups that is most clearly apart by more than ``bound``; None where fewer than two can be judged.

    ``values`` by subject; ``groups`` names each subject's group, or nothing. Groups of fewer than ``fewest`` subjects
    are not judged. The interval is Welch's of a difference of two means; p is of the hypothesis that the means are
    apart by no more than ``bound``, so that it agrees with the interval, and Holm's over all pairs.
    """
    table = pd.DataFrame({"value": values, "group": groups}).dropna()
    judged = {
        str(name): np.sort(own["value"].to_numpy(dtype=float))
        for name, own in table.groupby("group", sort=True)
        if len(own) >= fewest
    }
    pairs = list(combinations(judged, 2))
    if not pairs:
        return None
    apart = [_welch(judged[first], judged[second], bound) for first, second in pairs]
    corrected = adjusted(np.array([p for *_, p in apart]), "holm")
    rows = [
        Gap(*pair, value, low, high, float(p))
        for pair, (value, low, high, _), p in zip(pairs, apart, corrected, strict=True)
    ]
    return min(rows, key=lambda gap: (gap.p_adjusted, -gap.low, -gap.value, gap.first, gap.second))


def _welch(first: np.ndarray, second: np.ndarray, bound: float) -> tuple[float, float, float, float]:
    """|difference of means|, its interval, and the two-sided p of "no more than ``bound``"."""
    variances = [values.var(ddof=1) / len(values) for values in (first, second)]
    gap, error = abs(float(first.mean() - second.mean())), math.sqrt(sum(variances))
    if error == 0:
        return gap, gap, gap, float(gap <= bound)
    freedom = sum(variances) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (first, second), strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = min(1.0, 2 * float(stats.t.sf((gap - bound) / error, freedom)))
    return gap, max(0.0, gap - half), gap + half, p


def groups_too_small(groups: pd.Series, fewest: int) -> list[str]:
    """Names of the groups with fewer subjects than ``fewest``; how many they have is nobody's business."""
    counts = groups.dropna().astype(str).value_counts()
    return sorted(counts.index[counts < fewest])
