"""Permutation p against a readable loop; exact on few subjects."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from xai.quality.demographics.permutation import freedman_lane_p


def loop_p(values: np.ndarray, regressors: np.ndarray, factor: int, orders: list[tuple[int, ...]]) -> float:
    """Freedman & Lane as they wrote it: permute residuals, add the fit of the others, regress anew."""
    others = sm.OLS(values, np.delete(regressors, factor, axis=1)).fit()
    observed = abs(sm.OLS(values, regressors).fit().tvalues[factor])
    drawn = [
        abs(sm.OLS(others.fittedvalues + others.resid[list(order)], regressors).fit().tvalues[factor])
        for order in orders
    ]
    return float(np.mean([t >= observed * (1 - 1e-9) for t in drawn]))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_all_permutations_of_few_subjects_equal_a_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    regressors = np.column_stack([np.ones(5), generator.normal(size=(5, 2))])
    values = generator.normal(size=(5, 2))
    found = freedman_lane_p(values, regressors, permutations=10, seed=0)
    orders = list(permutations(range(5)))
    for column in range(2):
        for factor in (1, 2):
            assert found[column, factor - 1] == pytest.approx(loop_p(values[:, column], regressors, factor, orders))


def test_one_factor_alone_is_the_plain_permutation_test() -> None:
    regressors = np.column_stack([np.ones(5), [0, 0, 0, 1, 1]])
    values = np.array([[1.0], [2.0], [3.0], [10.0], [11.0]])
    assert freedman_lane_p(values, regressors, permutations=10, seed=0)[0, 0] == pytest.approx(1 / 10)  # of 10 splits


def test_drawn_permutations_come_close_to_the_t_test_and_count_the_data() -> None:
    generator = np.random.default_rng(3)
    regressors = np.column_stack([np.ones(22), generator.normal(40, 18, 22), generator.integers(0, 2, 22)])
    values = generator.normal(size=(22, 30)) + 0.02 * regressors[:, 1:2]
    found = freedman_lane_p(values, regressors, permutations=5_000, seed=1)
    expected = np.array([sm.OLS(column, regressors).fit().pvalues[1:] for column in values.T])
    np.testing.assert_allclose(found, expected, atol=0.04)
    perfect = 3 * regressors[:, 1:2] + generator.normal(0, 1e-6, (22, 1))
    assert freedman_lane_p(perfect, regressors, permutations=999, seed=1)[0, 0] == pytest.approx(1 / 1000)


def test_columns_do_not_influence_each_other() -> None:
    generator = np.random.default_rng(5)
    regressors = np.column_stack([np.ones(12), generator.normal(size=12)])
    values = generator.normal(size=(12, 4))
    together = freedman_lane_p(values, regressors, permutations=300, seed=2)
    alone = freedman_lane_p(values[:, 2:3], regressors, permutations=300, seed=2)
    np.testing.assert_array_equal(together[2:3], alone)
