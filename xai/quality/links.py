"""Do two numbers go together over subjects: inclusivity and Dice, the amplitude of a layer and Dice?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .resampling import FEWEST_SUBJECTS, Array, bootstrap_weights, widened_percentiles


@dataclass(frozen=True)
class Link:
    """Spearman's ``correlation`` in [-1, 1] with its interval, and ``p`` by permutation.

    ``subjects`` have both numbers, ``dropped`` lack one. NaN where either number does not vary and, the interval and
    p, under 3 subjects.
    """

    correlation: float
    ci_low: float
    ci_high: float
    p: float
    subjects: int
    dropped: int


def rank_link(first: Array, second: Array, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> Link:
    """The link of two numbers ``(subject,)`` in any units, NaN where undefined.

    The interval is by bootstrap over subjects, p two-sided by dealing the second number to the subjects at random
    ``resamples`` times, the data counted itself. The order of subjects changes nothing. Raises ValueError where the
    shapes differ.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"first has shape {first.shape} and second {second.shape}; expected one number per subject.")
    known = ~(np.isnan(first) | np.isnan(second))
    pairs = np.column_stack([first[known], second[known]])
    pairs = pairs[np.lexsort(pairs.T)]
    count = len(pairs)
    dropped = len(first) - count
    if count < 2:
        return Link(np.nan, np.nan, np.nan, np.nan, count, dropped)
    found = float(_spearman(pairs[None])[0])
    low = high = p = np.nan
    if count >= FEWEST_SUBJECTS and not np.isnan(found):
        drawn = bootstrap_weights(count, resamples, seed).astype(int)
        places = np.repeat(np.tile(np.arange(count), resamples), drawn.ravel()).reshape(resamples, count)
        low, high = (float(end) for end in widened_percentiles(_spearman(pairs[places]), count, level))
        p = _permutation_p(pairs, found, resamples, seed)
    return Link(found, low, high, p, count, dropped)


def _spearman(pairs: Array) -> Array:
    """Correlation of the ranks of ``(resample, subject, 2)``; NaN where one does not vary."""
    ranks = rankdata(pairs, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    sizes = np.sqrt((centred**2).sum(axis=1)).prod(axis=1)
    products = centred.prod(axis=2).sum(axis=1)
    return np.divide(products, sizes, out=np.full(len(pairs), np.nan), where=sizes > 0)


def _permutation_p(pairs: Array, found: float, resamples: int, seed: int) -> float:
    order = np.random.default_rng([seed, len(pairs), 2]).random((resamples, len(pairs))).argsort(axis=1)
    dealt = np.stack([np.broadcast_to(pairs[:, 0], order.shape), pairs[:, 1][order]], axis=2)
    # Equal correlations may differ in their last digits.
    extreme = (np.abs(_spearman(dealt)) >= abs(found) - 1e-12).sum()
    return float((extreme + 1) / (resamples + 1))
