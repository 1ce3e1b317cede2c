"""The sweet spot alpha0 of a sweep: which filter is best by a stated criterion, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from .resampling import FEWEST_SUBJECTS, Array, bootstrap_weights, mean_intervals


@dataclass(frozen=True)
class SweetSpot:
    """The best filter of a sweep.

    ``alpha`` is alpha0, ``alpha_low`` and ``alpha_high`` hold the alphas of the filters that win among resampled
    subjects, at the level asked for. ``filters`` has one row per filter, in the order given: columns ``explainer,
    alpha, mean, ci_low, ci_high, wins``; ``wins`` is the share of resamples in which its mean is the best.
    ``subjects`` were compared, ``dropped`` are undefined by a filter.
    """

    explainer: str
    alpha: float
    alpha_low: float
    alpha_high: float
    subjects: int
    dropped: int
    filters: pd.DataFrame


def sweet_spot(
    scores: pd.DataFrame,
    alphas: Sequence[float],
    *,
    direction: Literal["higher", "lower"] = "higher",
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> SweetSpot:
    """The filter with the best mean of a criterion over subjects, with an interval by bootstrap over subjects.

    ``scores`` is subjects x filters of the criterion (see `subject_table`), NaN where undefined; ``alphas`` one per
    column, the bound of each filter (Tjoa et al. seek it among (0, alpha) pass filters). A filter undefined in every
    subject cannot win; of the others all are compared on the same subjects. Of equals the first wins. No interval
    and no wins under 3 subjects. Raises ValueError where the alphas do not fit and where no subject is left.
    """
    if len(alphas) != scores.shape[1]:
        raise ValueError(f"alphas are {len(alphas)}; expected one for each of the {scores.shape[1]} filters.")
    if direction not in ("higher", "lower"):
        raise ValueError(f"direction is {direction!r}; expected 'higher' or 'lower'.")
    values = scores.to_numpy(dtype=float)
    known = ~np.isnan(values).all(axis=0)
    complete = ~np.isnan(values[:, known]).any(axis=1)
    if not known.any() or not complete.any():
        raise ValueError(f"scores define no subject by every filter; expected at least one of the {len(scores)}.")
    kept = values[np.ix_(complete, known)]
    # The order of subjects must not matter to which of them a resample draws.
    kept = kept[np.lexsort(kept.T)]
    sign = 1 if direction == "higher" else -1
    rows = _filters(kept, sign, resamples, seed, level)
    names = [str(name) for name in scores.columns]
    table = pd.DataFrame({"explainer": names, "alpha": np.asarray(alphas, dtype=float)})
    table = table.join(rows.set_axis(np.flatnonzero(known)))
    best = int(np.nanargmax(sign * table["mean"].to_numpy()))
    low, high = _alpha_interval(table, level)
    return SweetSpot(names[best], float(alphas[best]), low, high, int(complete.sum()), int((~complete).sum()), table)


def _filters(values: Array, sign: int, resamples: int, seed: int, level: float) -> pd.DataFrame:
    """Mean, interval and wins of each column of ``(subject, filter)`` without NaN."""
    count, number = values.shape
    rows = pd.DataFrame({"mean": values.mean(axis=0), "ci_low": np.nan, "ci_high": np.nan, "wins": np.nan})
    if count >= FEWEST_SUBJECTS:
        rows["ci_low"], rows["ci_high"] = mean_intervals(values, resamples, seed, level)
        means = bootstrap_weights(count, resamples, seed) @ values / count
        winners = (sign * means).argmax(axis=1)
        rows["wins"] = np.bincount(winners, minlength=number) / resamples
    return rows


def _alpha_interval(filters: pd.DataFrame, level: float) -> tuple[float, float]:
    """Between which alphas the winner lies in this share of the resamples; NaN where none were drawn."""
    drawn = filters.dropna(subset="wins").sort_values("alpha")
    if drawn.empty:
        return np.nan, np.nan
    reached = drawn["wins"].cumsum().to_numpy()
    tail = (1 - level) / 2
    alphas = drawn["alpha"].to_numpy()
    # The tolerance is for sums that are 1 but for rounding.
    low, high = (int(np.searchsorted(reached, share - 1e-12)) for share in (tail, 1 - tail))
    return float(alphas[low]), float(alphas[high])
