"""The two controls know the sample and its seed, and nothing else."""

from __future__ import annotations

import torch

from xai.methods import Amplitude, Random


def refuse(inputs: torch.Tensor) -> torch.Tensor:
    raise AssertionError("a control must not run the model")


def test_random_depends_on_the_seed_alone():
    seeds, targets = torch.tensor([5, 6, 7]), torch.zeros(3, dtype=torch.long)
    found = Random().attribute(refuse, torch.zeros(3, 2, 40), targets, seeds=seeds)
    again = Random().attribute(refuse, torch.ones(1, 2, 40), targets[:1], seeds=seeds[1:2])
    assert torch.equal(again[0], found[1])
    assert not torch.equal(found[0], found[1])
    assert bool(((found >= 0) & (found < 1)).all())
    assert 0.3 < float(found.mean()) < 0.7


def test_random_takes_the_inputs_dtype_and_any_grid():
    inputs = torch.zeros(2, 1, 3, 4, 5, dtype=torch.float64)
    found = Random().attribute(refuse, inputs, torch.tensor([0, 0]), seeds=torch.tensor([1, 2]))
    assert (found.shape, found.dtype) == (inputs.shape, inputs.dtype)


def test_amplitude_is_the_absolute_input_in_a_tensor_of_its_own():
    inputs = torch.tensor([[[-2.0, 0.5, 1.0]]])
    found = Amplitude().attribute(refuse, inputs, torch.tensor([0]), seeds=torch.tensor([1]))
    assert found.flatten().tolist() == [2.0, 0.5, 1.0]
    found.zero_()
    assert inputs.flatten().tolist() == [-2.0, 0.5, 1.0]
