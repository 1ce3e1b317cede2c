"""Three LRP rules from one forward pass, against captum and zennit, which take one rule at a time.

Epsilon 0.01, epsilon 100 and alpha-beta(1, 0), for which zennit may use its cheaper ZPlus: equal here, where inputs of
all layers but the first are not negative. captum knows no 1-D or 3-D convolution until a rule is set on it by hand,
needs the U-Net's norms folded and its joins rewritten, and its Alpha1_Beta0 clamps weights only: its third map is timed
and not compared. A gradient pass is one forward and one backward to the inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from captum import attr
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit_peer import everywhere, relevance_by, start_at, zennit

from models.unet import UNet3d
from xai.methods.lrp import AlphaBeta, AnyRule, Epsilon, relevances
from xai.scores import OUTPUT_SUM

from ..networks import EPOCH, classes_of, network, random_inputs
from ..row import Case, Results, Row, Run, Setting

RULES: tuple[AnyRule, ...] = (Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0))
CAPTUMS: tuple[Callable[[], object], ...] = (lambda: EpsilonRule(0.01), lambda: EpsilonRule(100), Alpha1_Beta0_Rule)
PASSES = 3.2
"""Gradient passes that three rules may cost."""


def _epochs(rules: slice, setting: Setting) -> Case:
    model = network("S, plain modules", setting)
    inputs = random_inputs(setting, 2 if setting.small else 16, 3, EPOCH)
    targets = classes_of(inputs)
    return Case(
        lambda: relevances(model, inputs, targets, RULES[rules]),
        {
            "captum": {"": _by_captum(copy.deepcopy(model), nn.Conv1d | nn.Linear, rules, inputs, targets)},
            "zennit": {"": _by_zennit(rules, model, inputs, lambda outputs: start_at(outputs, targets), None)},
            "gradient pass": {"": _gradient(rules, model, inputs, lambda out: out.gather(1, targets[:, None]))},
        },
    )


def _volumes(rules: slice, count: int, setting: Setting) -> Case:
    model = network("U", setting)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eps = 1e-9  # zennit leaves it in the norms that it has folded
    inputs = random_inputs(setting, count, 6, *((4, 8, 8) if setting.small else (19, 48, 48))).abs()
    targets = torch.ones(count, dtype=torch.int64, device=inputs.device)
    folding = [zennit("canonizers").SequentialMergeBatchNorm()]
    return Case(
        lambda: relevances(model, inputs, targets, RULES[rules], score=OUTPUT_SUM),
        {
            "captum": {"": _by_captum(Readable(model), nn.Conv3d | nn.ConvTranspose3d, rules, inputs, 0)},
            "zennit": {"": _by_zennit(rules, model, inputs, lambda outputs: outputs.detach(), folding)},
            "gradient pass": {"": _gradient(rules, model, inputs, lambda outputs: outputs)},
        },
    )


def _by_captum(model: nn.Module, linear: type, rules: slice, inputs: Tensor, targets: Tensor | int) -> Run:
    def run() -> Results:
        found: list[Tensor | None] = []
        for build in CAPTUMS[rules]:
            for layer in model.modules():
                if isinstance(layer, linear):
                    layer.rule = build()
                elif isinstance(layer, nn.LeakyReLU):
                    layer.rule = EpsilonRule(1e-12)
            relevance = attr.LRP(model).attribute(inputs, target=targets).detach()
            found.append(None if build is Alpha1_Beta0_Rule else relevance)
        return found

    return run


def _by_zennit(
    rules: slice, model: nn.Module, inputs: Tensor, start: Callable[[Tensor], Tensor], folding: list | None
) -> Run:
    plus = everywhere(RULES[2], folding)
    plus.module_map.__self__.layer_map[-1] = (zennit("types").Linear, zennit("rules").ZPlus())
    composites = [everywhere(RULES[0], folding), everywhere(RULES[1], folding), plus][rules]
    # On volumes ZPlus differs from alpha-beta where a leaky unit lets a negative value through.
    kept = [composite is not plus or folding is None for composite in composites]

    def run() -> Results:
        found = [relevance_by(composite, model, inputs, start) for composite in composites]
        return [relevance if keep else None for relevance, keep in zip(found, kept, strict=True)]

    return run


def _gradient(rules: slice, model: nn.Module, inputs: Tensor, read: Callable[[Tensor], Tensor]) -> Run:
    def run() -> Results:
        leaf = inputs.clone().requires_grad_()
        torch.autograd.grad(read(model(leaf)).sum(), leaf)
        return [None] * len(RULES[rules])

    return run


class Readable(nn.Module):
    """The U-Net as captum can read it: norms folded, joins without a module.

    captum multiplies the score's derivative by the score: by this score every output has its value as relevance.
    """

    def __init__(self, network: UNet3d) -> None:
        super().__init__()
        own = copy.deepcopy(network)
        self.encoders, self.decoders = (nn.ModuleList(map(_folded, blocks)) for blocks in (own.encoders, own.decoders))
        self.pools, self.ups, self.out = own.pools, own.ups, own.out

    def forward(self, inputs: Tensor) -> Tensor:
        signal, skips = inputs, []
        for encoder, pool in zip(self.encoders, self.pools, strict=False):
            skips.append(encoder(signal))
            signal = pool(skips[-1].clone())  # else its hook on what two layers read replaces their sum
        signal = self.encoders[-1](signal)
        for up, decoder, skip in zip(self.ups, self.decoders, reversed(skips), strict=True):
            depth, height, width = skip.shape[2:]
            signal = decoder(torch.cat([skip, up(signal)[:, :, :depth, :height, :width]], dim=1))
        logits = self.out(signal).flatten(1)
        return (logits * nn.functional.normalize(logits.detach(), dim=1)).sum(1, keepdim=True)


def _folded(block: Sequence[nn.Module]) -> nn.Sequential:
    first, second = (fuse_conv_bn_eval(block[at], block[at + 1]) for at in (0, 3))
    return nn.Sequential(first, block[2], second, block[5])


PASS = "gradient pass"
EPOCH_GOALS, VOLUME_GOALS = {"captum": 3, "zennit": 4}, {"captum": 2.5, "zennit": 4}
ONE, THREE = slice(0, 1), slice(0, 3)

ROWS = (
    Row(
        "lrp-S-1",
        "LRP of 16 epochs, one rule",
        partial(_epochs, ONE),
        goals={PASS: 1 / PASSES},
        rounding=1e-4,
        saves={"captum": 0.6, "zennit": 0.5},
    ),
    Row(
        "lrp-S-3",
        "LRP of 16 epochs, three rules",
        partial(_epochs, THREE),
        goals={**EPOCH_GOALS, PASS: 1 / PASSES},
        rounding=1e-4,
        saves={"captum": 0.3, "zennit": 0.2, PASS: 1.3},
    ),
    Row(
        "lrp-U-1",
        "LRP of 1 volume, one rule",
        partial(_volumes, ONE, 1),
        goals={PASS: 1 / PASSES},
        rounding=1e-3,
        saves={"captum": 0.85, "zennit": 0.65},
    ),
    Row(
        "lrp-U-3",
        "LRP of 2 volumes, three rules",
        partial(_volumes, THREE, 2),
        goals={**VOLUME_GOALS, PASS: 1 / 4},
        rounding=1e-3,
        saves={"captum": 0.81, "zennit": 0.52, PASS: 3.7},
    ),
    Row(
        "lrp-U-3-one",
        "LRP of 1 volume, three rules",
        partial(_volumes, THREE, 1),
        goals={**VOLUME_GOALS, PASS: 1 / 4},
        rounding=1e-3,
        saves={"captum": 0.81, "zennit": 0.52, PASS: 3.7},
    ),
)
