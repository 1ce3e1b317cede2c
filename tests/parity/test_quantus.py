"""The sound metrics of quantus 0.6 as oracles. Its settings are part of the definition: each is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from peers import peer
from scipy.stats import entropy as scipy_entropy
from torch import Tensor, nn

from xai.quality.complexity import complexity, entropy, gini
from xai.quality.curves import area, perturbation_curves, score_emptied
from xai.quality.faithfulness import sensitivity_n, subset_drops
from xai.quality.forward import score_inputs
from xai.quality.localisation import relevance_mass, relevance_rank
from xai.quality.perturbation import descending_ranks
from xai.quality.randomisation import entropy_rise, rank_correlation

quantus = peer("quantus")

SAMPLES, LENGTH, CLASSES = 6, 60, 4
QUIET: dict[str, Any] = {"normalise": False, "abs": False, "disable_warnings": True}


@dataclass(frozen=True)
class Case:
    model: nn.Module
    inputs: Tensor
    targets: Tensor
    attributions: Tensor

    def arrays(self) -> dict[str, Any]:
        """What quantus is called with; copies, because some of its metrics write into their arguments."""
        return {
            "model": self.model,
            "x_batch": self.inputs.numpy().copy(),
            "y_batch": self.targets.numpy().copy(),
            "a_batch": self.attributions.numpy().copy(),
            "channel_first": True,
            "device": "cpu",
        }


@pytest.fixture
def case() -> Case:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv1d(1, 8, 5, padding=2),
            nn.Tanh(),
            nn.AdaptiveAvgPool1d(6),
            nn.Flatten(),
            nn.Linear(48, CLASSES),
        ).eval()
        inputs = torch.randn(SAMPLES, 1, LENGTH)
        targets = torch.randint(0, CLASSES, (SAMPLES,))
        attributions = torch.randn(SAMPLES, 1, LENGTH)
    return Case(model, inputs, targets, attributions)


def _probability_curve(case: Case, counts: tuple[int, ...]) -> Tensor:
    return perturbation_curves(
        case.model,
        case.inputs,
        case.targets,
        descending_ranks(case.attributions),
        "zero",
        counts,
        whole=score_inputs(case.model, case.inputs, case.targets, 512),
        emptied=score_emptied(case.model, case.inputs, case.targets, "zero", 512),
        batch_size=512,
    ).morf[..., 1]


@pytest.mark.parametrize("step", [1, 5])
def test_pixel_flipping(case: Case, step: int) -> None:
    counts = tuple(range(0, LENGTH + 1, step))
    ours = _probability_curve(case, counts)[:, 1:]  # quantus leaves the unperturbed point out
    metric = quantus.PixelFlipping(features_in_step=step, perturb_baseline=0.0, **QUIET)
    np.testing.assert_allclose(metric(**case.arrays(), softmax=True), ours.numpy(), atol=1e-6)


def test_area_under_pixel_flipping(case: Case) -> None:
    ours = _probability_curve(case, tuple(range(0, LENGTH + 1, 5)))[:, 1:]
    metric = quantus.PixelFlipping(features_in_step=5, perturb_baseline=0.0, return_auc_per_sample=True, **QUIET)
    steps = torch.arange(ours.shape[1]).double()  # quantus integrates over steps, not over fractions
    np.testing.assert_allclose(metric(**case.arrays(), softmax=True), area(ours, steps).numpy(), atol=1e-5)


def test_faithfulness_correlation_on_the_same_subsets(case: Case) -> None:
    runs, size = 30, 7
    np.random.seed(3)
    metric = quantus.FaithfulnessCorrelation(
        nr_runs=runs, subset_size=size, perturb_baseline=0.0, return_aggregate=False,
        similarity_func=quantus.similarity_func.correlation_pearson, **QUIET,
    )  # fmt: skip
    theirs = metric(**case.arrays(), softmax=False)
    np.random.seed(3)
    drawn = [[np.random.choice(LENGTH, size, replace=False) for _ in range(SAMPLES)] for _ in range(runs)]
    subsets = torch.from_numpy(np.array(drawn)).transpose(0, 1).contiguous()
    whole = score_inputs(case.model, case.inputs, case.targets, 512)
    drops = subset_drops(case.model, case.inputs, case.targets, subsets, "zero", whole=whole, batch_size=512)
    ours = sensitivity_n(case.attributions, subsets, drops[..., 0])
    np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-4)


def test_relevance_mass_and_rank(case: Case) -> None:
    evidence = torch.zeros(SAMPLES, 1, LENGTH, dtype=torch.bool)
    evidence[..., 20:35] = True
    positive = case.attributions.clamp_min(0)
    arrays = {**case.arrays(), "a_batch": positive.numpy().copy(), "s_batch": evidence.numpy()}
    mass = quantus.RelevanceMassAccuracy(**QUIET)(**arrays)
    np.testing.assert_allclose(mass, relevance_mass(case.attributions, evidence).numpy(), atol=1e-6)
    arrays["a_batch"] = case.attributions.numpy().copy()
    rank = quantus.RelevanceRankAccuracy(**QUIET)(**arrays)
    np.testing.assert_allclose(rank, relevance_rank(case.attributions, evidence).numpy(), atol=1e-6)


def test_complexity_and_sparseness(case: Case) -> None:
    arrays = {**case.arrays(), "a_batch": case.attributions.abs().numpy().copy()}
    found = quantus.Complexity(**QUIET)(**arrays)
    np.testing.assert_allclose(found, entropy(case.attributions).numpy(), atol=1e-5)
    np.testing.assert_allclose(np.array(found) / np.log(LENGTH), complexity(case.attributions).numpy(), atol=1e-5)
    arrays["a_batch"] = case.attributions.abs().numpy().copy()
    np.testing.assert_allclose(quantus.Sparseness(**QUIET)(**arrays), gini(case.attributions).numpy(), atol=1e-5)


def _gradient(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray[Any, Any]:
    leaf = torch.as_tensor(inputs).clone().requires_grad_()
    scores = model(leaf).gather(1, torch.as_tensor(targets).view(-1, 1)).sum()
    return torch.autograd.grad(scores, leaf)[0].numpy()


def test_random_logit_of_the_same_other_classes(case: Case) -> None:
    seed = 7
    reference = _gradient(case.model, case.inputs, case.targets)
    metric = quantus.RandomLogit(
        num_classes=CLASSES, seed=seed, similarity_func=quantus.similarity_func.correlation_spearman, **QUIET
    )
    arrays = {**case.arrays(), "a_batch": reference.copy()}
    theirs = metric(**arrays, explain_func=_gradient)
    np.random.seed(seed)
    steps = np.random.randint(0, CLASSES - 1, SAMPLES)
    others = [[c for c in range(CLASSES) if c != t][s] for t, s in zip(case.targets.tolist(), steps, strict=True)]
    changed = _gradient(case.model, case.inputs, torch.tensor(others))
    ours = rank_correlation(torch.from_numpy(reference), torch.from_numpy(changed))
    np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-6)


def test_efficient_randomisation_is_the_relative_rise_of_quantus_complexity() -> None:
    before, after = torch.rand(3, 1, 50), torch.rand(3, 1, 50) ** 3
    rise = [
        (scipy_entropy(b.flatten()) - scipy_entropy(a.flatten())) / scipy_entropy(a.flatten())
        for a, b in zip(before.double(), after.double(), strict=True)
    ]
    np.testing.assert_allclose(rise, entropy_rise(before, after).numpy(), atol=1e-6)
