"""Explainers asked together say what each says alone."""

from __future__ import annotations

import torch
from torch import nn

from models.lstm import LSTMClassifier
from xai.methods import attribute_all, explainer

NAMES = ("gradient", "lrp_epsilon_e0.01", "random", "lrp_zplus", "lrp_composite_epsilon_plus")


def test_a_convolutional_network_is_explained_as_by_each_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(36, 3)).double()
    inputs, targets, seeds = torch.randn(5, 2, 20, dtype=torch.float64), torch.arange(5) % 3, torch.arange(5)
    together = attribute_all([explainer(name) for name in NAMES], network.eval(), inputs, targets, seeds=seeds)
    assert tuple(together) == NAMES
    for name in NAMES:
        alone = explainer(name).attribute(network, inputs, targets, seeds=seeds)
        torch.testing.assert_close(together[name], alone.detach())


def test_a_mean_of_members_has_the_mean_of_their_relevances() -> None:
    class Mean(nn.Module):
        def __init__(self, *members: nn.Module) -> None:
            super().__init__()
            self.members = nn.ModuleList(members)

        def averaged(self) -> list[nn.Module]:
            return list(self.members)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.stack([member(inputs) for member in self.members]).mean(dim=0)

    torch.manual_seed(0)
    members = [LSTMClassifier(1, 3, hidden=(4,)).eval() for _ in range(2)]
    inputs, targets, seeds = torch.randn(2, 1, 12), torch.tensor([0, 2]), torch.arange(2)
    rule = explainer("lrp_epsilon")
    of_mean = attribute_all([rule], Mean(*members), inputs, targets, seeds=seeds)["lrp_epsilon"]
    each = [rule.attribute(member, inputs, targets, seeds=seeds) for member in members]
    torch.testing.assert_close(of_mean, (each[0] + each[1]) / 2)
