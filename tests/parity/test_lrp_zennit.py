"""LRP against zennit: every layer and every rule that it has, pools, composites, and whole networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sleep_network import SleepNetwork, trained_looking
from torch import Tensor, nn
from zennit_peer import everywhere, hook_of, relevance_by, start_at, zennit

from models.unet import UNet3d
from xai.methods.lrp import (
    EPSILON_ALPHA2BETA1,
    EPSILON_ALPHA2BETA1_FLAT,
    EPSILON_PLUS,
    EPSILON_PLUS_FLAT,
    AlphaBeta,
    AnyRule,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    epsilon_gamma_box,
    relevances,
)

RULES = [Epsilon(1e-6), Epsilon(0.1), Epsilon(100), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25)]
FIRST_LAYER_RULES = [ZBox(-3, 3), WSquare(), Flat()]
LAYERS: dict[str, tuple[Callable[[bool], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda bias: nn.Linear(5, 4, bias), (5,)),
    "linear on a sequence": (lambda bias: nn.Linear(5, 4, bias), (3, 5)),
    "conv1d": (lambda bias: nn.Conv1d(4, 6, 3, 2, 1, bias=bias), (4, 10)),
    "conv1d in groups": (lambda bias: nn.Conv1d(4, 6, 3, groups=2, dilation=2, bias=bias), (4, 10)),
    "conv2d": (lambda bias: nn.Conv2d(2, 3, (3, 2), (1, 2), (1, 0), bias=bias), (2, 6, 7)),
    "conv3d": (lambda bias: nn.Conv3d(2, 3, 2, 1, 1, bias=bias), (2, 3, 4, 3)),
    "transposed 1d": (lambda bias: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, bias=bias), (4, 5)),
    "transposed 1d in groups": (lambda bias: nn.ConvTranspose1d(4, 6, 3, groups=2, bias=bias), (4, 5)),
    "transposed 2d": (lambda bias: nn.ConvTranspose2d(2, 3, 2, 2, bias=bias), (2, 3, 4)),
    "transposed 3d": (lambda bias: nn.ConvTranspose3d(2, 3, 2, 2, bias=bias), (2, 2, 3, 2)),
}


def total(outputs: Tensor, targets: Tensor) -> Tensor:
    """A score that gives every output its own value as relevance."""
    return outputs.flatten(1).sum(1)


def gap(found: Tensor, expected: Tensor) -> float:
    """Largest difference, in units of the largest relevance."""
    return float((found - expected).abs().max()) / max(1e-3, float(expected.abs().max()))


@pytest.mark.parametrize("rule", RULES + FIRST_LAYER_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_by_every_rule(kind, bias, rule):
    build, shape = LAYERS[kind]
    torch.manual_seed(1)
    layer, inputs = nn.Sequential(build(bias)).double(), torch.randn(3, *shape, dtype=torch.float64)
    expected = relevance_by(everywhere(rule), layer, inputs, layer(inputs).detach())
    (found,) = relevances(layer, inputs, torch.zeros(3), [rule], score=total)
    assert expected.any()
    assert gap(found, expected) < 1e-5


POOLS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "max 1d": (nn.MaxPool1d(2), (2, 9)),
    "max 2d": (nn.MaxPool2d(3, 2, 1), (2, 6, 7)),
    "max 3d": (nn.MaxPool3d(2), (2, 4, 4, 4)),
    "adaptive max 2d": (nn.AdaptiveMaxPool2d(1), (2, 6, 7)),
    "average 1d": (nn.AvgPool1d(3, 2, 1), (2, 9)),
    "average 2d": (nn.AvgPool2d(2), (2, 6, 7)),
    "average 3d": (nn.AvgPool3d(2), (2, 4, 4, 4)),
    "adaptive average 1d": (nn.AdaptiveAvgPool1d(2), (2, 9)),
    "adaptive average 3d": (nn.AdaptiveAvgPool3d(1), (2, 4, 4, 4)),
    "nearest upsampling": (nn.Upsample(scale_factor=2), (2, 3, 4)),
}


@pytest.mark.parametrize("kind", POOLS)
def test_every_pool(kind):
    pool, shape = POOLS[kind]
    torch.manual_seed(2)
    model, inputs = nn.Sequential(pool, nn.Identity()), torch.randn(3, *shape, dtype=torch.float64)
    expected = relevance_by(everywhere(Epsilon(0.1)), model, inputs, model(inputs).detach())
    (found,) = relevances(model, inputs, torch.zeros(3), [Epsilon(0.1)], score=total)
    assert gap(found, expected) < 1e-5


def small(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(3)
    layers: list[nn.Module] = [nn.Conv1d(3, 6, 5), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.MaxPool1d(2)]
    layers += [nn.Conv1d(6, 8, 3, bias=False), nn.BatchNorm1d(8), nn.ELU(), nn.Dropout(), nn.AvgPool1d(2)]
    layers += [nn.Flatten(), nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 4)]
    kept = [layer for layer in layers if norm or not isinstance(layer, nn.BatchNorm1d)]
    model = nn.Sequential(*kept).double().eval()
    for layer in kept:
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.eps = 1e-9  # the peer leaves it in the norms that it has folded
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    return model


def both(model: nn.Module, inputs: Tensor, rule: AnyRule, composite: Any) -> tuple[Tensor, Tensor]:
    targets = torch.arange(len(inputs)) % 4
    expected = relevance_by(composite, model, inputs, start_at(model(inputs), targets))
    return relevances(model, inputs, targets, [rule])[0], expected


@pytest.mark.parametrize("rule", RULES + FIRST_LAYER_RULES, ids=lambda rule: rule.name)
def test_a_network_by_one_rule(rule):
    model, inputs = small(), torch.randn(5, 3, 24, dtype=torch.float64)
    assert gap(*both(model, inputs, rule, everywhere(rule))) < 1e-5


@pytest.mark.parametrize("rule", [Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0)], ids=lambda rule: rule.name)
def test_the_sleep_network(rule):
    model, inputs = trained_looking(SleepNetwork()).double(), torch.randn(2, 3, 3000, dtype=torch.float64)
    assert gap(*both(model, inputs, rule, everywhere(rule))) < 1e-5


class Skips(nn.Module):
    """Two levels of a 3-D U-Net with its crop."""

    def __init__(self) -> None:
        super().__init__()
        self.high, self.low = nn.Conv3d(2, 3, 3, padding=1), nn.Conv3d(3, 4, 3, padding=1)
        self.pool, self.up = nn.MaxPool3d(2), nn.ConvTranspose3d(4, 3, 2, stride=2)
        self.wide, self.out = nn.Upsample(scale_factor=2), nn.Conv3d(10, 2, 1)
        self.one, self.two = nn.LeakyReLU(0.2), nn.LeakyReLU(0.2)

    def forward(self, inputs: Tensor) -> Tensor:
        high = self.one(self.high(inputs))
        low = self.two(self.low(self.pool(high)))
        return self.out(torch.cat([self.up(low), high[..., :4], self.wide(low)], dim=1))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_network_with_skips(rule):
    torch.manual_seed(6)
    model, inputs = Skips().double(), torch.randn(2, 2, 4, 4, 5, dtype=torch.float64)
    expected = relevance_by(everywhere(rule), model, inputs, model(inputs).detach())
    (found,) = relevances(model, inputs, torch.zeros(2), [rule], score=total)
    assert gap(found, expected) < 1e-5


def unet() -> UNet3d:
    """A U-Net with norms that do something, and leaky ReLUs, so that inputs of layers are negative too."""
    torch.manual_seed(9)
    model = UNet3d(3, 2, width=2, levels=3, head="paper").double().eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.eps = 1e-9  # the peer leaves it in the norms that it has folded
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias, 0, 0.2)
    nn.init.constant_(model.out_norm.bias, 3)  # type: ignore[arg-type]  # so that the last ReLU lets some through
    return model


def lesion(outputs: Tensor) -> Tensor:
    """The outputs that the default score adds up: the lesion's, where it wins."""
    wins = outputs.argmax(1, keepdim=True) == 1
    return (outputs * torch.tensor([0.0, 1.0], dtype=outputs.dtype).view(1, 2, 1, 1, 1) * wins).detach()


@pytest.mark.parametrize(
    ("rule", "first"),
    [*((rule, None) for rule in RULES), (AlphaBeta(1, 0), ZBox(0, 1)), (Epsilon(0.01), ZBox(0, 1))],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_u_net_with_its_norms_crops_and_skips(rule, first):
    """Odd extents, so that the way up is cropped on every axis."""
    model, inputs = unet(), torch.rand(2, 3, 7, 9, 11, dtype=torch.float64)
    composite = everywhere(rule, [zennit("canonizers").SequentialMergeBatchNorm()])
    if first is not None:
        at_inputs = model.encoders[0][0]  # type: ignore[index]
        others = composite.module_map
        composite.module_map = lambda context, name, module: (
            hook_of(first).copy() if module is at_inputs else others(context, name, module)
        )
    expected = relevance_by(composite, model, inputs, lesion)
    asked = rule if first is None else Composite("peer", rule, rule, first=first)
    (found,) = relevances(model, inputs, torch.ones(2, dtype=torch.int64), [asked])
    largest = expected.abs().amax((1, 2, 3, 4), keepdim=True)  # tiny where epsilon is 100
    assert largest.min() > 0
    assert ((found - expected).abs() / largest).max() < 1e-5


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_batch_norm_is_folded_as_the_peer_folds_it(rule):
    canonizers = [zennit("canonizers").SequentialMergeBatchNorm()]
    model, inputs = small(norm=True), torch.randn(5, 3, 24, dtype=torch.float64)
    assert gap(*both(model, inputs, rule, everywhere(rule, canonizers))) < 1e-5


@pytest.mark.parametrize(
    ("rule", "composite"),
    [
        (EPSILON_PLUS, lambda composites: composites.EpsilonPlus()),
        (EPSILON_PLUS_FLAT, lambda composites: composites.EpsilonPlusFlat()),
        (EPSILON_ALPHA2BETA1, lambda composites: composites.EpsilonAlpha2Beta1()),
        (EPSILON_ALPHA2BETA1_FLAT, lambda composites: composites.EpsilonAlpha2Beta1Flat()),
        (epsilon_gamma_box(-4, 4), lambda composites: composites.EpsilonGammaBox(low=-4, high=4)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_composites_choose_as_the_peer_does(rule, composite):
    model, inputs = small(), torch.randn(5, 3, 24, dtype=torch.float64).clamp(-4, 4)
    assert gap(*both(model, inputs, rule, composite(zennit("composites")))) < 1e-5
