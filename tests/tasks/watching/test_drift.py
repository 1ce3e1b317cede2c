"""The comparison with the baseline: false alarms over all looks, planted drift, suppression, known answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tasks.watching.drift import (
    ALPHA,
    EVERYONE,
    FEWEST_SUBJECTS,
    declared_family,
    difference_of_means,
    enough_arrived,
    intervals,
    look_for_drift,
    spent_at,
)

BASELINE, ARRIVE_AT_ONCE, LOOKS, SEQUENCES, MEASURES = 20, 5, 16, 3_000, 4
Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
WORLDS: dict[str, Draw] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "skewed": lambda rng, size: rng.exponential(size=size),
    "accuracy of ten beats": lambda rng, size: rng.binomial(10, 0.95, size=size) / 10,
}


def table_of(values: dict[str, NDArray[np.float64]], sex: list[str | None] | None = None) -> pd.DataFrame:
    tables = [
        pd.DataFrame({"subject": range(len(each)), "measure": name, "value": each, "sex": sex, "age_band": None})
        for name, each in values.items()
    ]
    return pd.concat(tables, ignore_index=True)


def alarms(draw: Draw, seed: int) -> tuple[float, float]:
    """How many sequences of looks raise any alarm where nothing has changed: corrected, and tested at 5 % each time."""
    rng = np.random.default_rng(seed)
    old = draw(rng, (SEQUENCES, MEASURES, BASELINE))
    new = draw(rng, (SEQUENCES, MEASURES, LOOKS * ARRIVE_AT_ONCE))
    corrected, naive = np.zeros(SEQUENCES, dtype=bool), np.zeros(SEQUENCES, dtype=bool)
    for look in range(1, LOOKS + 1):
        for first in (0, (look - 1) * ARRIVE_AT_ONCE):  # since promotion, and this look's own
            arrived = new[..., first : look * ARRIVE_AT_ONCE]
            for found, alpha, comparisons in ((corrected, spent_at(look), 2 * MEASURES), (naive, ALPHA, 1)):
                _, low, high = intervals(arrived, old, alpha, comparisons)
                found |= ((low > 0) | (high < 0)).any(axis=1)
    return float(corrected.mean()), float(naive.mean())


@pytest.mark.parametrize("world", WORLDS)
def test_false_alarms_over_all_looks_stay_below_five_percent(world: str) -> None:
    corrected, naive = alarms(WORLDS[world], seed=20261121)
    print(f"{world}: any alarm in {LOOKS} looks at {MEASURES} measures: {corrected:.3f}, tested naively {naive:.3f}")
    assert corrected <= ALPHA
    assert naive > 4 * ALPHA


def test_what_is_spent_sums_to_alpha_and_never_more() -> None:
    assert spent_at(1) == ALPHA / 2
    assert sum(spent_at(k) for k in range(1, 10_000)) == pytest.approx(ALPHA, rel=1e-3)
    assert sum(spent_at(k) for k in range(1, 10_000)) < ALPHA
    with pytest.raises(ValueError, match="look is 0; expected 1 or more"):
        spent_at(0)


@pytest.mark.parametrize(("shift", "within"), [(1.5, 40), (3.0, 10)])
def test_planted_drift_is_found_within_so_many_recordings(shift: float, within: int) -> None:
    """Drift of 1.5 and of 3 SD of subjects, recordings arriving five at a time, one of four measures moved."""
    found = 0
    for seed in range(40):
        rng = np.random.default_rng([7, seed])
        old, new = rng.standard_normal((MEASURES, BASELINE)), rng.standard_normal((MEASURES, within))
        new[0] += shift
        baseline = table_of({f"m{m}": old[m] for m in range(MEASURES)})
        looked = [
            look_for_drift(table_of({f"m{m}": new[m, : 5 * k] for m in range(MEASURES)}), baseline, k)
            for k in range(1, within // 5 + 1)
        ]
        found += any(f.violated and f.measure == "m0" for look in looked for f in look)
    assert found >= 36


def test_a_subgroup_that_drifts_alone_is_named() -> None:
    rng = np.random.default_rng(3)
    sex: list[str | None] = ["F", "M"] * 15
    old, new = rng.normal(size=30), rng.normal(size=30)
    new[1::2] += 4
    findings = look_for_drift(table_of({"accuracy": new}, sex), table_of({"accuracy": old}, sex), 1)
    verdicts = {finding.subgroup: finding.violated for finding in findings}
    assert verdicts["sex: M"]
    assert not verdicts["sex: F"]
    assert "accuracy of sex: M is " in next(f.sentence for f in findings if f.subgroup == "sex: M")


def test_sudden_drift_after_a_long_quiet_time_is_found_in_the_look_itself() -> None:
    rng = np.random.default_rng(5)
    old, quiet = rng.normal(0.99, 0.01, 20), rng.normal(0.99, 0.01, 200)
    latest = rng.normal(0.5, 0.1, 8)
    arrived = table_of({"accuracy": np.concatenate([quiet, latest])})
    verdicts = {
        finding.window: finding.violated
        for finding in look_for_drift(arrived, table_of({"accuracy": old}), 20, table_of({"accuracy": latest}))
    }
    assert verdicts == {"since promotion": False, "this look": True}


def test_small_cells_are_suppressed_and_said() -> None:
    old = table_of({"accuracy": np.linspace(0, 1, 12)}, ["F"] * 8 + ["M"] * 4)
    assert declared_family(old) == [("accuracy", EVERYONE), ("accuracy", "sex: F")]
    few = table_of({"accuracy": np.full(FEWEST_SUBJECTS - 1, 9.0)}, ["F"] * 4)
    assert not enough_arrived(few, old)
    for finding in look_for_drift(few, old, 1):
        assert math.isnan(finding.new)
        assert math.isnan(finding.ci_low)
        assert not finding.violated
        assert "too few yet (4 of 5)" in finding.sentence
    enough = table_of({"accuracy": np.linspace(0, 1, FEWEST_SUBJECTS)}, ["F"] * 5)
    assert enough_arrived(enough, old)


def test_undefined_values_are_left_out_not_counted_as_zero() -> None:
    old = table_of({"accuracy": np.array([0.4, 0.6] * 5)})
    values = np.array([0.5, 0.6, 0.4, 0.5, 0.5, np.nan, np.nan])
    finding = look_for_drift(table_of({"accuracy": values}), old, 1)[0]
    assert finding.n_new == 5
    assert finding.new == pytest.approx(0.5)


def test_the_interval_is_students_where_both_sides_spread_alike() -> None:
    first, second = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 3, 4, 5, 6])
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = difference_of_means(first, second, 0.05)
    assert (found.ci_low, found.ci_high) == pytest.approx((expected.low, expected.high))


def test_five_alike_do_not_make_a_narrow_interval() -> None:
    old = np.array([1.0] * 15 + [0.8] * 5)
    assert not difference_of_means(np.full(5, 1.0), old, 0.05).excludes_zero


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=12),
    st.lists(st.floats(-100, 100), min_size=2, max_size=12),
    st.integers(1, 50),
)
def test_a_later_look_is_never_narrower_and_the_difference_turns_with_the_sides(
    new: list[float], old: list[float], look: int
) -> None:
    one, other = np.array(new), np.array(old)
    now, later = (difference_of_means(one, other, spent_at(k)) for k in (look, look + 1))
    assert later.ci_low <= now.ci_low <= now.difference <= now.ci_high <= later.ci_high
    turned = difference_of_means(other, one, spent_at(look))
    assert (turned.ci_low, turned.ci_high) == pytest.approx((-now.ci_high, -now.ci_low))


def test_one_subject_has_no_interval() -> None:
    found = difference_of_means(np.array([1.0]), np.array([1.0, 2.0]), 0.05)
    assert math.isnan(found.difference)
    assert not found.excludes_zero
