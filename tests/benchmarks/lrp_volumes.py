"""LRP on a 3-D U-Net against captum and zennit, and a sweep over filters: equality first, then interleaved timings.

    python tests/benchmarks/lrp_volumes.py

Model U: base width 16, 3 levels, logits; volumes of 6 x 19 x 48 x 48. Three rules, epsilon 0.01, epsilon 100 and
alpha-beta(1, 0), for which zennit may use its cheaper ZPlus. The floors are for one volume, where PyTorch leaves peers
to slower convolutions; at two they have faster ones, and the ratios are shown without a floor. captum knows no 3-D
convolution until a rule is set on it by hand, needs norms folded and joins rewritten, and its Alpha1_Beta0 clamps
weights only: its third map is timed but not compared.
The sweep: raw and 15 filter settings of one rule from one forward pass, counted in walks of the raw setting alone and
in gradient passes (one forward and one backward to the inputs). Times are this process's CPU seconds on one thread, so
that a busy machine disturbs them less. Trust the ratios.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from captum import attr
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from zennit_peer import everywhere, relevance_by, zennit

from models.unet import UNet3d
from xai.methods.lrp import SWEEP, AlphaBeta, Epsilon, Filtered, relevances, zplus_box
from xai.scores import OUTPUT_SUM

THREADS, REPEATS = 1, 5
FLOORS = {"captum": 2.0, "zennit": 3.0}
GOALS = {"captum": 2.5, "zennit": 4.0}
SWEEP_FLOOR = 12
RULES = [Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0)]
RAW = zplus_box(0, 1)
ALL_SETTINGS = [RAW, *(Filtered(RAW, (each,)) for each in SWEEP)]

Run = Callable[[], list[Tensor]]


class Readable(nn.Module):
    """The network as captum can read it: norms folded, joins without a module.

    captum multiplies the score's derivative by the score: by this score every output has its value as relevance.
    """

    def __init__(self, network: UNet3d) -> None:
        super().__init__()
        own = copy.deepcopy(network)
        self.encoders, self.decoders = (nn.ModuleList(map(folded, blocks)) for blocks in (own.encoders, own.decoders))
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


def folded(block: nn.Sequential) -> nn.Sequential:
    layers = list(block)
    return nn.Sequential(
        *(fuse_conv_bn_eval(layers[0], layers[1]), layers[2]), *(fuse_conv_bn_eval(layers[3], layers[4]), layers[5])
    )


def by_captum(model: UNet3d, inputs: Tensor) -> list[Tensor]:
    found, readable = [], Readable(model)
    for build in (lambda: EpsilonRule(0.01), lambda: EpsilonRule(100), Alpha1_Beta0_Rule):
        for layer in readable.modules():
            if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
                layer.rule = build()
            elif isinstance(layer, nn.LeakyReLU):
                layer.rule = EpsilonRule(1e-12)
        found.append(attr.LRP(readable).attribute(inputs, target=0).detach())
    return found


def by_zennit(model: UNet3d, inputs: Tensor) -> list[Tensor]:
    merged = [zennit("canonizers").SequentialMergeBatchNorm()]
    plus = everywhere(RULES[2], merged)
    plus.module_map.__self__.layer_map[-1] = (zennit("types").Linear, zennit("rules").ZPlus())
    composites = [everywhere(RULES[0], merged), everywhere(RULES[1], merged), plus]
    return [relevance_by(composite, model, inputs, lambda outputs: outputs.detach()) for composite in composites]


def gradient_pass(model: UNet3d, inputs: Tensor) -> list[Tensor]:
    leaf = inputs.clone().requires_grad_()
    return list(torch.autograd.grad(model(leaf).sum(), leaf))


def contenders(model: UNet3d, inputs: Tensor) -> dict[str, Run]:
    targets = torch.ones(len(inputs), dtype=torch.int64)
    return {
        "plumbline": lambda: relevances(model, inputs, targets, RULES, score=OUTPUT_SUM),
        "captum": lambda: by_captum(model, inputs),
        "zennit": lambda: by_zennit(model, inputs),
        "gradient pass": lambda: gradient_pass(model, inputs),
    }


def sweeps(model: UNet3d, inputs: Tensor) -> dict[str, Run]:
    targets = torch.ones(len(inputs), dtype=torch.int64)
    return {
        "sweep of 16": lambda: relevances(model, inputs, targets, ALL_SETTINGS, score=OUTPUT_SUM),
        "one setting": lambda: relevances(model, inputs, targets, [RAW], score=OUTPUT_SUM),
        "gradient pass": lambda: gradient_pass(model, inputs),
    }


def largest_difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Over the rules that both have, in units of each rule's largest relevance."""
    pairs = zip(ours, theirs, strict=False)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


def timings(runs: dict[str, Run]) -> dict[str, list[float]]:
    """CPU milliseconds in each repeat, contenders taking turns."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            started = time.process_time()
            run()
            found[name].append(1e3 * (time.process_time() - started))
    return found


def medians(runs: dict[str, Run]) -> dict[str, float]:
    found = timings(runs)
    for name, values in found.items():
        low, median, high = statistics.quantiles(values, n=4)
        print(f"{name:>14}: median {median:7.0f} ms, quartiles {low:7.0f} to {high:7.0f}")
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> int:
    """Prints medians, quartiles and ratios; 1 where results differ or a floor is missed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    model, inputs = UNet3d(6, 2, width=16, levels=3).eval(), torch.rand(2, 6, 19, 48, 48)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eps = 1e-9  # zennit leaves it in the norms that it has folded
    small = inputs[:1, :, :, :16, :16]
    wide = contenders(model.double(), small.double())
    ours = wide["plumbline"]()
    for peer, compared in (("zennit", 2), ("captum", 2)):
        difference = largest_difference(ours[:compared], wide[peer]()[:compared])
        print(f"largest difference to {peer} over largest relevance, float64, {compared} rules: {difference:.1e}")
        if difference > 1e-5:
            return 1
    narrow = contenders(model.float(), small)
    print(f"float32 to float64: {largest_difference(narrow['plumbline'](), ours):.1e}; {THREADS} thread")
    missed = False
    for volumes in (1, 2):
        print(f"{volumes} volumes of {tuple(inputs.shape[1:])}")
        found = medians(contenders(model, inputs[:volumes]))
        for peer, floor in FLOORS.items():
            ratio = found[peer] / found["plumbline"]
            missed |= volumes == 1 and ratio < floor
            print(f"{peer} over plumbline: {ratio:.2f}" + f" (floor {floor}, goal {GOALS[peer]})" * (volumes == 1))
    found = medians(sweeps(model, inputs[:1]))
    for one in ("one setting", "gradient pass"):
        print(f"16 settings cost as much as {found['sweep of 16'] / found[one]:.1f} of {one}")
    missed |= found["sweep of 16"] > SWEEP_FLOOR * found["one setting"]
    print(f"at most {SWEEP_FLOOR} of one setting")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
