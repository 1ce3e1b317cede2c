from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import ValidationError

from flows.catalogue import STUDIES
from tasks.gating.demands import AboveChance, Localises, NotWorseThanChampion, Sane, SubgroupGap, usual_demands

MARKED_BY_AMPLITUDE = "mnist-scanline"
"""Its evidence is the ink, which the control `amplitude` marks: nothing can lie on it better than the control."""


@pytest.mark.parametrize(
    ("demand", "arguments", "message"),
    [
        (AboveChance, {"margin": -0.1}, "greater than or equal to 0"),
        (Localises, {"metric": "deletion_auc"}, "expected a localisation metric"),
        (Sane, {"metric": "gini", "bound": 0.5}, "cascading_randomisation"),
        (Sane, {"metric": "random_logit", "bound": 1.0}, "less than 1"),
        (SubgroupGap, {"of": "performance", "factor": "shoe size"}, "'sex' or 'age'"),
        (SubgroupGap, {"of": "performance", "factor": "sex", "proof": "must_show"}, "must_not_show"),
        (NotWorseThanChampion, {"of": "looks"}, "'performance' or 'faithfulness'"),
        (NotWorseThanChampion, {"of": "performance", "slack": 1}, "[Uu]nexpected keyword"),
    ],
)
def test_a_demand_that_makes_no_sense_is_refused(demand: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        demand(**arguments)


def test_a_demand_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        AboveChance().margin = 0.5  # type: ignore[misc]


def test_every_study_demands_every_kind_that_means_something_and_its_job_takes_the_measures() -> None:
    kinds = {demand.kind for demand in usual_demands()}
    assert kinds == {"mode", "performance", "faithfulness", "localisation", "sanity", "subgroups", "champion"}
    for study in STUDIES.values():
        asked = kinds - {"localisation"} if study.name == MARKED_BY_AMPLITUDE else kinds
        assert {demand.kind for demand in study.gate} == asked, study.name
        for plan in (study.phantom, study.quick, study.full):
            if "faithfulness" in plan.jobs:
                assert "localisation" in plan.jobs["faithfulness"].quality.groups  # type: ignore[union-attr]
