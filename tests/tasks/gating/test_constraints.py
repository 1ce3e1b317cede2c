from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.gating.constraints import Constraint, judge_version
from tasks.gating.demands import Proof

NUMBERS = st.floats(-1, 1) | st.just(math.nan)


def constraint(value: float, low: float, high: float, **changes) -> Constraint:  # type: ignore[no-untyped-def]
    return Constraint("kind", "name", "above 0", **{"bound": 0.0, **changes}, value=value, ci_low=low, ci_high=high)


HOLDS, BROKEN = constraint(0.2, 0.1, 0.3), constraint(0.2, -0.1, 0.3)


@pytest.mark.parametrize(
    ("proof", "side", "interval", "verdict"),
    [
        ("must_show", "above", (0.1, 0.3), "holds"),
        ("must_show", "above", (0.0, 0.3), "broken"),
        ("must_show", "above", (-0.3, -0.1), "broken"),
        ("must_show", "above", (math.nan, math.nan), "broken"),
        ("must_show", "below", (-0.3, -0.1), "holds"),
        ("must_show", "below", (-0.3, 0.0), "broken"),
        ("must_show", "below", (math.nan, math.nan), "broken"),
        ("must_not_show", "above", (0.1, 0.3), "broken"),
        ("must_not_show", "above", (0.0, 0.3), "holds"),
        ("must_not_show", "above", (-0.3, -0.1), "holds"),
        ("must_not_show", "above", (math.nan, math.nan), "not asked"),
        ("must_not_show", "below", (-0.3, -0.1), "broken"),
        ("must_not_show", "below", (-0.3, 0.1), "holds"),
    ],
)
def test_what_has_to_be_shown_and_what_must_not_be(proof, side, interval, verdict) -> None:  # type: ignore[no-untyped-def]
    low, high = interval
    assert constraint((low + high) / 2, low, high, proof=proof, side=side).verdict == verdict


@pytest.mark.parametrize(("p", "verdict"), [(0.05, "holds"), (0.051, "broken"), (math.nan, "broken")])
def test_the_corrected_test_has_to_agree(p: float, verdict: str) -> None:
    assert constraint(0.2, 0.1, 0.3, p_adjusted=p).verdict == verdict


@given(st.sampled_from(["must_show", "must_not_show"]), NUMBERS, NUMBERS, NUMBERS, st.floats(0, 1) | st.none())
def test_nothing_undefined_ever_holds(proof: Proof, value: float, low: float, high: float, p: float | None) -> None:
    found = constraint(value, low, high, proof=proof, p_adjusted=p)
    if math.isnan(low) and math.isnan(high):
        assert found.verdict == {"must_show": "broken", "must_not_show": "not asked"}[proof]
    json.dumps(found.as_row(), allow_nan=False)


def test_one_broken_constraint_refuses_and_silence_neither_passes_nor_refuses() -> None:
    silent = Constraint("kind", "gap", "none", 0.0, asked=False, note="nobody's sex is known")
    assert judge_version([HOLDS, silent]).passed
    assert judge_version([HOLDS, silent]).sentence == "passed: all 1 constraints that were asked hold; 1 not asked"
    assert not judge_version([silent]).passed
    refused = judge_version([HOLDS, BROKEN, silent])
    assert not refused.passed
    assert refused.sentence == "refused: name is 0.2 [-0.1, 0.3]; demanded is above 0; 1 not asked"
    assert [row["verdict"] for row in refused.as_document()["violations"]] == ["broken"]
    assert silent.found == "nobody's sex is known"


def test_the_order_of_the_constraints_changes_no_verdict() -> None:
    assert judge_version([HOLDS, BROKEN]).passed is judge_version([BROKEN, HOLDS]).passed is False


def test_what_two_people_cannot_tell_is_said_in_words() -> None:
    nothing = constraint(0.02, math.nan, math.nan)
    assert nothing.sentence == "name is 0.02, of too few for an interval; demanded is above 0"
    undefined = constraint(math.nan, math.nan, math.nan, p_adjusted=math.nan)
    assert undefined.sentence == "name is undefined, there are too few to compare; demanded is above 0"


def test_a_gate_without_constraints_guards_nothing_and_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        judge_version([])
