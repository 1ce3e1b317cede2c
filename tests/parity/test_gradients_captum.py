"""Gradient explainers equal captum's own on a model that needs no help."""

from __future__ import annotations

import pytest
import torch
from captum import attr
from torch import nn

from xai.methods import explainer

SEEDS = torch.arange(3)
TARGETS = torch.tensor([1, 0, 2])


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv1d(2, 6, 5), nn.Softplus(), nn.Flatten(), nn.Linear(6 * 16, 3)).double()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("gradient", lambda model, x: attr.Saliency(model).attribute(x, target=TARGETS, abs=False)),
        ("gradient_abs", lambda model, x: attr.Saliency(model).attribute(x, target=TARGETS)),
        ("gradient_x_input", lambda model, x: attr.InputXGradient(model).attribute(x, target=TARGETS)),
        (
            "integrated_gradients_n30",
            lambda model, x: attr.IntegratedGradients(model).attribute(x, target=TARGETS, n_steps=30),
        ),
    ],
)
def test_equal(name, theirs, model):
    inputs = torch.randn(3, 2, 20, dtype=torch.float64)
    ours = explainer(name).attribute(model, inputs, TARGETS, seeds=SEEDS)
    expected = theirs(model, inputs.clone().requires_grad_()).detach()
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_smoothgrad_agrees_with_captums_up_to_its_noise(model):
    with torch.no_grad():
        model[0].weight *= 4  # bends sharply, so that smoothing moves the gradient well beyond the noise
    inputs = torch.randn(3, 2, 20, dtype=torch.float64)
    ours = explainer("smoothgrad_n400_s0.5").attribute(model, inputs, TARGETS, seeds=SEEDS)
    torch.manual_seed(0)
    rows = []
    for x, target in zip(inputs, TARGETS, strict=True):
        tunnel = attr.NoiseTunnel(attr.Saliency(model))
        level = 0.5 * float(x.std(unbiased=False))
        one = x[None].clone().requires_grad_()
        rows.append(
            tunnel.attribute(one, nt_type="smoothgrad", nt_samples=400, stdevs=level, target=int(target), abs=False)
        )
    theirs = torch.cat(rows).detach()
    plain = explainer("gradient").attribute(model, inputs, TARGETS, seeds=SEEDS)
    assert (ours - theirs).norm() < 0.25 * (ours - plain).norm()
