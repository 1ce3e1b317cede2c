from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from xai.quality.measure import Measurement, measure
from xai.quality.metric import METRICS as EVERY_METRIC
from xai.quality.plan import GROUPS, QualityPlan
from xai.quality.randomisation import other_classes, rank_correlation
from xai.quality.stability import random_shifts
from xai.scores import PROBABILITY

METRICS = {name: metric for name, metric in EVERY_METRIC.items() if metric.group != "folds"}
PLAN = QualityPlan(groups=GROUPS, steps=5, subsets=12, perturbations=6, draws=2)


def _evidence(inputs: Tensor) -> Tensor:
    mask = torch.zeros_like(inputs, dtype=torch.bool)
    mask[:, :, :2] = True
    return mask


def _measure(case: Any, rows: Any = slice(None), plan: QualityPlan = PLAN, **changes: Any) -> Measurement:
    arguments = {
        "seeds": case.seeds[rows],
        "explainers": case.explainers,
        "evidence": _evidence(case.inputs[rows]),
        **changes,
    }
    attributions = {name: values[rows] for name, values in case.attributions.items()}
    return measure(case.model, case.inputs[rows], case.targets[rows], attributions, plan, **arguments)


def _values(table: pd.DataFrame) -> pd.Series:
    keys = [column for column in table.columns if column not in ("value", "logit", "probability")]
    return table.set_index(keys).sort_index()


class _Counting(nn.Module):
    """Counts the rows that pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.rows, self.largest = model, 0, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        self.largest = max(self.largest, len(inputs))
        return self.model(inputs)


def test_every_metric_of_the_catalogue_is_measured_once_per_sample_explainer_and_baseline(case: Any) -> None:
    scores = _measure(case).scores
    assert list(scores.columns) == ["sample", "explainer", "metric", "baseline", "value"]
    assert set(scores["metric"]) == set(METRICS)
    assert not scores.duplicated(["sample", "explainer", "metric", "baseline"]).any()
    assert set(scores["sample"]) == set(range(5))
    sizes = scores.groupby(["metric", "explainer"]).size()
    for (metric, _), size in sizes.items():
        baselines = 3 if METRICS[metric].group in ("faithfulness", "sensitivity") else 1
        assert size == 5 * baselines, metric


def test_every_value_lies_in_its_metrics_range(case: Any) -> None:
    scores = _measure(case).scores.dropna()
    for metric, values in scores.groupby("metric")["value"]:
        slack = 1e-9
        assert values.min() >= METRICS[metric].low - slack, metric
        assert values.max() <= METRICS[metric].high + slack, metric


@pytest.mark.parametrize("batch_size", [1, 4])
def test_batch_size_changes_nothing(case: Any, batch_size: int) -> None:
    whole, small = _measure(case), _measure(case, batch_size=batch_size)
    pd.testing.assert_frame_equal(whole.scores, small.scores, rtol=1e-9)
    pd.testing.assert_frame_equal(whole.curves, small.curves, rtol=1e-9)


def test_the_companions_and_the_order_of_samples_change_nothing(case: Any) -> None:
    whole = _measure(case).scores
    order = [3, 0, 4]
    part = _measure(case, torch.tensor(order)).scores
    part["sample"] = part["sample"].map(dict(enumerate(order)))
    expected = whole[whole["sample"].isin(order)]
    pd.testing.assert_frame_equal(_values(part), _values(expected), rtol=1e-9)


def test_curves_are_long_and_start_and_end_alike_for_all(case: Any) -> None:
    curves = _measure(case).curves
    assert list(curves.columns) == [
        "sample", "explainer", "baseline", "order", "fraction", "logit", "probability",
    ]  # fmt: skip
    for fraction in (0.0, 1.0):
        ends = curves[curves["fraction"] == fraction]
        assert len(ends) == 5 * 3 * 3 * 2
        assert (ends.groupby(["sample", "baseline"])[["logit", "probability"]].nunique() == 1).all().all()
    logits = case.model(case.inputs).gather(1, case.targets.view(-1, 1)).squeeze(1)
    starts = curves[curves["fraction"] == 0].groupby("sample")["logit"].first()
    np.testing.assert_allclose(starts, logits.detach().numpy())


def test_explainers_and_orders_share_the_ends_and_all_explainers_the_random_changes(case: Any) -> None:
    counting = _Counting(case.model).eval()
    plan = replace(PLAN, groups=("faithfulness", "sensitivity", "infidelity", "localisation", "complexity"))
    found = measure(
        counting, case.inputs, case.targets, case.attributions, plan,
        seeds=case.seeds, evidence=_evidence(case.inputs), batch_size=16,
    )  # fmt: skip
    points = found.curves["fraction"].nunique()
    explainers, baselines, orders = 3, 3, 2
    per_sample = 1 + baselines + explainers * baselines * orders * (points - 2)
    per_sample += baselines * plan.subsets + plan.perturbations
    to_see_its_memory = case.inputs.ndim == 5
    assert counting.rows == 5 * per_sample + to_see_its_memory
    assert counting.largest <= 16


def test_probability_as_the_explained_scalar_takes_the_plain_names(case: Any) -> None:
    logit = _measure(case, plan=replace(PLAN, groups=("faithfulness",))).scores
    found = _measure(case, plan=replace(PLAN, groups=("faithfulness",)), score=PROBABILITY).scores
    assert not found["metric"].str.endswith("_probability").any()
    own_name = logit[logit["metric"].str.endswith("_probability")].copy()
    own_name["metric"] = own_name["metric"].str.removesuffix("_probability")
    pd.testing.assert_frame_equal(_values(found), _values(own_name))


def test_constant_and_broken_attributions_are_undefined_and_counted(case: Any) -> None:
    attributions = case.attributions["gradient"].clone()
    attributions[0], attributions[1] = 0.0, 3.0
    attributions[2].view(-1)[0] = torch.nan
    found = measure(
        case.model, case.inputs, case.targets, {"gradient": attributions}, PLAN,
        seeds=case.seeds, explainers=case.explainers, evidence=_evidence(case.inputs),
    )  # fmt: skip
    undefined = found.scores.groupby(["metric", "sample"])["value"].apply(lambda values: values.isna().all())
    for metric in METRICS:
        simple = METRICS[metric].group == "complexity"
        assert undefined[metric].tolist() == [True, not simple, True, False, False], metric
    counts = found.undefined().set_index(["metric", "baseline"])
    assert (counts["samples"] == 5).all()
    assert counts.loc[("deletion_auc", "zero"), "undefined"] == 3
    assert counts.loc[("gini", ""), "undefined"] == 2
    curves = found.curves.groupby("sample")["logit"].apply(lambda values: values.isna().all())
    assert curves.tolist() == [True, True, True, False, False]


def test_contributions_beat_noise_on_a_linear_model(linear_model: nn.Module) -> None:
    inputs = torch.randn(20, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.arange(20) % 3
    contributions = linear_model[1].weight[targets].detach().view_as(inputs) * inputs
    noise = torch.rand(20, 2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plan = QualityPlan(groups=("faithfulness", "sensitivity"), baselines=("zero",))
    found = measure(
        linear_model, inputs, targets, {"good": contributions, "noise": noise}, plan, seeds=torch.arange(20)
    )
    means = found.scores.groupby(["metric", "explainer"])["value"].mean().unstack()
    for metric in means.index[~means.index.str.endswith("_probability")]:
        better = means.loc[metric, "good"] - means.loc[metric, "noise"]
        assert (better > 0) == (METRICS[metric].direction == "higher"), metric


def test_explaining_again_asks_for_another_class_and_for_shifted_inputs(case: Any) -> None:
    scores = _measure(case, plan=replace(PLAN, groups=("stability", "randomisation"))).scores
    scores = scores[scores["explainer"] == "gradient"].set_index("metric")["value"]
    gradient, reference = case.explainers["gradient"], case.attributions["gradient"]
    others = other_classes(case.seeds, case.targets, 3)
    other = gradient.attribute(case.model, case.inputs, others, seeds=case.seeds)
    np.testing.assert_allclose(scores["random_logit"], rank_correlation(reference, other).numpy())
    assert (scores["random_logit"] < 0.999).all()
    shifts = random_shifts(case.seeds, PLAN.draws, PLAN.radius, case.inputs)
    moved = [
        gradient.attribute(case.model, case.inputs + shifts[:, draw], case.targets, seeds=case.seeds)
        for draw in range(PLAN.draws)
    ]
    changes = [(values - reference).flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1) for values in moved]
    np.testing.assert_allclose(scores["max_sensitivity"], torch.stack(changes).amax(0).numpy())


def test_evidence_without_channels_holds_for_every_channel(case: Any) -> None:
    plan = replace(PLAN, groups=("localisation",))
    mask = _evidence(case.inputs)
    full = _measure(case, plan=plan, evidence=mask)
    for short in (mask[:, 0], mask[:, :1]):
        pd.testing.assert_frame_equal(_measure(case, plan=plan, evidence=short).scores, full.scores)
    without = _measure(case, plan=plan, evidence=None).scores["metric"]
    assert set(without) == {"input_inclusivity", "input_inclusivity_area_corrected"}
    with pytest.raises(ValueError, match="evidence has shape"):
        _measure(case, plan=plan, evidence=mask[..., :1])


def test_what_does_not_fit_is_refused_in_one_sentence(case: Any) -> None:
    with pytest.raises(ValueError, match=r"seeds have shape \(2,\); expected \(5,\), one per sample"):
        _measure(case, seeds=case.seeds[:2])
    with pytest.raises(ValueError, match="explainers lack 'gradient'; expected one per attribution for stability"):
        _measure(case, explainers=None)
    with pytest.raises(ValueError, match="attributions of flat have shape"):
        measure(case.model, case.inputs, case.targets, {"flat": case.inputs[:, 0]}, PLAN, seeds=case.seeds)
    case.model.train()
    with pytest.raises(ValueError, match=r"model is in training mode; expected model.eval\(\)"):
        _measure(case)
