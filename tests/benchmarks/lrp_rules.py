"""Three LRP rules on the sleep network against captum and zennit: equality first, then interleaved timings.

    python tests/benchmarks/lrp_rules.py

Model S: the 1-D network of paper 3, 16 epochs of 3 x 3000 points; epsilon 0.01, epsilon 100 and alpha-beta(1, 0), for
which zennit may use its cheaper ZPlus. captum knows no 1-D convolution until a rule is set on it by hand, and its
Alpha1_Beta0 clamps weights only: its third map is timed but not compared. Times are for all three rules, in one
process, contenders taking turns; the gradient pass is one forward and one backward to the inputs. Trust the ratios.
"""

from __future__ import annotations

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

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from sleep_network import SleepNetwork, trained_looking
from zennit_peer import everywhere, relevance_by, start_at, zennit

from xai.methods.lrp import AlphaBeta, Epsilon, relevances

THREADS, REPEATS, EPOCHS = 1, 11, 16
FLOORS = {"captum": 2.2, "zennit": 3.0}
GOALS = {"captum": 3.0, "zennit": 4.0}
PASSES_GOAL = 3.2
RULES = [Epsilon(0.01), Epsilon(100), AlphaBeta(1, 0)]


def by_captum(model: SleepNetwork, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    found = []
    for build in (lambda: EpsilonRule(0.01), lambda: EpsilonRule(100), Alpha1_Beta0_Rule):
        for layer in model.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                layer.rule = build()
        found.append(attr.LRP(model).attribute(inputs, target=targets).detach())
    return found


def by_zennit(model: SleepNetwork, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    plus = everywhere(RULES[2])
    plus.module_map.__self__.layer_map[-1] = (zennit("types").Linear, zennit("rules").ZPlus())
    composites = [everywhere(RULES[0]), everywhere(RULES[1]), plus]
    return [
        relevance_by(composite, model, inputs, lambda outputs: start_at(outputs, targets)) for composite in composites
    ]


def gradient_pass(model: SleepNetwork, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    leaf = inputs.clone().requires_grad_()
    return list(torch.autograd.grad(model(leaf).gather(1, targets[:, None]).sum(), leaf))


def contenders(model: SleepNetwork, inputs: Tensor, targets: Tensor) -> dict[str, Callable[[], list[Tensor]]]:
    return {
        "plumbline": lambda: relevances(model, inputs, targets, RULES),
        "captum": lambda: by_captum(model, inputs, targets),
        "zennit": lambda: by_zennit(model, inputs, targets),
        "gradient pass": lambda: gradient_pass(model, inputs, targets),
    }


def largest_difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Over the rules that both have, in units of each rule's largest relevance."""
    pairs = zip(ours, theirs, strict=False)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


def timings(runs: dict[str, Callable[[], list[Tensor]]]) -> dict[str, list[float]]:
    """Milliseconds for all rules in each repeat, contenders taking turns."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            found[name].append(1e3 * (time.perf_counter() - started))
    return found


def main() -> int:
    """Prints medians, quartiles and ratios; 1 where results differ or a floor is missed."""
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore")
    model, targets = trained_looking(SleepNetwork()), torch.arange(EPOCHS) % 5
    inputs = torch.randn(EPOCHS, 3, 3000)
    wide = contenders(model.double(), inputs.double(), targets)
    ours = wide["plumbline"]()
    for peer, compared in (("zennit", 3), ("captum", 2)):
        difference = largest_difference(ours[:compared], wide[peer]()[:compared])
        print(f"largest difference to {peer} over largest relevance, float64, {compared} rules: {difference:.1e}")
        if difference > 1e-5:
            return 1
    runs = contenders(model.float(), inputs, targets)
    print(f"float32 to float64: {largest_difference(runs['plumbline'](), ours):.1e}; {THREADS} thread")
    found = timings(runs)
    for name, values in found.items():
        low, median, high = statistics.quantiles(values, n=4)
        print(f"{name:>14}: median {median:7.1f} ms, quartiles {low:7.1f} to {high:7.1f}")
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = {peer: medians[peer] / medians["plumbline"] for peer in FLOORS}
    for peer, ratio in ratios.items():
        print(f"{peer} over plumbline: {ratio:.2f} (floor {FLOORS[peer]}, goal {GOALS[peer]})")
    passes = medians["plumbline"] / medians["gradient pass"]
    print(f"gradient passes for three rules: {passes:.2f} (goal {PASSES_GOAL})")
    return 0 if all(ratios[peer] >= floor for peer, floor in FLOORS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
