"""Every explainer and every group of measures on a 3-D segmenter, in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from segmenters import lesions, segmenter, volumes

from xai.methods import CONTROLS, attribute_all, explainer, memory
from xai.methods.memory import activation_bytes, rows_through
from xai.quality import measure as measuring
from xai.quality.measure import measure
from xai.quality.metric import METRICS
from xai.quality.plan import GROUPS, QualityPlan
from xai.scores import LOGIT, OUTPUT_SUM

NAMES = (
    "gradient", "gradient_abs", "gradient_x_input", "integrated_gradients_n8", "smoothgrad_n3",
    "occlusion_w3x4x4_s3x4x4", "occlusion_w3x6x5_s3x6x5_single", *CONTROLS,
)  # fmt: skip
PLAN = QualityPlan(groups=GROUPS, steps=3, tops=(0.1,), subsets=5, perturbations=3, draws=1)
TARGETS = torch.ones(3, dtype=torch.long)
SEEDS = torch.tensor([4, 9, 2])


@pytest.fixture(scope="module")
def maps():
    return attribute_all([explainer(name) for name in NAMES], segmenter(), volumes(), TARGETS, seeds=SEEDS)


def _measure(maps, rows=slice(None), plan=PLAN, **changes):
    return measure(
        segmenter(), volumes()[rows], TARGETS[rows], {name: values[rows] for name, values in maps.items()}, plan,
        seeds=SEEDS[rows], explainers={name: explainer(name) for name in maps}, evidence=lesions()[rows], **changes,
    )  # fmt: skip


def test_every_metric_is_measured_of_a_segmenter_and_lies_in_its_range(maps):
    some = {name: maps[name] for name in ("gradient_x_input", "random")}
    scores = _measure(some).scores
    assert set(scores["metric"]) == {name for name, metric in METRICS.items() if metric.group != "folds"}
    assert scores["value"].notna().mean() > 0.95
    for metric, values in scores.dropna().groupby("metric")["value"]:
        assert METRICS[metric].low - 1e-9 <= values.min() <= values.max() <= METRICS[metric].high + 1e-9, metric


def test_curves_start_at_the_lesion_sum(maps):
    curves = _measure({"gradient": maps["gradient"]}, plan=replace(PLAN, groups=("faithfulness",))).curves
    with torch.no_grad():
        expected = LOGIT(segmenter()(volumes()), TARGETS)
    np.testing.assert_allclose(curves[curves["fraction"] == 0].groupby("sample")["logit"].first(), expected)


def test_less_memory_changes_no_map_and_no_score(maps, monkeypatch):
    some = {name: maps[name] for name in ("gradient", "occlusion_w3x4x4_s3x4x4")}
    whole = _measure(some)
    monkeypatch.setattr(memory, "ACTIVATION_BYTES", {"cpu": 1})
    monkeypatch.setattr(measuring, "FEATURE_BYTES", 1)
    narrow = attribute_all([explainer(name) for name in NAMES], segmenter(), volumes(), TARGETS, seeds=SEEDS)
    for name in NAMES:
        torch.testing.assert_close(narrow[name], maps[name], rtol=1e-9, atol=1e-12, msg=name)
    again = _measure(some)
    pd.testing.assert_frame_equal(_sorted(again.scores), _sorted(whole.scores), rtol=1e-7)
    pd.testing.assert_frame_equal(_sorted(again.curves), _sorted(whole.curves), rtol=1e-9)


def test_the_companions_and_the_order_change_nothing(maps):
    some = {name: maps[name] for name in ("gradient", "random")}
    whole, order = _measure(some).scores, [2, 0]
    part = _measure(some, torch.tensor(order)).scores
    part["sample"] = part["sample"].map(dict(enumerate(order)))
    pd.testing.assert_frame_equal(_sorted(part), _sorted(whole[whole["sample"].isin(order)]), rtol=1e-9)


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    keys = [column for column in table.columns if column not in ("value", "logit", "probability")]
    return table.set_index(keys).sort_index()


def test_gradients_of_the_lesion_sum_equal_differences(maps):
    model, inputs = segmenter(), volumes()
    for place in ((0, 0, 2, 3, 4), (1, 2, 0, 0, 0), (2, 1, 4, 11, 9)):
        moved = torch.zeros_like(inputs)
        moved[place] = 1e-6
        with torch.no_grad():
            rise = LOGIT(model(inputs + moved), TARGETS) - LOGIT(model(inputs - moved), TARGETS)
        assert maps["gradient"][place].item() == pytest.approx(rise[place[0]].item() / 2e-6, rel=1e-5, abs=1e-7)


def test_occlusion_of_a_volume_is_the_fall_of_the_lesion_sum(maps):
    model, inputs = segmenter(), volumes()
    block = (slice(None), slice(None), slice(3, 6), slice(4, 8), slice(8, 12))  # the last of each axis is cut
    occluded = inputs.clone()
    occluded[block] = 0
    with torch.no_grad():
        fall = LOGIT(model(inputs), TARGETS) - LOGIT(model(occluded), TARGETS)
    found = maps["occlusion_w3x4x4_s3x4x4"][block]
    torch.testing.assert_close(found, fall.view(-1, 1, 1, 1, 1).expand_as(found))


def test_no_more_volumes_go_through_at_once_than_their_activations_allow(maps, monkeypatch):
    model, inputs = segmenter(), volumes()
    one = activation_bytes(model, inputs[:1])
    assert one > 20 * inputs[0].nbytes  # all layers of 4 and 8 channels, twice on the way
    monkeypatch.setattr(memory, "ACTIVATION_BYTES", {"cpu": 2 * one})
    assert rows_through(model, inputs, 512) == 2
    sizes = []
    model.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
    plan = replace(PLAN, groups=("faithfulness", "sensitivity", "infidelity"))
    measure(model, inputs, TARGETS, {"gradient": maps["gradient"]}, plan, seeds=SEEDS)
    assert max(sizes) == 2
    assert not any(part._forward_hooks for part in model.modules())


def test_the_papers_start_of_lrp_is_no_scalar_of_a_curve(maps):
    with pytest.raises(ValueError, match="score is 'output_sum'; expected one of logit, probability"):
        _measure({"gradient": maps["gradient"]}, score=OUTPUT_SUM)
