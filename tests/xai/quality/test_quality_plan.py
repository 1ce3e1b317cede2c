from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from xai.quality.plan import QualityPlan


def test_a_plan_survives_json() -> None:
    plan = QualityPlan(groups=("stability", "complexity"), baselines=("linear",), steps=7, radius=0.3)
    assert QualityPlan.from_dict(json.loads(json.dumps(asdict(plan)))) == plan


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": ["faith"]}, r"groups names 'faith'; expected some of faithfulness"),
        ({"baselines": ["blur"]}, r"baselines names 'blur'; expected some of zero, mean, linear"),
        ({"stepps": 3}, r"plan names 'stepps'"),
        ({"steps": 0}, r"steps is 0; expected 1 or more"),
        ({"radius": 0.0}, r"radius is 0.0; expected a positive number"),
        ({"tops": [0.1, 1.5]}, r"holds 1.5; expected shares in \(0, 1\]"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityPlan.from_dict(values)
