"""The permutations and bootstraps of the demographics job, against a loop of statsmodels fits.

40 subjects, 15 outcomes (5 classes x 3 parts), age and sex: Freedman and Lane's permutation of residuals, a fit for
each permutation, outcome and factor. And 15 paired differences: a fit of the constant for each bootstrap sample. Both
draw the same orders and samples.
"""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
import torch
from torch import Tensor

from xai.quality.demographics.permutation import _orders, freedman_lane_p
from xai.quality.resampling import Array, bootstrap_weights, mean_intervals, widened_percentiles

from ..row import Case, Results, Row, Setting

SUBJECTS, OUTCOMES, LEVEL, SEED = 40, 15, 0.95, 7


def _regressors() -> tuple[Array, Array]:
    """Regressors ``(subject, 3)``, the constant first, and outcomes ``(subject, outcome)``, not all unrelated."""
    random = np.random.default_rng(0)
    age, sex = random.normal(50, 15, SUBJECTS), random.integers(0, 2, SUBJECTS)
    values = random.normal(size=(SUBJECTS, OUTCOMES)) + 0.02 * age[:, None] * (np.arange(OUTCOMES) % 3 == 0)
    return np.column_stack([np.ones(SUBJECTS), age, sex]), values


def _permutations(setting: Setting) -> Case:
    draws = 20 if setting.small else 100
    regressors, values = _regressors()

    def theirs() -> Results:
        orders = np.argsort(_orders(SUBJECTS, draws, SEED), axis=1)  # ours permutes the regressors instead
        found = [
            [_permuted(column, regressors, factor, orders) for factor in range(1, regressors.shape[1])]
            for column in values.T
        ]
        return _tensors(np.array(found))

    return Case(
        lambda: _tensors(freedman_lane_p(values, regressors, draws, SEED)),
        {"statsmodels": {"": theirs}},
        # Per factor, the basis of all regressors in all orders, times the residuals.
        operations=2.0 * (draws + 2) * SUBJECTS * OUTCOMES * regressors.shape[1] * (regressors.shape[1] - 1),
    )


def _permuted(column: Array, regressors: Array, factor: int, orders: np.ndarray) -> float:
    """p of one factor: how often a permuted fit has as large a t as the data's own order, itself counted."""
    reduced = sm.OLS(column, np.delete(regressors, factor, axis=1)).fit()
    t = [abs(sm.OLS(reduced.fittedvalues + reduced.resid[o], regressors).fit().tvalues[factor]) for o in orders]
    return float(np.mean(np.array(t) >= (1 - 1e-9) * t[0]))


def _bootstraps(setting: Setting) -> Case:
    draws = 20 if setting.small else 200
    values = _regressors()[1]

    def theirs() -> Results:
        weights = bootstrap_weights(SUBJECTS, draws, SEED).astype(int)
        drawn = [np.repeat(np.arange(SUBJECTS), row) for row in weights]
        constant = np.ones(SUBJECTS)
        means = np.array([[sm.OLS(column[rows], constant).fit().params[0] for column in values.T] for rows in drawn])
        return _tensors(np.stack(widened_percentiles(means, SUBJECTS, LEVEL)))

    return Case(
        lambda: _tensors(np.stack(mean_intervals(values, draws, SEED, LEVEL))),
        {"statsmodels": {"": theirs}},
        operations=2.0 * draws * SUBJECTS * OUTCOMES,
    )


def _tensors(found: Array) -> list[Tensor | None]:
    return [torch.from_numpy(np.asarray(found))]


ROWS = (
    Row(
        "permutations",
        f"p of {OUTCOMES} outcomes and 2 factors, 100 permutations of {SUBJECTS} subjects",
        _permutations,
        goals={"statsmodels": 20},
        gpu=False,
    ),
    Row(
        "bootstraps",
        f"intervals of {OUTCOMES} means, 200 bootstrap samples of {SUBJECTS} subjects",
        _bootstraps,
        goals={"statsmodels": 20},
        gpu=False,
    ),
)
