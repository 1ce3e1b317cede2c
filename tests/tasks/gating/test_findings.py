from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from gated_versions import LOCALISED, METRIC, comparisons, judged, predictions, scores, survival

from tasks.gating.constraints import Constraint, judge_version
from tasks.gating.demands import (
    AboveChance,
    BeatsControls,
    CorrectedMode,
    Demand,
    Localises,
    NotWorseThanChampion,
    Sane,
    SubgroupGap,
    usual_demands,
)
from tasks.gating.findings import Standing, advantage, constraints_of
from tasks.gating.judged import Judged

NOBODY = Standing(asked=False, why="there is no champion yet")


def found(demand: Demand, version: Judged, champion: Standing = NOBODY) -> list[Constraint]:
    return constraints_of([demand], version, champion)


def verdicts(demand: Demand, version: Judged, champion: Standing = NOBODY) -> set[str]:
    return {constraint.verdict for constraint in found(demand, version, champion)}


def test_a_sound_first_version_passes_all_and_the_document_is_strict_json() -> None:
    verdict = judge_version(constraints_of(usual_demands(LOCALISED), judged(), NOBODY))
    assert verdict.passed
    assert [each.kind for each in verdict.of("not asked")] == ["champion", "champion"]
    document = json.loads(json.dumps(verdict.as_document(), allow_nan=False))
    assert document["violations"] == []
    assert {"name", "value", "ci_low", "ci_high", "bound", "p_adjusted", "proof", "verdict"} <= set(
        document["constraints"][0]
    )


def test_a_version_of_the_paper_mode_is_refused() -> None:
    assert verdicts(CorrectedMode(), judged()) == {"holds"}
    assert verdicts(CorrectedMode(), judged(mode="paper")) == {"broken"}


@pytest.mark.parametrize(("low", "verdict"), [(1 / 3, "broken"), (0.334, "holds"), (math.nan, "broken")])
def test_balanced_accuracy_is_held_against_chance(low: float, verdict: str) -> None:
    headline = {**judged().headline, "balanced_accuracy_ci_low": low}
    assert verdicts(AboveChance(), judged(headline=headline)) == {verdict}


def test_chance_is_that_of_the_judged_classes_alone() -> None:
    always_normal = {"balanced_accuracy": 0.5, "balanced_accuracy_ci_low": 0.5, "balanced_accuracy_ci_high": 0.5,
                     "classes_left_out": ["paced"]}  # fmt: skip
    assert verdicts(AboveChance(), judged(headline=always_normal)) == {"broken"}
    nothing = judged(headline={**always_normal, "classes_left_out": ["a", "b", "c"]})
    assert verdicts(AboveChance(), nothing) == {"broken"}


@pytest.mark.parametrize(("low", "verdict"), [(0.1, "broken"), (0.1001, "holds"), (math.nan, "broken")])
def test_a_segmentation_is_held_against_marking_all_signal(low: float, verdict: str) -> None:
    headline = {"dice": 0.5, "dice_ci_low": low, "dice_ci_high": 0.6, "dice_by_chance": 0.1}
    (constraint,) = found(AboveChance(), judged(headline=headline))
    assert constraint.verdict == verdict
    assert "demanded is above that of marking all signal, 0.1" in constraint.sentence


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (comparisons(difference=0.3), "the control is better"),
        (comparisons(difference=-0.05), "the interval holds zero"),
        (comparisons(p=0.2), "the corrected test does not agree"),
        (comparisons(direction="higher", difference=-0.3), "lower is worse for this metric"),
        (comparisons(p=math.nan), "undefined p"),
        (comparisons().iloc[:0], "never compared"),
        (comparisons().iloc[:1], "one control was never compared"),
        (comparisons(baseline="linear"), "compared at another baseline only"),
    ],
)
def test_an_explainer_that_does_not_beat_both_controls_is_refused(table: pd.DataFrame, why: str) -> None:
    verdict = judge_version(found(BeatsControls(), judged(comparisons=table)))
    assert not verdict.passed, why
    assert verdict.sentence.startswith("refused: deletion_auc: occlusion_w10 against")
    json.dumps(verdict.as_document(), allow_nan=False)


def test_an_advantage_is_the_same_from_either_side() -> None:
    table = comparisons()
    forward, backward = advantage(table, "occlusion_w10", "random"), advantage(table, "random", "occlusion_w10")
    assert forward["value"] == pytest.approx(0.3)
    assert backward["value"] == pytest.approx(-0.3)
    assert (forward["ci_low"], forward["ci_high"]) == pytest.approx((-backward["ci_high"], -backward["ci_low"]))


@pytest.mark.parametrize(
    ("difference", "verdict"), [(0.25, "holds"), (0.15, "broken"), (-0.3, "broken"), (math.nan, "broken")]
)
def test_localisation_has_to_beat_the_controls_by_a_tenth(difference: float, verdict: str) -> None:
    table = pd.concat([comparisons(), comparisons(LOCALISED, "", difference=difference)])
    assert verdicts(Localises(metric=LOCALISED), judged(comparisons=table)) == {verdict}


@pytest.mark.parametrize(
    ("evidence", "note"), [(False, "the cohort knows no evidence"), (True, f"the job takes no {LOCALISED}")]
)
def test_without_evidence_localisation_is_not_asked_and_that_is_said(evidence: bool, note: str) -> None:
    (constraint,) = found(Localises(metric=LOCALISED), judged(comparisons=comparisons(), has_evidence=evidence))
    assert (constraint.verdict, constraint.note) == ("not asked", note)


@pytest.mark.parametrize(
    ("proof", "mean", "verdict"),
    [
        ("must_show", 0.1, "holds"),
        ("must_show", 0.75, "broken"),
        ("must_show", 1.0, "broken"),
        ("must_show", math.nan, "broken"),
        ("must_not_show", 0.75, "holds"),
        ("must_not_show", 0.95, "broken"),
        ("must_not_show", math.nan, "not asked"),
    ],
)
def test_a_map_that_survives_random_weights_is_refused(proof: Any, mean: float, verdict: str) -> None:
    version = judged(explainers=survival("cascading_randomisation", mean))
    assert verdicts(Sane(metric="cascading_randomisation", bound=0.8, proof=proof), version) == {verdict}


def test_what_the_job_does_not_take_is_not_asked() -> None:
    (constraint,) = found(Sane(metric="random_logit", bound=0.9), judged(explainers=survival("gini", 0.5)))
    assert (constraint.verdict, constraint.note) == ("not asked", "the job takes no random_logit")
    for_others = survival("random_logit", 0.1).assign(explainer="gradient")
    assert verdicts(Sane(metric="random_logit", bound=0.9), judged(explainers=for_others)) == {"broken"}


def test_a_planted_gap_between_the_sexes_is_refused_and_an_equal_one_is_not() -> None:
    women_lose = predictions({subject: 0.9 - 0.4 * (subject % 2) + 0.02 * (subject % 3) for subject in range(20)})
    gap = SubgroupGap(of="performance", factor="sex")
    assert verdicts(gap, judged()) == {"holds"}
    (constraint,) = found(gap, judged(predictions=women_lose))
    assert constraint.verdict == "broken"
    assert constraint.value == pytest.approx(0.4, abs=0.05)
    assert constraint.note == "F against M"
    assert verdicts(SubgroupGap(of="performance", factor="age"), judged(predictions=women_lose)) == {"holds"}


def test_a_planted_gap_in_faithfulness_is_refused() -> None:
    old_lose = scores({subject: (0.5 if subject < 10 else 0.1) + 0.02 * (subject % 3) for subject in range(20)})
    gap = SubgroupGap(of="faithfulness", factor="age")
    assert verdicts(gap, judged()) == {"holds"}
    assert verdicts(gap, judged(scores=old_lose)) == {"broken"}
    assert verdicts(gap, judged(scores=old_lose.iloc[:0])) == {"not asked"}


def test_groups_under_five_people_are_not_judged_and_that_is_said() -> None:
    women_lose = predictions({subject: 0.1 if subject < 4 else 0.9 for subject in range(20)})
    groups = judged().groups.assign(sex=["F"] * 4 + ["M"] * 16)
    (constraint,) = found(SubgroupGap(of="performance", factor="sex"), judged(predictions=women_lose, groups=groups))
    assert constraint.verdict == "not asked"
    assert constraint.note == "there are no two groups to compare; fewer than 5 subjects: F"
    (unknown,) = found(SubgroupGap(of="performance", factor="sex"), judged(groups=groups.assign(sex=None)))
    assert unknown.note == "no subject's sex is known"


def shifted(by: float) -> Judged:
    """A version that reads every subject worse or better than the sound one, by so much."""
    right = {subject: 0.8 + 0.05 * (subject % 2) + by for subject in range(20)}
    return judged(predictions=predictions(right))


@pytest.mark.parametrize(
    ("by", "verdict"), [(-0.1, "broken"), (-0.05, "broken"), (0.0, "holds"), (0.05, "holds"), (0.1, "holds")]
)
def test_a_worse_challenger_is_refused_an_equal_and_a_better_one_are_not(by: float, verdict: str) -> None:
    champion = Standing(replace(judged(), version="1"))
    assert verdicts(NotWorseThanChampion(of="performance"), shifted(by), champion) == {verdict}


@pytest.mark.parametrize(("by", "verdict"), [(-0.1, "broken"), (0.0, "holds"), (0.1, "holds")])
@pytest.mark.parametrize("proof", ["must_show", "must_not_show"])
def test_a_less_faithful_challenger_is_refused(by: float, verdict: str, proof: Any) -> None:
    challenger = judged(scores=scores({subject: 0.4 + by + 0.01 * (subject % 3) for subject in range(20)}))
    demand = NotWorseThanChampion(of="faithfulness", proof=proof)
    (constraint,) = found(demand, challenger, Standing(judged()))
    assert constraint.verdict == verdict
    assert constraint.value == pytest.approx(by)


def test_a_segmentation_is_compared_by_its_dice() -> None:
    headline = {"dice": 0.5, "dice_ci_low": 0.4, "dice_ci_high": 0.6, "dice_by_chance": 0.1}
    dice = pd.DataFrame({"subject": range(8), "dice": [0.5, 0.6, 0.7, 0.4] * 2})
    champion = judged(headline=headline, predictions=dice)
    demand = NotWorseThanChampion(of="performance")
    assert verdicts(demand, champion, Standing(champion)) == {"holds"}
    worse = replace(champion, predictions=dice.assign(dice=dice["dice"] - 0.1))
    (constraint,) = found(demand, worse, Standing(champion))
    assert (constraint.verdict, constraint.value) == ("broken", pytest.approx(-0.1))


def test_a_champion_that_was_never_judged_here_has_to_be_first() -> None:
    away = Standing(why="the champion, version 1, was never judged on this cohort")
    (performance,) = found(NotWorseThanChampion(of="performance"), judged(), away)
    assert performance.verdict == "broken"
    assert "never judged on this cohort" in performance.sentence
    assert verdicts(NotWorseThanChampion(of="faithfulness", proof="must_not_show"), judged(), away) == {"not asked"}


def test_scores_by_another_metric_are_not_compared() -> None:
    champion = Standing(judged(metric="insertion_auc"))
    (constraint,) = found(NotWorseThanChampion(of="faithfulness"), judged(), champion)
    assert constraint.verdict == "broken"
    assert constraint.note == f"version 2 was judged by insertion_auc, this one by {METRIC}"


def test_the_order_of_rows_and_demands_changes_nothing() -> None:
    sound, champion = judged(), Standing(shifted(0.05))
    mixed = replace(
        sound,
        predictions=sound.predictions.sample(frac=1, random_state=1),
        scores=sound.scores.sample(frac=1, random_state=2),
        comparisons=sound.comparisons.iloc[::-1],
        explainers=sound.explainers.iloc[::-1],
        groups=sound.groups.iloc[::-1],
    )
    demands = usual_demands(LOCALISED)
    straight = [each.as_row() for each in constraints_of(demands, sound, champion)]
    turned = [each.as_row() for each in constraints_of(demands[::-1], mixed, champion)]
    assert sorted(straight, key=lambda row: row["name"]) == sorted(turned, key=lambda row: row["name"])
