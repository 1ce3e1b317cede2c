"""Resampling of subjects, many columns at once: bootstrap intervals, sign flips, corrections for many tests.

The interval is the percentile bootstrap, its tails widened from the normal to the t distribution
(Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 5.1: the plain percentile
interval is too narrow for few subjects). A bootstrap mean cannot leave the range of the observed subjects,
which costs coverage under 6 subjects; there the interval of a mean is the t interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from scipy import stats

Array = np.ndarray[Any, np.dtype[np.float64]]
Correction = Literal["holm", "bh"]

FEWEST_SUBJECTS = 3
"""Fewer subjects than this give no interval and no p: "too few subjects" is a result."""

FEWEST_BOOTSTRAP_SUBJECTS = 6
EXACT_FLIPS = 14
"""Up to this many subjects all 2^n sign flips are enumerated; beyond, they are drawn."""


def defined_blocks(values: Array) -> Iterator[tuple[np.ndarray[Any, Any], Array]]:
    """Columns with equally many defined values share their resamples: their positions and values.

    Each column is sorted by size, so that no result depends on the order or the names of the subjects, and
    a - b and b - a draw the same subjects.
    """
    counts = (~np.isnan(values)).sum(axis=0)
    ordered = np.take_along_axis(values, np.lexsort((values, np.abs(values)), axis=0), axis=0)
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        yield chosen, ordered[:count, chosen]


def mean_intervals(values: Array, resamples: int, seed: int, level: float) -> tuple[Array, Array]:
    """Interval of the mean of each column of ``(subject, column)`` without NaN; see the module's head."""
    count = len(values)
    if count < FEWEST_BOOTSTRAP_SUBJECTS:
        half = stats.t.ppf((1 + level) / 2, count - 1) * values.std(axis=0, ddof=1) / np.sqrt(count)
        return values.mean(axis=0) - half, values.mean(axis=0) + half
    centre = values.mean(axis=0)
    means = bootstrap_weights(count, resamples, seed) / count @ (values - centre)
    low, high = widened_percentiles(means, count, level)
    return centre + low, centre + high


def bootstrap_weights(count: int, resamples: int, seed: int) -> Array:
    """How often each of ``count`` subjects is drawn ``(resample, subject)``; every row sums to ``count``."""
    generator = np.random.default_rng([seed, count, 0])
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def widened_percentiles(resampled: Array, count: int, level: float) -> tuple[Array, Array]:
    """Interval of each column of statistics ``(resample, ...)`` over ``count`` subjects; NaN are left out."""
    quantile = stats.t.ppf((1 + level) / 2, count - 1)
    tail = stats.norm.cdf(-np.sqrt(count / (count - 1)) * quantile)
    # np.nanquantile is slow, and warns of columns without any value.
    quantiles = np.nanquantile if np.isnan(resampled).any() else np.quantile
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        low, high = quantiles(resampled, [tail, 1 - tail], axis=0)
    return low, high


def sign_flip_p(values: Array, resamples: int, seed: int) -> Array:
    """Two-sided p of the mean of each column under random signs; a drawn p counts the data itself."""
    count = len(values)
    exact = count <= EXACT_FLIPS
    if exact:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    else:
        bits = np.random.default_rng([seed, count, 1]).integers(0, 2, size=(resamples, count))
    flipped = np.abs((2.0 * bits - 1) @ values)
    # Equal sums may differ in their last digits by the order of summation.
    tolerance = 1e-12 * np.abs(values).sum(axis=0)
    extreme = (flipped >= np.abs(values.sum(axis=0)) - tolerance).sum(axis=0)
    return extreme / 2.0**count if exact else (extreme + 1) / (resamples + 1)


def adjusted(p: Array, correction: Correction) -> Array:
    """Adjusted p over the tests of a family that could be made; NaN stays NaN."""
    result = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        adjust = {"holm": _holm, "bh": stats.false_discovery_control}[correction]
        result[tested] = adjust(p[tested])
    return result


def _holm(p: Array) -> Array:
    """Step-down Bonferroni (Holm, 1979). Not statsmodels': its call collects all garbage, 0.2 s a time."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted
