"""The best filter of a sweep and its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xai.quality.sweet_spot import sweet_spot

ALPHAS = [0.05, 0.1, 0.2, 0.4]
NAMES = [f"pass0-{alpha}" for alpha in ALPHAS]


def _scores(subjects: int, gain: float, seed: int = 0) -> pd.DataFrame:
    """Subjects differ much, filters little; the third is better by ``gain``."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (subjects, 1)) + generator.normal(0, 0.1, (subjects, 4))
    values[:, 2] += gain
    return pd.DataFrame(values, columns=NAMES, index=[f"s{k}" for k in range(subjects)])


def test_a_clear_winner_is_found_with_a_narrow_interval() -> None:
    found = sweet_spot(_scores(20, 1.0), ALPHAS, resamples=2000)
    assert (found.explainer, found.alpha, found.alpha_low, found.alpha_high) == ("pass0-0.2", 0.2, 0.2, 0.2)
    assert (found.subjects, found.dropped) == (20, 0)
    assert found.filters["wins"].tolist() == [0, 0, 1, 0]
    assert found.filters["mean"].to_numpy() == pytest.approx(_scores(20, 1.0).mean().to_numpy())
    assert bool((found.filters["ci_low"] < found.filters["mean"]).all())


def test_lower_is_better_where_it_is_said() -> None:
    found = sweet_spot(_scores(20, -1.0), ALPHAS, direction="lower", resamples=500)
    assert found.alpha == 0.2
    assert found.filters["wins"].tolist() == [0, 0, 1, 0]


def test_filters_that_do_not_differ_have_a_wide_interval() -> None:
    found = sweet_spot(_scores(20, 0.0), ALPHAS, resamples=2000)
    assert found.alpha_high > found.alpha_low
    assert found.filters["wins"].max() < 0.95


def test_the_true_winner_lies_in_the_interval_nearly_always() -> None:
    hits = 0
    for seed in range(60):
        found = sweet_spot(_scores(15, 0.03, seed), ALPHAS, resamples=300, seed=seed)
        hits += found.alpha_low <= 0.2 <= found.alpha_high
    assert hits >= 54


def test_the_order_of_subjects_changes_nothing() -> None:
    scores = _scores(12, 0.05)
    first, second = (sweet_spot(table, ALPHAS, resamples=500) for table in (scores, scores.iloc[::-1]))
    pd.testing.assert_frame_equal(first.filters, second.filters)
    assert (first.alpha_low, first.alpha_high) == (second.alpha_low, second.alpha_high)


def test_undefined_subjects_are_dropped_and_a_filter_without_any_value_cannot_win() -> None:
    scores = _scores(10, 0.5)
    scores.iloc[0, 1] = np.nan
    scores["pass0-0.4"] = np.nan
    found = sweet_spot(scores, ALPHAS, resamples=500)
    assert (found.subjects, found.dropped, found.alpha) == (9, 1, 0.2)
    assert found.filters.loc[3, ["mean", "wins"]].isna().all()
    assert found.filters.loc[0, "mean"] == pytest.approx(scores.iloc[1:, 0].mean())


def test_two_subjects_have_a_best_filter_but_no_interval() -> None:
    found = sweet_spot(_scores(2, 1.0), ALPHAS)
    assert found.alpha == 0.2
    assert np.isnan([found.alpha_low, found.alpha_high]).all()
    assert found.filters[["ci_low", "wins"]].isna().all(axis=None)


def test_bad_arguments() -> None:
    scores = _scores(4, 0.0)
    with pytest.raises(ValueError, match="alphas are 3; expected one for each of the 4 filters"):
        sweet_spot(scores, ALPHAS[:3])
    with pytest.raises(ValueError, match="direction is 'up'"):
        sweet_spot(scores, ALPHAS, direction="up")  # type: ignore[arg-type]
    scores.iloc[:2, 0], scores.iloc[2:, 1] = np.nan, np.nan
    with pytest.raises(ValueError, match="scores define no subject by every filter; expected at least one of the 4"):
        sweet_spot(scores, ALPHAS)
