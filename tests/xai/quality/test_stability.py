from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from xai.quality import stability
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
    explain = partial(case.explainers["gradient"].attribute, case.model)
    shifts = random_shifts(case.seeds, 6, 0.2, case.inputs)
    reference = case.attributions["gradient"]
    found = max_sensitivity(
        lambda rows, samples: explain(rows, case.targets[samples], seeds=case.seeds[samples]),
        case.inputs, reference, shifts,
    )  # fmt: skip
    for sample in range(5):
        changes = []
        for draw in range(6):
            moved = case.inputs.clone()
            moved[sample] += shifts[sample, draw]
            again = explain(moved, case.targets, seeds=case.seeds)
            changes.append(float((again[sample] - reference[sample]).norm() / reference[sample].norm()))
        assert float(found[sample]) == pytest.approx(max(changes))
        assert max(changes) > 0


def test_an_explainer_that_ignores_the_input_is_perfectly_stable() -> None:
    inputs, fixed = torch.randn(2, 1, 8), torch.arange(16.0).view(2, 1, 8)
    shifts = random_shifts(torch.tensor([0, 1]), 3, 0.1, inputs)
    assert max_sensitivity(lambda moved, samples: fixed[samples], inputs, fixed, shifts).tolist() == [0, 0]


def test_a_constant_map_is_undefined() -> None:
    inputs = torch.randn(2, 1, 8)
    constant = torch.stack([torch.zeros(1, 8), torch.ones(1, 8)])
    shifts = random_shifts(torch.tensor([0, 1]), 3, 0.1, inputs)

    def unmoved(moved: Tensor, samples: Tensor) -> Tensor:
        return constant[samples]

    assert max_sensitivity(unmoved, inputs, constant, shifts).isnan().all()


def test_few_draws_at_a_time_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, asked = torch.randn(3, 1, 8), []
    shifts = random_shifts(torch.arange(3), 7, 0.1, inputs)

    def square(moved: Tensor, samples: Tensor) -> Tensor:
        asked.append(samples.tolist())
        return moved.square() * (1 + samples.view(-1, 1, 1))

    own = square(inputs, torch.arange(3))
    whole = max_sensitivity(square, inputs, own, shifts)
    assert asked[1:] == [[0] * 7 + [1] * 7 + [2] * 7]
    monkeypatch.setattr(stability, "VALUES_AT_ONCE", 2 * inputs.numel())
    torch.testing.assert_close(max_sensitivity(square, inputs, own, shifts), whole, rtol=0, atol=0)
    assert asked[2:] == [[0, 0, 1, 1, 2, 2]] * 3 + [[0, 1, 2]]
