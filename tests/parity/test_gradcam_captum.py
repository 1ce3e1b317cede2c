"""Grad-CAM against captum's, layer by layer, on volumes and on signals."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from segmenters import GRID, segmenter, volumes
from torch import nn

from xai.methods import GradCAM
from xai.scores import LOGIT, PROBABILITY

TARGETS = torch.ones(3, dtype=torch.long)


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
@pytest.mark.parametrize("layer", ["encoders.0", "encoders.1.3", "ups.0", "decoders.0.5", "out"])
def test_a_volumes_map_is_captums(layer, score):
    model, inputs = segmenter(), volumes()
    peer = LayerGradCam(lambda values: score(model(values), TARGETS), model.get_submodule(layer))
    heat = peer.attribute(inputs, relu_attributions=True)
    expected = LayerAttribution.interpolate(heat, GRID, "trilinear").detach()
    found = GradCAM(layer).attribute(model, inputs, TARGETS, score=score, seeds=torch.arange(3))
    assert expected.any()
    torch.testing.assert_close(found, expected.expand_as(inputs), rtol=1e-9, atol=1e-14)


def test_a_signals_map_is_captums():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = nn.Sequential(
            nn.Conv1d(2, 5, 4, stride=3), nn.Tanh(), nn.Conv1d(5, 4, 3), nn.Flatten(), nn.Linear(28, 3)
        ).double()
    inputs = torch.randn(3, 2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    heat = LayerGradCam(model.eval(), model[1]).attribute(inputs, target=TARGETS, relu_attributions=True)
    expected = LayerAttribution.interpolate(heat, (30,), "linear").detach()
    found = GradCAM("1").attribute(model, inputs, TARGETS, seeds=torch.arange(3))
    torch.testing.assert_close(found, expected.expand_as(inputs), rtol=1e-9, atol=1e-14)
