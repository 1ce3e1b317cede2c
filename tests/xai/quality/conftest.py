"""Small networks and explainers for the quality metrics; float64, so that oracles agree to rounding."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from xai.protocols import Classifier
from xai.scores import LOGIT, ScoreOperator
from xai.seeding import uniform


@dataclass(frozen=True)
class InputGradient:
    """Gradient, or gradient x input."""

    times_input: bool = False

    @property
    def name(self) -> str:
        return "gradient_x_input" if self.times_input else "gradient"

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        leaf = inputs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(score(model(leaf), targets).sum(), leaf)
        return gradient * inputs if self.times_input else gradient


@dataclass(frozen=True)
class Noise:
    """Knows nothing of the network."""

    @property
    def name(self) -> str:
        return "noise"

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        return uniform(seeds, "noise", inputs.shape[1:]).to(inputs)


@dataclass(frozen=True)
class Case:
    """A network, five samples and the attributions of three explainers."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    seeds: Tensor
    explainers: dict[str, InputGradient | Noise]
    attributions: dict[str, Tensor]


def _network(channels: int, rank: int) -> nn.Module:
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[rank]
    pooling = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[rank]
    return nn.Sequential(
        convolution(channels, 6, 3, padding=1), nn.Tanh(), pooling(2), nn.Flatten(), nn.Linear(6 * 2**rank, 3)
    )


@pytest.fixture(params=[(40,), (6, 5), (4, 3, 3)], ids=["time", "image", "volume"])
def case(request: pytest.FixtureRequest) -> Case:
    """The same questions on a time axis, an image and a volume, two channels each."""
    grid = request.param
    generator = torch.Generator().manual_seed(len(grid))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(grid))
        model = _network(2, len(grid)).double().eval()
    inputs = torch.randn(5, 2, *grid, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 3, (5,), generator=generator)
    seeds = torch.tensor([11, 3, 8, 5, 20])
    explainers = {e.name: e for e in (InputGradient(), InputGradient(times_input=True), Noise())}
    attributions = {
        name: explainer.attribute(model, inputs, targets, seeds=seeds) for name, explainer in explainers.items()
    }
    return Case(model, inputs, targets, seeds, explainers, attributions)


@pytest.fixture
def linear_model() -> nn.Module:
    """Three classes, linear in 2 channels of 12 steps, with a bias."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Linear(24, 3)).double().eval()
