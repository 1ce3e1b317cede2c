"""captum's infidelity and max-sensitivity, given the same perturbations."""

from __future__ import annotations

import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity_max
from torch import Tensor, nn

from xai.quality.faithfulness import infidelity, perturbation_drops, random_perturbations
from xai.quality.forward import score_inputs
from xai.quality.stability import max_sensitivity, random_shifts

SAMPLES, NUMBER = 5, 9
SEEDS = torch.arange(SAMPLES)


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv1d(2, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 30, 3)
        ).double().eval()  # fmt: skip


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(SAMPLES, 2, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TARGETS = torch.tensor([0, 1, 2, 0, 1])


def _gradient(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(model(leaf).gather(1, targets.view(-1, 1)).sum(), leaf)
    return found


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity(model: nn.Module, inputs: Tensor, scaled: bool) -> None:
    attributions = 3 * _gradient(model, inputs, TARGETS)
    noise = random_perturbations(SEEDS, NUMBER, 0.5, like=inputs)
    flat = noise.flatten(0, 1)
    theirs = captum_infidelity(
        model, lambda repeated: (flat, repeated - flat), inputs, attributions,
        target=TARGETS, n_perturb_samples=NUMBER, normalize=scaled,
    )  # fmt: skip
    whole = score_inputs(model, inputs, TARGETS, 512)
    drops = perturbation_drops(model, inputs, TARGETS, noise, whole=whole, batch_size=512)[..., 0]
    torch.testing.assert_close(infidelity(attributions, noise, drops, scaled=scaled), theirs.detach())


def test_max_sensitivity(model: nn.Module, inputs: Tensor) -> None:
    shifts = random_shifts(SEEDS, NUMBER, 0.2, like=inputs)

    def explain(moved: Tensor, samples: Tensor) -> Tensor:
        return _gradient(model, moved, TARGETS[samples])

    def explain_tuples(moved: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rows = moved[0] if isinstance(moved, tuple) else moved
        return (explain(rows, torch.arange(SAMPLES).repeat_interleave(len(rows) // SAMPLES)),)

    theirs = captum_sensitivity_max(
        explain_tuples,
        inputs,
        perturb_func=lambda repeated: repeated + shifts.flatten(0, 1),
        n_perturb_samples=NUMBER,
    )
    ours = max_sensitivity(explain, inputs, explain(inputs, torch.arange(SAMPLES)), shifts)
    torch.testing.assert_close(ours, theirs.detach())
