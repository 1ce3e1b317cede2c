"""Occlusion equals captum's, edges, strides and fills included.

captum rounds its result to float32 whatever the model's precision.
"""

from __future__ import annotations

import pytest
import torch
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods import Occlusion

SEEDS = torch.zeros(3, dtype=torch.long)
TARGETS = torch.tensor([1, 0, 2])


def fill(inputs: Tensor, value: float | str) -> Tensor | float:
    axes = tuple(range(2, inputs.dim()))
    return inputs.mean(axes, keepdim=True).expand_as(inputs) if value == "mean" else value


@pytest.mark.parametrize(("width", "stride"), [(1, 1), (5, 1), (10, 4), (7, 7), (40, 3), (41, 1)])
@pytest.mark.parametrize("value", [0.0, 0.5, "mean"])
@pytest.mark.parametrize("channels", ["joint", "single"])
def test_signals(width, stride, value, channels):
    torch.manual_seed(0)
    model, inputs = LSTMClassifier(3, 3, (16,)).eval(), torch.randn(3, 3, 41)
    covered = 3 if channels == "joint" else 1
    theirs = CaptumOcclusion(model).attribute(
        inputs,
        (covered, width),
        strides=(1, stride),
        baselines=fill(inputs, value),
        target=TARGETS,
        perturbations_per_eval=16,
    )
    ours = Occlusion(width, stride, value, channels).attribute(model, inputs, TARGETS, seeds=SEEDS)
    assert ours.abs().max() > 1e-4
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, "mean"])
def test_volumes(value):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    inputs = torch.randn(3, 2, 5, 8, 7)
    theirs = CaptumOcclusion(model).attribute(
        inputs, (2, 2, 4, 3), strides=(1, 2, 3, 2), baselines=fill(inputs, value), target=TARGETS
    )
    ours = Occlusion((2, 4, 3), (2, 3, 2), value).attribute(model, inputs, TARGETS, seeds=SEEDS)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
