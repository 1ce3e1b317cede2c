"""Do rules, or folds, agree on how relevance is shared out? Rank correlation, intraclass correlation, variance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from torch import Tensor

from .comparison import mean_table
from .randomisation import rank_correlation
from .resampling import FEWEST_SUBJECTS, Array, bootstrap_weights, widened_percentiles

ICC_FORMS = ("ICC(2,1)", "ICC(3,1)")
LEVELS = ("fold", "subject", "epoch")
PLACES = ("diagonal", "off_diagonal")


def pair_correlations(ratings: Mapping[str, Tensor]) -> pd.DataFrame:
    """Spearman's correlation of each sample between every two raters: rules, or members of a version.

    ``ratings`` are the raters' attributions ``(sample, channel, *grid)`` or shares ``(sample, part)`` of the same
    samples. Returns samples x pairs, columns named "first|second", in [-1, 1]; NaN where either is constant.
    Raises ValueError for fewer than two raters.
    """
    if len(ratings) < 2:
        raise ValueError(f"ratings are of {len(ratings)} rater; expected 2 or more to compare.")
    pairs = {
        f"{first}|{second}": rank_correlation(ratings[first], ratings[second]).double().cpu().numpy()
        for first, second in combinations(ratings, 2)
    }
    return pd.DataFrame(pairs).rename_axis("sample")


def mean_correlations(
    correlations: pd.DataFrame, subjects: pd.Series, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Mean over subjects of each pair's correlation with its interval; ``subjects`` are those of the samples.

    Returns columns ``first, second, mean, ci_low, ci_high, subjects, undefined`` (see `mean_table`).
    """
    by_subject = correlations.groupby(subjects.to_numpy()).mean()
    found = mean_table(by_subject, resamples=resamples, seed=seed, level=level)
    names = found.pop("explainer").str.split("|", expand=True)
    return pd.concat([names.set_axis(["first", "second"], axis=1), found], axis=1)


def intraclass_correlation(
    ratings: Array, subjects: Array, *, resamples: int = 2_000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Single-rater intraclass correlations of ``ratings (target, rater)`` (Shrout & Fleiss, 1979).

    ICC(2,1) asks for absolute agreement of raters drawn at random, ICC(3,1) for consistency of these raters. A
    target without a rating by every rater is dropped. The bootstrap draws the ``subjects (target,)``, each with all
    targets. Returns one row per form: ``form, value`` (at most 1), ``ci_low, ci_high, targets, subjects, dropped``;
    NaN where nothing varies, no interval under 3 subjects. Raises ValueError for fewer than two raters.
    """
    if ratings.ndim != 2 or ratings.shape[1] < 2:
        raise ValueError(f"ratings have shape {ratings.shape}; expected (target, rater) with 2 raters or more.")
    complete = ~np.isnan(ratings).any(axis=1)
    kept, owner = ratings[complete], np.unique(subjects[complete], return_inverse=True)[1]
    count = int(owner.max()) + 1 if len(owner) else 0
    values = _icc(_icc_sums(kept, owner, count).sum(axis=0)[None], kept.shape[1])[0]
    low = high = np.full(len(ICC_FORMS), np.nan)
    if count >= FEWEST_SUBJECTS:
        sums = bootstrap_weights(count, resamples, seed) @ _icc_sums(kept, owner, count)
        low, high = widened_percentiles(_icc(sums, kept.shape[1]), count, level)
    return pd.DataFrame({
        "form": ICC_FORMS, "value": values, "ci_low": low, "ci_high": high,
        "targets": len(kept), "subjects": count, "dropped": len(ratings) - len(kept),
    })  # fmt: skip


def _icc_sums(ratings: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], subjects: int) -> Array:
    """What the mean squares need of each subject: targets, sum per rater, squares of target sums and of ratings."""
    centred = ratings - ratings.mean() if len(ratings) else ratings
    per_target = [np.ones(len(ratings)), *centred.T, centred.sum(axis=1) ** 2, (centred**2).sum(axis=1)]
    return np.column_stack([np.bincount(owner, weights=values, minlength=subjects) for values in per_target])


def _icc(sums: Array, raters: int) -> Array:
    """Both forms ``(resample, form)`` from sums over targets ``(resample, 3 + rater)``."""
    targets, by_rater, of_targets, of_ratings = sums[:, 0], sums[:, 1:-2], sums[:, -2], sums[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        correction = by_rater.sum(axis=1) ** 2 / (targets * raters)
        between_targets = of_targets / raters - correction
        between_raters = (by_rater**2).sum(axis=1) / targets - correction
        error = of_ratings - correction - between_targets - between_raters
        target_square = between_targets / (targets - 1)
        rater_square = between_raters / (raters - 1)
        error_square = error / ((targets - 1) * (raters - 1))
        consistent = target_square + (raters - 1) * error_square
        absolute = consistent + raters * (rater_square - error_square) / targets
        values = (target_square - error_square)[:, None] / np.column_stack([absolute, consistent])
    # Rounding of equal ratings is no variation.
    values[of_ratings <= 1e-20 * np.maximum(targets, 1)] = np.nan
    return np.asarray(values)


def variance_levels(table: pd.DataFrame, *, resamples: int = 2_000, seed: int = 0, level: float = 0.95) -> pd.DataFrame:
    """Variance of shares between folds, between subjects of a fold and within subjects, correct against wrong.

    ``table`` is as `group_shares` takes it, with ``fold``. The mean of each (true, predicted) group is removed,
    then the variance of epochs (percent squared) is split exactly into the three `LEVELS`, on the diagonal of
    the table of true and predicted classes and off it. Variance of noise counts where it is seen: means of few
    epochs vary more. Returns columns ``explainer, part, level, diagonal, off_diagonal, difference, ci_low, ci_high,
    subjects``: the bootstrap draws subjects, the interval is that of off the diagonal less on it. NaN where a place
    has no epoch; no interval under 3 subjects.
    """
    rows = []
    defined = table[table["share"].notna()]
    for (explainer, part), cell in defined.groupby(["explainer", "part"], sort=True):
        owner = np.unique(cell["subject"], return_inverse=True)[1]
        count = int(owner.max()) + 1
        values = _variances(cell, np.ones((1, count)), owner)[0]
        low = high = np.full(len(LEVELS), np.nan)
        if count >= FEWEST_SUBJECTS:
            drawn = _variances(cell, bootstrap_weights(count, resamples, seed), owner)
            low, high = widened_percentiles(drawn[:, 1] - drawn[:, 0], count, level)
        rows.append(pd.DataFrame({
            "explainer": explainer, "part": part, "level": LEVELS, "diagonal": values[0], "off_diagonal": values[1],
            "difference": values[1] - values[0], "ci_low": low, "ci_high": high, "subjects": count,
        }))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _variances(cell: pd.DataFrame, weights: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Array:
    """Variance ``(resample, place, level)`` of the epochs, each weighted as its subject ``(resample, subject)``."""
    residual = cell["share"] - cell.groupby(["true", "predicted"])["share"].transform("mean")
    place = (cell["true"] != cell["predicted"]).to_numpy()
    found = np.full((len(weights), len(PLACES), len(LEVELS)), np.nan)
    for number in range(len(PLACES)):
        inside = place == bool(number)
        if inside.any():
            sums = pd.DataFrame({"n": 1.0, "x": residual[inside], "xx": residual[inside] ** 2})
            sums = sums.groupby([cell["fold"][inside], owner[inside]], sort=True).sum()
            found[:, number] = _split(sums, weights)
    return found


def _split(sums: pd.DataFrame, weights: Array) -> Array:
    """Levels ``(resample, level)`` from number, sum and sum of squares of each fold and subject."""
    fold = np.unique(sums.index.get_level_values(0), return_inverse=True)[1]
    drawn = weights[:, sums.index.get_level_values(1).to_numpy()]
    in_fold = (fold[:, None] == np.arange(fold.max() + 1)).astype(float)
    n, x, xx = sums[["n", "x", "xx"]].to_numpy().T
    with np.errstate(invalid="ignore", divide="ignore"):
        whole, folds = drawn @ n, (drawn * n) @ in_fold
        of_folds = np.where(folds > 0, ((drawn * x) @ in_fold) ** 2 / folds, 0.0).sum(axis=1)
        of_subjects = drawn @ (x**2 / n)
        of_all = (drawn @ x) ** 2 / whole
        parts = np.column_stack([of_folds - of_all, of_subjects - of_folds, drawn @ xx - of_subjects])
        return np.asarray(parts / whole[:, None])
