"""Controls know the sample and its seed and, where it is a segmenter, what the network predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from segmenters import segmenter, volumes

from xai.methods import VOLUME_CONTROLS, Amplitude, Edges, Prediction, Random, explainer


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


def test_prediction_is_the_networks_probability_in_every_channel():
    model, inputs, targets = segmenter(), volumes(), torch.tensor([1, 0, 1])
    found = Prediction().attribute(model, inputs, targets, seeds=torch.arange(3))
    with torch.no_grad():
        probability = model(inputs).softmax(1)
    for sample, target in enumerate(targets):
        for channel in range(inputs.shape[1]):
            torch.testing.assert_close(found[sample, channel], probability[sample, target])
    assert 0 <= float(found.min()) < float(found.max()) <= 1


def test_prediction_asks_for_a_segmenter():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"prediction needs logits for every point of the grid \(8,\); .* on \(\)"):
        Prediction().attribute(model, torch.rand(2, 1, 8), torch.tensor([0, 1]), seeds=torch.arange(2))


@pytest.mark.parametrize("grid", [(20,), (6, 7), (4, 5, 6)])
def test_edges_are_sobels_of_each_channel(grid):
    inputs = torch.randn(2, 3, *grid, dtype=torch.float64)
    found = Edges().attribute(refuse, inputs, torch.tensor([0, 0]), seeds=torch.arange(2))
    scale = 2 * 4 ** (len(grid) - 1)
    for sample, channel in np.ndindex(2, 3):
        slopes = [sobel(inputs[sample, channel].numpy(), axis, mode="nearest") / scale for axis in range(len(grid))]
        np.testing.assert_allclose(found[sample, channel].numpy(), np.sqrt(sum(slope**2 for slope in slopes)))


def test_edges_of_a_ramp_are_its_slope():
    ramp = 0.5 * torch.arange(10.0).expand(1, 1, 4, 6, 10)
    found = Edges().attribute(refuse, ramp, torch.tensor([0]), seeds=torch.tensor([0]))
    torch.testing.assert_close(found[..., 1:-1], torch.full((1, 1, 4, 6, 8), 0.5))


def test_the_controls_of_segmenters_begin_with_those_of_all():
    assert VOLUME_CONTROLS == ("random", "amplitude", "prediction", "edges")
    assert [explainer(name).name for name in VOLUME_CONTROLS] == list(VOLUME_CONTROLS)
