"""The link of two numbers over subjects against SciPy, and how often it is found where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from xai.quality.links import Link, rank_link


@given(
    pairs=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=15),
)
@settings(max_examples=60, deadline=None)
def test_the_correlation_is_spearmans_with_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=float).T
    found = rank_link(first, second, resamples=50)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(found.correlation)
        assert np.isnan([found.ci_low, found.p]).all()
    else:
        assert found.correlation == pytest.approx(spearmanr(first, second).statistic)


def test_a_monotone_link_is_certain() -> None:
    first = np.linspace(0, 1, 12)
    found = rank_link(first, -np.exp(5 * first), resamples=1000)
    assert (found.correlation, found.ci_low, found.ci_high) == pytest.approx((-1, -1, -1))
    assert found.p == pytest.approx(1 / 1001)


def test_p_equals_scipys_permutation_and_the_interval_holds_the_correlation() -> None:
    generator = np.random.default_rng(2)
    first = generator.normal(size=25)
    second = 0.6 * first + generator.normal(size=25)
    found = rank_link(first, second, resamples=5000)
    assert found.ci_low < found.correlation < found.ci_high
    assert found.p == pytest.approx(spearmanr(first, second).pvalue, abs=0.01)


def test_where_there_is_no_link_one_in_twenty_is_found() -> None:
    generator = np.random.default_rng(3)
    found = [rank_link(*generator.normal(size=(2, 15)), resamples=199, seed=k) for k in range(300)]
    assert 0.02 < np.mean([link.p <= 0.05 for link in found]) < 0.09
    assert 0.88 < np.mean([link.ci_low <= 0 <= link.ci_high for link in found]) < 0.99


def test_the_order_of_subjects_changes_nothing_and_undefined_ones_are_dropped() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 10))
    first[3], second[7] = np.nan, np.nan
    found = rank_link(first, second, resamples=300)
    assert (found.subjects, found.dropped) == (8, 2)
    assert rank_link(first[::-1], second[::-1], resamples=300) == found


def test_too_few_subjects_have_no_interval() -> None:
    two = rank_link(np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    assert two.correlation == pytest.approx(1)
    assert np.isnan([two.ci_low, two.ci_high, two.p]).all()
    with pytest.raises(ValueError, match=r"first has shape \(2,\) and second \(3,\)"):
        rank_link(np.zeros(2), np.zeros(3))
    none: Link = rank_link(np.array([np.nan]), np.array([1.0]))
    assert (none.subjects, none.dropped) == (0, 1)
