from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from gated_versions import predictions
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.gating.differences import (
    balanced_accuracy_difference,
    groups_too_small,
    mean_difference,
    widest_gap,
)

SOUND = {subject: 0.8 + 0.05 * (subject % 2) for subject in range(12)}


def series(*values: float) -> pd.Series:
    return pd.Series(values, dtype=float)


def test_equal_versions_differ_by_nothing() -> None:
    found = balanced_accuracy_difference(predictions(SOUND), predictions(SOUND), 3)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert mean_difference(series(1, 2, 3, 4), series(1, 2, 3, 4)).low == 0


@pytest.mark.parametrize("loss", [0.1, -0.1])
def test_a_known_difference_is_found_with_its_sign(loss: float) -> None:
    other = {subject: share - loss for subject, share in SOUND.items()}
    found = balanced_accuracy_difference(predictions(other), predictions(SOUND), 3)
    assert found.value == pytest.approx(-loss, abs=0.001)
    assert found.low == pytest.approx(found.high, abs=0.001), "every subject loses alike, so drawing changes nothing"


def test_a_rare_class_that_is_lost_weighs_as_much_as_any_other() -> None:
    ours = theirs = predictions(dict.fromkeys(range(12), 1.0))
    rare = (ours["label"] == 2) & (ours["subject"] > 2)
    ours, theirs = ours[~rare].copy(), theirs[~rare]
    ours.loc[ours["label"] == 2, "prediction"] = 0
    assert balanced_accuracy_difference(ours, theirs, 3).value == pytest.approx(-1 / 3)


def test_a_class_of_two_subjects_is_left_out_and_two_subjects_tell_nothing() -> None:
    ours = predictions(dict.fromkeys(range(12), 1.0))
    rare = (ours["label"] == 2) & (ours["subject"] > 1)
    ours = ours[~rare].copy()
    worse = ours.assign(prediction=ours["prediction"].where(ours["label"] != 2, 0))
    assert balanced_accuracy_difference(worse, ours, 3).value == 0
    few = balanced_accuracy_difference(predictions({0: 1.0, 1: 1.0}), predictions(SOUND), 3)
    assert math.isnan(few.value)
    assert math.isnan(few.low)
    assert math.isnan(mean_difference(series(1, 2), series(1, 2)).low)


def test_only_subjects_that_both_have_are_paired() -> None:
    theirs = predictions({**SOUND, 99: 0.0, 98: 0.0, 97: 0.0})
    assert balanced_accuracy_difference(predictions(SOUND), theirs, 3).value == 0
    assert mean_difference(series(1, 2, 3, math.nan), series(1, 2, 3, 50)).value == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_subjects_changes_nothing(values: list[float], shuffle) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = pd.Series(values), pd.Series(values[::-1])
    order = list(range(len(values)))
    shuffle.shuffle(order)
    assert mean_difference(ours.iloc[order], theirs) == mean_difference(ours, theirs.iloc[order])
    table = predictions(dict(enumerate(values)), per_class=5)
    other = predictions(dict(enumerate(values[::-1])), per_class=5)
    mixed = table.sample(frac=1, random_state=len(values))
    assert balanced_accuracy_difference(mixed, other, 3) == balanced_accuracy_difference(table, other, 3)
    groups = pd.Series(np.where(np.arange(len(values)) % 2, "a", "b"))
    assert widest_gap(ours.iloc[order], groups, bound=0.1, fewest=2) == widest_gap(ours, groups, bound=0.1, fewest=2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=9), st.lists(st.floats(0, 1), min_size=5, max_size=9))
def test_a_gap_is_welchs_and_its_p_agrees_with_its_interval(first: list[float], second: list[float]) -> None:
    groups = pd.Series(["a"] * len(first) + ["b"] * len(second))
    gap = widest_gap(series(*first, *second), groups, bound=0.1, fewest=5)
    assert gap is not None
    assert gap.value == pytest.approx(abs(np.mean(first) - np.mean(second)))
    spread = np.std(first) + np.std(second)
    if spread > 1e-3:
        low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
        assert gap.high == pytest.approx(max(abs(low), abs(high)))
        if not math.isclose(gap.low, 0.1, abs_tol=1e-9):
            assert (gap.low > 0.1) == (gap.p_adjusted < 0.05)


def test_p_is_corrected_over_every_pair_of_groups() -> None:
    generator = np.random.default_rng(0)
    values = pd.Series(np.concatenate([generator.normal(mean, 0.1, 8) for mean in (0.9, 0.9, 0.55)]))
    three = widest_gap(values, pd.Series(np.repeat(["a", "b", "c"], 8)), bound=0.2, fewest=5)
    two = widest_gap(values, pd.Series(np.repeat(["a", None, "c"], 8)), bound=0.2, fewest=5)
    assert three is not None
    assert two is not None
    assert {three.first, three.second} in ({"a", "c"}, {"b", "c"})
    assert three.p_adjusted > two.p_adjusted > 0


def test_constant_groups_are_apart_by_what_they_are() -> None:
    groups = pd.Series(np.repeat(["a", "b"], 5))
    apart = widest_gap(series(*[1.0] * 5, *[0.5] * 5), groups, bound=0.2, fewest=5)
    alike = widest_gap(series(*[1.0] * 10), groups, bound=0.2, fewest=5)
    assert apart is not None
    assert alike is not None
    assert (apart.low, apart.value, apart.p_adjusted) == (0.5, 0.5, 0.0)
    assert (alike.low, alike.p_adjusted) == (0.0, 1.0)


def test_small_groups_are_not_judged_and_are_named_without_their_number() -> None:
    groups = pd.Series([*["a"] * 5, *["b"] * 4, None])
    assert widest_gap(series(*range(10)), groups, bound=0.2, fewest=5) is None
    assert groups_too_small(groups, 5) == ["b"]
