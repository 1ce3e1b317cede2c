from __future__ import annotations

from math import inf

import pytest

from xai.quality.metric import METRICS

PLAIN = [
    "deletion_auc",
    "insertion_auc",
    "aopc",
    "abpc",
    "comprehensiveness",
    "sufficiency",
    "sensitivity_n",
    "infidelity",
    "max_sensitivity",
    "cascading_randomisation",
    "efficient_randomisation",
    "random_logit",
    "complexity",
    "gini",
    "relevance_mass",
    "relevance_rank",
    "pointing_game",
    "auprc",
    "inclusivity",
    "precision",
    "dice",
    "input_inclusivity",
    "fold_agreement",
    "relevance_leak",
]
LOWER_IS_BETTER = {
    "deletion_auc",
    "sufficiency",
    "infidelity",
    "max_sensitivity",
    "cascading_randomisation",
    "random_logit",
    "complexity",
    "relevance_leak",
}


def test_every_metric_of_the_contract_is_there_under_its_own_name() -> None:
    assert set(PLAIN) <= set(METRICS)
    assert all(metric.name == name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
def test_direction_and_range_are_sensible(name: str) -> None:
    metric = METRICS[name]
    plain = name.removesuffix("_probability").removesuffix("_area_corrected")
    assert (metric.direction == "lower") == (plain in LOWER_IS_BETTER)
    assert metric.low < metric.high
    assert metric.reference


def test_suffixes_narrow_or_open_the_range() -> None:
    assert (METRICS["deletion_auc_probability"].low, METRICS["deletion_auc_probability"].high) == (0, 1)
    assert (METRICS["aopc_probability"].low, METRICS["aopc_probability"].high) == (-1, 1)
    assert METRICS["inclusivity_area_corrected"].low == -inf


def test_exactly_the_localisation_metrics_need_evidence() -> None:
    for metric in METRICS.values():
        on_evidence = metric.group == "localisation" and not metric.name.startswith("input_")
        assert metric.needs_evidence == on_evidence
