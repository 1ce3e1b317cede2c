from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from tasks.gating.constraints import (
    Constraint,
    advantage,
    beats_controls,
    better_than_chance,
    judge_version,
    overlaps_better_than_chance,
    trained_in_corrected_mode,
)

PERFORMANCE = {"balanced_accuracy": 0.8, "balanced_accuracy_ci_low": 0.7, "balanced_accuracy_ci_high": 0.9,
               "classes_left_out": []}  # fmt: skip


def comparisons(direction: str = "lower", p: float = 0.01, difference: float = -0.3) -> pd.DataFrame:
    rows = [
        {"first": "occlusion_w10", "second": control, "difference": difference, "ci_low": difference - 0.1,
         "ci_high": difference + 0.1, "p_adjusted": p, "direction": direction}
        for control in ("random", "amplitude")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_good_version_passes_and_the_document_is_strict_json() -> None:
    verdict = judge_version(
        [better_than_chance(PERFORMANCE, 5), *beats_controls(comparisons(), "occlusion_w10", "deletion_auc")]
    )
    assert verdict.passed
    document = json.dumps(verdict.as_document(), allow_nan=False)
    assert json.loads(document)["violations"] == []


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (comparisons(difference=0.3), "the control is better"),
        (comparisons(difference=-0.05), "the interval holds zero"),
        (comparisons(p=0.2), "the corrected test does not agree"),
        (comparisons(direction="higher"), "lower is worse for this metric"),
        (comparisons(p=math.nan), "undefined p"),
        (comparisons().iloc[:0], "never compared"),
        (comparisons().iloc[:1], "one control was never compared"),
    ],
)
def test_an_explainer_that_does_not_beat_both_controls_is_refused(table: pd.DataFrame, why: str) -> None:
    constraints = beats_controls(table, "occlusion_w10", "deletion_auc")
    verdict = judge_version(constraints)
    assert not verdict.passed, why
    assert verdict.sentence.startswith("refused: deletion_auc: occlusion_w10 against")
    json.dumps(verdict.as_document(), allow_nan=False)


@pytest.mark.parametrize(("low", "holds"), [(0.2, False), (0.2001, True), (math.nan, False)])
def test_balanced_accuracy_is_held_against_chance(low: float, holds: bool) -> None:
    assert better_than_chance({**PERFORMANCE, "balanced_accuracy_ci_low": low}, 5).holds is holds


def test_chance_is_that_of_the_judged_classes_alone() -> None:
    always_normal = {
        "balanced_accuracy": 0.25,
        "balanced_accuracy_ci_low": 0.25,
        "balanced_accuracy_ci_high": 0.25,
        "classes_left_out": ["paced"],
    }
    assert not better_than_chance(always_normal, 5).holds
    assert not better_than_chance({**PERFORMANCE, "classes_left_out": ["a", "b"]}, 2).holds


def test_a_version_of_the_paper_mode_is_refused() -> None:
    assert trained_in_corrected_mode("corrected").holds
    assert not trained_in_corrected_mode("paper").holds


def test_an_advantage_is_the_same_from_either_side() -> None:
    table = comparisons()
    forward, backward = advantage(table, "occlusion_w10", "random"), advantage(table, "random", "occlusion_w10")
    assert forward["value"] == pytest.approx(0.3)
    assert backward["value"] == pytest.approx(-0.3)
    assert (forward["ci_low"], forward["ci_high"]) == pytest.approx((-backward["ci_high"], -backward["ci_low"]))


def test_a_gate_without_constraints_guards_nothing_and_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        judge_version([])


def test_a_constraint_at_its_bound_does_not_hold() -> None:
    assert not Constraint("name", "above 0", 0.1, 0.0, 0.2, bound=0.0).holds


@pytest.mark.parametrize(("low", "holds"), [(0.1, False), (0.1001, True), (math.nan, False)])
def test_a_segmentation_is_held_against_marking_all_signal(low: float, holds: bool) -> None:
    found = overlaps_better_than_chance({"dice": 0.5, "dice_ci_low": low, "dice_ci_high": 0.6, "dice_by_chance": 0.1})
    assert found.holds is holds
    assert "demanded is above that of marking all signal, 0.1" in found.sentence


def test_what_two_people_cannot_tell_is_said_in_words():
    nothing = Constraint("dice", "above chance", 0.02, math.nan, math.nan, bound=0.01)
    assert nothing.sentence == "dice is 0.02, of too few for an interval; demanded is above chance"
    undefined = Constraint("faith", "above 0", math.nan, math.nan, math.nan, bound=0.0, p_adjusted=math.nan)
    assert undefined.sentence == "faith is undefined, there are too few to compare; demanded is above 0"
    assert not nothing.holds
    assert not undefined.holds
