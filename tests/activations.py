"""A small convolutional network that ends in a mean and one linear layer, for the tests of class activation maps."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class PaddedNetwork(nn.Module):
    """Pads signals of 36 points to 40, halves them three times to 5 columns of 8 points, averages, and maps to logits.

    It is what `xai.protocols.ClassActivation` asks for; ``units`` is the layer of the last features.
    """

    PADDING = 2

    def __init__(self, channels: int = 1, features: int = 6, classes: int = 3) -> None:
        super().__init__()
        widths = [channels, 4, 4, features]
        self.units = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(before, after, 3, padding=1), nn.Tanh(), nn.AvgPool1d(2))
                for before, after in pairwise(widths)
            )
        )
        self.classifier = nn.Linear(features, classes)

    def features(self, inputs: Tensor) -> Tensor:
        return self.units(functional.pad(inputs, (self.PADDING, self.PADDING)))

    def columns_to_points(self, columns: Tensor) -> Tensor:
        padded = functional.interpolate(columns.unsqueeze(1), scale_factor=8, mode="linear", align_corners=False)
        return padded[:, 0, self.PADDING : -self.PADDING]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.features(inputs).mean(dim=2))


def padded_network(seed: int = 0, channels: int = 1) -> PaddedNetwork:
    """The network in float64 with random weights, large enough to tell signals apart, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PaddedNetwork(channels).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


class Mean(nn.Module):
    """The mean of its members' logits."""

    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def averaged(self) -> list[nn.Module]:
        return list(self.members)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([member(inputs) for member in self.members]).mean(0)
