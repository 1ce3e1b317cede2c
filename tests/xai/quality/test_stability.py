from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from xai.quality.stability import max_sensitivity, random_shifts


def test_shifts_stay_within_the_radius_and_belong_to_the_seed() -> None:
    like = torch.zeros(3, 2, 50, dtype=torch.float64)
    seeds = torch.tensor([5, 1, 9])
    shifts = random_shifts(seeds, 4, 0.3, like)
    assert shifts.dtype == torch.float64
    assert float(shifts.abs().max()) == pytest.approx(0.3, abs=0.01)
    assert float(shifts.mean()) == pytest.approx(0, abs=0.03)
    assert torch.equal(random_shifts(seeds[1:2], 4, 0.3, like[1:2])[0], shifts[1])


def test_it_is_the_largest_relative_change(case: Any) -> None:
    explain = partial(case.explainers["gradient"].attribute, case.model, targets=case.targets, seeds=case.seeds)
    shifts = random_shifts(case.seeds, 6, 0.2, case.inputs)
    reference = case.attributions["gradient"]
    found = max_sensitivity(lambda inputs: explain(inputs), case.inputs, reference, shifts)
    for sample in range(5):
        changes = []
        for draw in range(6):
            moved = case.inputs.clone()
            moved[sample] += shifts[sample, draw]
            changes.append(float((explain(moved)[sample] - reference[sample]).norm() / reference[sample].norm()))
        assert float(found[sample]) == pytest.approx(max(changes))
        assert max(changes) > 0


def test_an_explainer_that_ignores_the_input_is_perfectly_stable() -> None:
    inputs, fixed = torch.randn(2, 1, 8), torch.arange(16.0).view(2, 1, 8)
    shifts = random_shifts(torch.tensor([0, 1]), 3, 0.1, inputs)
    assert max_sensitivity(lambda moved: fixed, inputs, fixed, shifts).tolist() == [0, 0]


def test_a_constant_map_is_undefined() -> None:
    inputs = torch.randn(2, 1, 8)
    constant = torch.stack([torch.zeros(1, 8), torch.ones(1, 8)])
    shifts = random_shifts(torch.tensor([0, 1]), 3, 0.1, inputs)

    def unmoved(moved: Tensor) -> Tensor:
        return constant

    assert max_sensitivity(unmoved, inputs, constant, shifts).isnan().all()
