"""Relevance filters between layers: where they act, and what the account says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from xai.methods.lrp import AlphaBeta, Epsilon, Filtered, relevance_runs, relevances


class Skip(nn.Module):
    """Two convolutions and a skip by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 3, 3, padding=1), nn.Conv1d(3, 3, 3, padding=1)
        self.out = nn.Linear(6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        high = torch.relu(self.first(inputs))
        both = torch.cat([high, torch.relu(self.second(high))], dim=1)
        return self.out(both.mean(2))


def case() -> tuple[Skip, Tensor, Tensor]:
    torch.manual_seed(12)
    return Skip().double(), torch.randn(3, 2, 8, dtype=torch.float64), torch.tensor([0, 1, 0])


@dataclass(frozen=True)
class Made:
    """A filter out of a function."""

    change: Callable[[Tensor], Tensor]
    name: str = "made"

    def __call__(self, relevance: Tensor) -> Tensor:
        return self.change(relevance)


def strong_only(relevance: Tensor) -> Tensor:
    """A pass filter: what is under half of a sample's maximum goes."""
    largest = relevance.abs().amax(tuple(range(1, relevance.dim())), keepdim=True)
    return relevance.where(relevance.abs() > 0.5 * largest, 0)


def test_a_filter_of_ones_changes_nothing_and_sees_one_rule_at_a_time():
    model, inputs, targets = case()
    shapes = []

    def look(relevance: Tensor) -> Tensor:
        shapes.append(tuple(relevance.shape))
        return relevance

    rules = [Epsilon(), AlphaBeta(1, 0)]
    plain = relevances(model, inputs, targets, rules)
    looked = [Filtered(rule, (Made(look),), ("first", "cat")) for rule in rules]
    seen = relevances(model, inputs, targets, looked)
    for one, other in zip(plain, seen, strict=True):
        assert torch.equal(one, other)
    assert shapes[-2:] == [(3, 2, 8)] * 2  # what the first convolution hands to the inputs, for each rule
    assert shapes[:4] == [(3, 3, 8)] * 4  # both parts of the concatenation


def test_a_filter_below_the_first_layer_filters_the_map_itself():
    model, inputs, targets = case()
    (plain,) = relevances(model, inputs, targets, [Epsilon()])
    (run,) = relevance_runs(model, inputs, targets, [Filtered(Epsilon(), (Made(strong_only),), ("first",))])
    assert torch.equal(run.relevance, strong_only(plain))
    filtered = run.account[run.account.layer == "first"].filtered.to_numpy()
    lost = (plain - run.relevance).sum((1, 2))
    torch.testing.assert_close(torch.from_numpy(filtered), lost)
    assert lost.abs().min() > 1e-6


@pytest.mark.parametrize("layer", ["out", "cat", "second", "relu"])
def test_accounts_balance_with_a_filter_anywhere(layer):
    model, inputs, targets = case()
    rules = [Filtered(rule, (Made(strong_only),), (layer,)) for rule in (Epsilon(), AlphaBeta(2, 1))]
    for run in relevance_runs(model, inputs, targets, rules):
        account = run.account
        kept = account.bias + account.epsilon + account.filtered
        assert (account.relevance_in - account.relevance_out - kept).abs().max() < 1e-12
        assert account.filtered[account.layer == layer].abs().max() > 1e-6
        assert not account.filtered[account.layer != layer].any()
        by_sample = torch.from_numpy(kept.groupby(account["sample"]).sum().to_numpy())
        logits = model(inputs).gather(1, targets[:, None])[:, 0].detach()
        torch.testing.assert_close(run.relevance.sum((1, 2)) + by_sample, logits, rtol=0, atol=1e-10)


def test_a_closed_skip_leaves_the_deep_path():
    """A filter that drops all relevance of the second convolution leaves what came through the skip."""
    model, inputs, targets = case()
    shutting = Filtered(Epsilon(1e-9), (Made(torch.zeros_like),), ("second",))
    (shut,) = relevances(model, inputs, targets, [shutting])
    with torch.no_grad():
        model.out.weight[:, 3:] = 0
    (skip,) = relevances(model, inputs, targets, [Epsilon(1e-9)])
    torch.testing.assert_close(shut, skip, rtol=1e-6, atol=1e-9)


def test_a_filter_for_no_layer_is_refused():
    model, inputs, targets = case()
    with pytest.raises(ValueError, match=r"^points names 'third'; expected a layer of the model: score, first, relu, "):
        relevances(model, inputs, targets, [Filtered(Epsilon(), (Made(strong_only),), ("third",))])
