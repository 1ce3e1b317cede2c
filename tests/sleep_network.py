"""The 1-D network of paper 3, of plain modules that every LRP library can walk."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SleepNetwork(nn.Module):
    """Logits ``(sample, 5)`` of epochs ``(sample, channel, 3000)``, 30 s at 100 Hz; 255,061 parameters."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(channels, 16, 5), *_block(16, 32, 3), *_block(32, 32, 3), *_block(32, 256, 3)[:4]
        )
        self.pool = nn.MaxPool1d(367)  # global; the peers know it by this name
        self.head = nn.Sequential(
            *(nn.Dropout(0.01), nn.Linear(256, 64), nn.ReLU(), nn.Dropout(0.01)),
            *(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.05), nn.Linear(64, 5)),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.pool(self.features(inputs)).flatten(1))


def _block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    pair = [nn.Conv1d(inputs, outputs, kernel), nn.ReLU(), nn.Conv1d(outputs, outputs, kernel), nn.ReLU()]
    return [*pair, nn.MaxPool1d(2), nn.Dropout(0.01)]


def trained_looking(network: SleepNetwork) -> SleepNetwork:
    """Weights that keep signals at their size from layer to layer, as training would, and small biases."""
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return network.eval()
