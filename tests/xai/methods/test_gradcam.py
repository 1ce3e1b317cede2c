"""Grad-CAM against a loop in float64, on volumes and on signals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from activations import Mean
from scipy.ndimage import map_coordinates
from segmenters import CHANNELS, GRID, segmenter, volumes
from torch import Tensor, nn

from xai.methods import GradCAM, explainer
from xai.scores import LOGIT, PROBABILITY

TARGETS = torch.ones(3, dtype=torch.long)
SEEDS = torch.arange(3)


def _interpolated(heat: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation between the centres of cells, constant beyond the outermost."""
    places = [
        np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1) for new, old in zip(grid, heat.shape, strict=True)
    ]
    return map_coordinates(heat, np.meshgrid(*places, indexing="ij"), order=1)


def _oracle(features: Tensor, slopes: Tensor, grid: tuple[int, ...]) -> np.ndarray:
    heat = np.zeros(features.shape[1:])
    for feature, slope in zip(features, slopes, strict=True):
        heat += slope.mean().item() * feature.detach().numpy()
    return _interpolated(np.maximum(heat, 0), grid)


@pytest.mark.parametrize("layer", ["encoders.1", "encoders.0.5", "decoders.0"])
@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_a_volumes_map_equals_the_weighted_sum_of_features(layer, score):
    model, inputs = segmenter(), volumes()
    found = GradCAM(layer).attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    assert found.shape == inputs.shape
    assert found.any()
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda module, arguments, output: kept.append(output))
    value = score(model(inputs.requires_grad_()), TARGETS)
    hook.remove()
    (slopes,) = torch.autograd.grad(value.sum(), kept[0])
    for sample in range(3):
        expected = _oracle(kept[0][sample], slopes[sample], GRID)
        for channel in range(CHANNELS):
            np.testing.assert_allclose(found[sample, channel].numpy(), expected, rtol=1e-9, atol=1e-14)


def _signal_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv1d(2, 4, 3, stride=2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)
        ).double().eval()  # fmt: skip


def test_a_signals_map_is_interpolated_along_time_and_not_spoilt_by_writing_in_place():
    model, inputs = _signal_network(), torch.randn(3, 2, 20, dtype=torch.float64)
    found = GradCAM("0").attribute(model, inputs, TARGETS, seeds=SEEDS)
    features = model[0](inputs).detach()
    for sample in range(3):
        # the pool hands each of 9 steps a ninth of the weight, where the ReLU is open
        slopes = (features[sample] > 0) * model[4].weight[1].detach().unsqueeze(1) / features.shape[2]
        expected = _oracle(features[sample], slopes, (20,))
        np.testing.assert_allclose(found[sample, 1].numpy(), expected, rtol=1e-9, atol=1e-14)


def test_a_samples_map_does_not_see_the_batch():
    model, inputs = segmenter(), volumes()
    whole = GradCAM("encoders.1").attribute(model, inputs, TARGETS, seeds=SEEDS)
    some = GradCAM("encoders.1").attribute(model, inputs[[2, 0]], TARGETS[:2], seeds=SEEDS[:2])
    torch.testing.assert_close(some, whole[[2, 0]], rtol=1e-9, atol=0)


def test_of_a_mean_of_members_it_is_the_mean_of_their_maps():
    first, second, inputs = segmenter(0), segmenter(1), volumes()
    how = GradCAM("encoders.1")
    found = how.attribute(Mean(first, second), inputs, TARGETS, seeds=SEEDS)
    each = [how.attribute(member, inputs, TARGETS, seeds=SEEDS) for member in (first, second)]
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)


def test_an_unknown_layer_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"names layer 'bottom', which the model lacks; expected one of encoders, enc"):
        explainer("gradcam_bottom").attribute(segmenter(), volumes(), TARGETS, seeds=SEEDS)


def test_a_layer_without_a_grid_is_refused():
    with pytest.raises(ValueError, match=r"Layer '3' returns \(3, 4\); Grad-CAM expects \(sample, feature, \*grid\)"):
        GradCAM("3").attribute(_signal_network(), torch.randn(3, 2, 20).double(), TARGETS, seeds=SEEDS)


def test_hooks_are_taken_away_again_even_after_an_error():
    model = _signal_network()
    with pytest.raises(ValueError, match="Layer '3'"):
        GradCAM("3").attribute(model, torch.randn(3, 2, 20).double(), TARGETS, seeds=SEEDS)
    assert not any(layer._forward_hooks for layer in model.modules())


@pytest.mark.parametrize("name", ["gradcam_encoders.3", "gradcam_out_norm", "gradcam_decoders.0.4"])
def test_names_come_back(name):
    assert explainer(name).name == name
    assert explainer(name) == GradCAM(name.removeprefix("gradcam_"))
