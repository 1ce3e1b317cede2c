"""Does the attribution predict what happens to the score when the input changes at random?

The random changes are drawn once per sample and shared by all explainers: one set of forward passes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..protocols import Classifier
from ..seeding import draw, normal
from .forward import score_rows
from .perturbation import Baseline, replace

ROUNDING = 1e-6
"""A spread below this part of the size is rounding of float32, not variation."""


def random_subsets(seeds: Tensor, features: int, size: int, subsets: int) -> Tensor:
    """Random features without repetition, ``(sample, subset, size)`` int64 in [0, features)."""
    return draw(
        seeds,
        "sensitivity_n",
        # One subset at a time: all at once, the sorted numbers of a volume would take gigabytes.
        lambda generator: torch.stack(
            [torch.rand(features, generator=generator).argsort()[:size] for _ in range(subsets)]
        ),
    )


def subset_drops(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    subsets: Tensor,
    baseline: Baseline,
    *,
    whole: Tensor,
    batch_size: int,
) -> Tensor:
    """Drop of the scores ``(sample, subset, 2)`` when a subset of features is removed.

    ``subsets (sample, subset, size)`` are feature numbers, ``whole (sample, 2)`` the scores of the inputs.
    """
    samples, number, size = subsets.shape

    def build(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.to(inputs.device)
        sample = rows // number
        chosen = inputs[sample]
        removed = torch.zeros_like(chosen, dtype=torch.bool).flatten(1)
        removed.scatter_(1, subsets.view(-1, size)[rows], True)
        return replace(chosen, removed.view_as(chosen), baseline), targets[sample]

    scores = score_rows(model, samples * number, build, batch_size)
    return whole.unsqueeze(1) - scores.view(samples, number, -1)


def sensitivity_n(attributions: Tensor, subsets: Tensor, drops: Tensor) -> Tensor:
    """Correlation ``(sample,)`` in [-1, 1] of summed attribution and drop over random subsets.

    ``drops (sample, subset)`` of one scalar. NaN where either does not vary (Ancona et al., 2018; Bhatt et
    al., 2020, "faithfulness correlation").
    """
    flat = attributions.flatten(1).double()
    sums = flat.gather(1, subsets.flatten(1)).view(subsets.shape).sum(dim=2)
    return pearson(sums, drops.double())


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Correlation ``(sample,)`` of two ``(sample, value)``; NaN where one is constant up to rounding."""
    undefined = _constant(first) | _constant(second)
    a, b = (values - values.mean(dim=1, keepdim=True) for values in (first, second))
    correlation = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))
    return correlation.clamp(-1, 1).masked_fill(undefined, torch.nan)


def _constant(values: Tensor) -> Tensor:
    spread = (values - values.mean(dim=1, keepdim=True)).norm(dim=1)
    return spread <= ROUNDING * values.norm(dim=1)


def random_perturbations(seeds: Tensor, number: int, noise: float, like: Tensor) -> Tensor:
    """Gaussian perturbations ``(sample, perturbation, channel, *grid)`` of standard deviation ``noise``."""
    drawn = normal(seeds, "infidelity", (number, *like.shape[1:]))
    return (noise * drawn).to(device=like.device, dtype=like.dtype)


def perturbation_drops(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    perturbations: Tensor,
    *,
    whole: Tensor,
    batch_size: int,
) -> Tensor:
    """Drop of the scores ``(sample, perturbation, 2)`` when a perturbation is subtracted."""
    samples, number = perturbations.shape[:2]

    def build(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.to(inputs.device)
        sample = rows // number
        return inputs[sample] - perturbations[sample, rows % number], targets[sample]

    scores = score_rows(model, samples * number, build, batch_size)
    return whole.unsqueeze(1) - scores.view(samples, number, -1)


def infidelity(attributions: Tensor, perturbations: Tensor, drops: Tensor, *, scaled: bool = True) -> Tensor:
    """Mean squared error ``(sample,)`` in [0, inf) of the drop predicted by the attribution.

    ``drops (sample, perturbation)`` of one scalar. With ``scaled`` the attribution is first multiplied by
    the factor that fits best (Yeh et al., 2019, section 3), without which methods of different scale
    cannot be compared; that factor may be negative, so the sign of a map is not judged. NaN where the
    attribution predicts no change at all and has no best factor.
    """
    flat = attributions.flatten(1).double()
    predicted = torch.einsum("sf,spf->sp", flat, perturbations.flatten(2).double())
    drops = drops.double()
    if scaled:
        power = predicted.square().sum(dim=1)
        factor = (predicted * drops).sum(dim=1) / power
        predicted = predicted * factor.masked_fill(power == 0, torch.nan).unsqueeze(1)
    return (predicted - drops).square().mean(dim=1)
