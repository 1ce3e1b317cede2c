"""Gradient and occlusion on cropped windows: crops, linear agreement, and the table of one call."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods import Occlusion, explainer
from xai.quality.measure import measure
from xai.quality.sequence_length import PLAN, by_length, cropped, linear_agreement, occlusion_for


class Linear(nn.Module):
    """A score that is linear in the input, for which the first order is exact; any length."""

    def forward(self, inputs: Tensor) -> Tensor:
        weights = torch.sin(torch.arange(inputs.shape[2], dtype=inputs.dtype))
        score = (inputs.sum(1) * weights).sum(1)
        return torch.stack([score, -2 * score], dim=1)


@pytest.fixture
def stack() -> LSTMClassifier:
    torch.manual_seed(2)
    return LSTMClassifier(2, 3, (6,)).double().eval()


@pytest.mark.parametrize(
    ("length", "origin", "expected"),
    [(4, 10, [8, 9, 10, 11]), (5, 10, [8, 9, 10, 11, 12]), (4, 0, [0, 1, 2, 3]), (4, 19, [16, 17, 18, 19])],
)
def test_a_crop_lies_around_its_origin_as_far_as_the_ends_allow(length, origin, expected):
    steps = torch.arange(20.0).view(1, 1, 20)
    assert cropped(steps, length, origin).flatten().tolist() == expected


def test_the_first_order_agrees_with_a_linear_score_and_less_with_another(stack):
    inputs, targets = torch.randn(4, 2, 24, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    occlusion = Occlusion(4, 2)
    for model, exact in ((Linear(), True), (stack, False)):
        gradient = explainer("gradient_x_input").attribute(model, inputs, targets, seeds=targets)
        found = linear_agreement(occlusion, occlusion.window_logits(model, inputs), gradient, targets)
        assert bool((found > 1 - 1e-9).all()) == exact


def test_linear_agreement_is_the_correlation_over_windows(stack):
    inputs, targets = torch.randn(2, 2, 20, dtype=torch.float64), torch.tensor([2, 0])
    occlusion = Occlusion(6, 3)
    gradient = explainer("gradient_x_input").attribute(stack, inputs, targets, seeds=targets)
    found = linear_agreement(occlusion, occlusion.window_logits(stack, inputs), gradient, targets)
    for sample, target in enumerate(targets.tolist()):
        pairs = []
        for start in range(0, 18, 3):
            cut = inputs[sample : sample + 1].clone()
            cut[..., start : start + 6] = 0
            with torch.no_grad():
                fall = (stack(inputs[sample : sample + 1]) - stack(cut))[0, target]
            pairs.append(torch.stack([gradient[sample, :, start : start + 6].sum(), fall]))
        # windows start every 3 steps until one reaches the end, the last is cut there
        expected = torch.corrcoef(torch.stack(pairs).T)[0, 1]
        assert found[sample] == pytest.approx(float(expected), abs=1e-9)


def test_table_holds_what_measure_says_of_the_crop(stack):
    inputs, targets, seeds = torch.randn(3, 2, 32, dtype=torch.float64), torch.tensor([0, 1, 2]), torch.arange(3)
    table = by_length(stack, inputs, targets, seeds=seeds, lengths=[8, 32], origin=16, width=10)
    short = inputs[..., 12:20]
    how = occlusion_for(8, 10)
    assert (how.width, how.stride) == (4, 1)
    maps = {"gradient": explainer("gradient"), "occlusion": how}
    maps = {name: each.attribute(stack, short, targets, seeds=seeds) for name, each in maps.items()}
    scores = measure(stack, short, targets, maps, PLAN, seeds=seeds).scores
    for name in maps:
        mine = table[(table["length"] == 8) & (table["explainer"] == name) & (table["metric"] == "deletion_auc")]
        theirs = scores[(scores["explainer"] == name) & (scores["metric"] == "deletion_auc")]
        assert mine["value"].to_numpy() == pytest.approx(theirs["value"].to_numpy(), abs=1e-9)
    spread = table[(table["length"] == 8) & (table["metric"] == "spread")]["value"]
    with torch.no_grad():
        ends = (stack(short) - stack(torch.zeros_like(short))).gather(1, targets[:, None]).abs().flatten()
    assert spread.to_numpy() == pytest.approx(ends.numpy())
    assert table.groupby(["length", "explainer", "metric"]).size().eq(3).all()


def test_batch_mates_change_nothing(stack):
    inputs, targets, seeds = torch.randn(3, 2, 32, dtype=torch.float64), torch.tensor([0, 1, 2]), torch.arange(3)
    arguments = {"lengths": [16], "origin": 16, "width": 4}
    together = by_length(stack, inputs, targets, seeds=seeds, **arguments)
    alone = by_length(stack, inputs[1:2], targets[1:2], seeds=seeds[1:2], **arguments)
    assert together[together["sample"] == 1]["value"].to_numpy() == pytest.approx(alone["value"].to_numpy(), abs=1e-9)


def test_a_length_outside_the_window_is_named(stack):
    with pytest.raises(ValueError, match="lengths holds 40; expected 1 to 32"):
        by_length(
            stack, torch.zeros(1, 2, 32).double(), torch.tensor([0]), seeds=torch.tensor([0]),
            lengths=[40], origin=16, width=4,
        )  # fmt: skip
