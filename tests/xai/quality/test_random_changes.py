from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai.quality.faithfulness import (
    infidelity,
    pearson,
    perturbation_drops,
    random_perturbations,
    random_subsets,
    sensitivity_n,
    subset_drops,
)
from xai.quality.forward import score_inputs
from xai.quality.perturbation import BASELINES, replace

SEEDS = torch.tensor([4, 9, 2, 7, 5])


def test_subsets_have_no_repetition_and_belong_to_the_seed() -> None:
    subsets = random_subsets(SEEDS, 30, 6, 8)
    assert subsets.shape == (5, 8, 6)
    assert all(len(set(row)) == 6 for row in subsets.view(-1, 6).tolist())
    assert torch.equal(random_subsets(SEEDS.flip(0), 30, 6, 8).flip(0), subsets)
    assert torch.equal(random_subsets(SEEDS[2:3], 30, 6, 8)[0], subsets[2])


@pytest.mark.parametrize("baseline", BASELINES)
def test_drops_of_subsets_equal_the_naive_ones(case: Any, baseline: Any) -> None:
    subsets = random_subsets(case.seeds, case.inputs[0].numel(), 5, 4)
    whole = score_inputs(case.model, case.inputs, case.targets, 512)
    drops = subset_drops(case.model, case.inputs, case.targets, subsets, baseline, whole=whole, batch_size=7)
    for sample in range(5):
        for number in range(4):
            removed = torch.zeros(case.inputs[0].numel(), dtype=torch.bool)
            removed[subsets[sample, number]] = True
            one = case.inputs[sample : sample + 1]
            changed = case.model(replace(one, removed.view(one.shape), baseline))
            difference = (case.model(one) - changed)[0, case.targets[sample]].detach()
            torch.testing.assert_close(drops[sample, number, 0], difference)


def test_on_a_linear_model_contributions_are_perfectly_faithful(linear_model: nn.Module) -> None:
    inputs = torch.randn(5, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 0, 1])
    weights = linear_model[1].weight[targets].detach().view_as(inputs)
    whole = score_inputs(linear_model, inputs, targets, 512)
    subsets = random_subsets(SEEDS, 24, 4, 30)
    drops = subset_drops(linear_model, inputs, targets, subsets, "zero", whole=whole, batch_size=512)[..., 0]
    torch.testing.assert_close(sensitivity_n(weights * inputs, subsets, drops), torch.ones(5).double())
    torch.testing.assert_close(sensitivity_n(-weights * inputs, subsets, drops), -torch.ones(5).double())
    assert (sensitivity_n(weights, subsets, drops) < 0.99).all()
    noise = random_perturbations(SEEDS, 20, 0.5, like=inputs)
    drops = perturbation_drops(linear_model, inputs, targets, noise, whole=whole, batch_size=512)[..., 0]
    assert (infidelity(weights, noise, drops, scaled=False) < 1e-20).all()
    assert (infidelity(7 * weights, noise, drops) < 1e-20).all()
    assert (infidelity(inputs, noise, drops) > 1e-3).all()


@given(st.integers(0, 1000), st.floats(0.01, 1000))
@settings(deadline=None, max_examples=20)
def test_infidelity_is_the_smallest_error_over_all_scales(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    attributions = torch.randn(2, 1, 9, generator=generator, dtype=torch.float64)
    noise = torch.randn(2, 12, 1, 9, generator=generator, dtype=torch.float64)
    drops = torch.randn(2, 12, generator=generator, dtype=torch.float64)
    best = infidelity(attributions, noise, drops)
    torch.testing.assert_close(infidelity(scale * attributions, noise, drops), best)
    for factor in (-1.0, 0.0, 0.1, 1.0):
        assert (best <= infidelity(factor * attributions, noise, drops, scaled=False) + 1e-12).all()


def test_infidelity_equals_the_definition() -> None:
    generator = torch.Generator().manual_seed(3)
    attributions = torch.randn(3, 2, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, 7, 2, 5, generator=generator, dtype=torch.float64)
    drops = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    for sample in range(3):
        predicted = [float((attributions[sample] * shift).sum()) for shift in noise[sample]]
        plain = np.mean([(p - float(d)) ** 2 for p, d in zip(predicted, drops[sample], strict=True)])
        factor = np.dot(predicted, drops[sample]) / np.dot(predicted, predicted)
        fitted = np.mean([(factor * p - float(d)) ** 2 for p, d in zip(predicted, drops[sample], strict=True)])
        assert float(infidelity(attributions, noise, drops, scaled=False)[sample]) == pytest.approx(plain)
        assert float(infidelity(attributions, noise, drops)[sample]) == pytest.approx(fitted)


def test_what_does_not_vary_is_undefined() -> None:
    varying = torch.arange(5.0).double()
    constant = 0.1 + 1e-9 * torch.tensor([0, 1, 2, 3, 4]).double()  # constant up to the rounding of float32
    first = torch.stack([varying, varying, constant])
    second = torch.stack([2 * varying, constant, varying])
    assert pearson(first, second).tolist() == pytest.approx([1, np.nan, np.nan], nan_ok=True)
    assert infidelity(torch.zeros(1, 1, 4), torch.ones(1, 3, 1, 4), torch.ones(1, 3)).isnan().all()
