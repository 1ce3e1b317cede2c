"""Occlusion against captum's on model L: equality first, then interleaved timings in one process.

    python tests/benchmarks/occlusion.py

Model L: one LSTM layer of 128 units, 216 steps, one channel, five classes; eight beats, width 10, stride 1.
Captum runs at each of several `perturbations_per_eval`, and its best median counts. Trust the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.lstm import LSTMClassifier
from xai.methods import explainer

THREADS, REPEATS, GOAL = 2, 9, 1.8
BATCHINGS = (8, 16, 32, 64)
WIDTH = 10


def contenders(model: LSTMClassifier, beats: Tensor, targets: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Name -> a run that returns the attribution."""
    theirs = CaptumOcclusion(model)
    seeds = torch.arange(len(beats))

    def captum(batching: int) -> Callable[[], Tensor]:
        return lambda: theirs.attribute(beats, (1, WIDTH), target=targets, strides=1, perturbations_per_eval=batching)

    def ours() -> Tensor:
        return explainer(f"occlusion_w{WIDTH}").attribute(model, beats, targets, seeds=seeds)

    return {"plumbline": ours, **{f"captum, {k} at once": captum(k) for k in BATCHINGS}}


def largest_difference(runs: dict[str, Callable[[], Tensor]]) -> float:
    """Largest absolute difference of any contender's attribution to captum's first."""
    reference, *others = [run() for run in reversed(runs.values())]
    return max(float((other - reference).abs().max()) for other in others)


def timings(runs: dict[str, Callable[[], Tensor]]) -> dict[str, list[float]]:
    """Seconds of each repeat, contenders taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> int:
    """Prints medians, quartiles and the ratio; 1 where the results differ or the goal is missed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = LSTMClassifier(1, 5, (128,)).eval()
    beats, targets = torch.randn(8, 1, 216), torch.arange(8) % 5
    # captum rounds its result to float32 even for a float64 model
    for dtype, limit in ((torch.float64, 1e-9), (torch.float32, 1e-6)):
        difference = largest_difference(contenders(model.to(dtype), beats.to(dtype), targets))
        print(f"largest difference, {dtype}: {difference:.1e} (limit {limit:.0e})")
        if difference > limit:
            return 1
    seconds = timings(contenders(model, beats, targets))
    for name, values in seconds.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(values, n=4))
        print(f"{name:>20}: median {median:5.0f} ms, quartiles {low:5.0f} to {high:5.0f}")
    ours, *theirs = (statistics.median(values) for values in seconds.values())
    ratio = min(theirs) / ours
    print(f"captum's best over plumbline: {ratio:.2f} (goal {GOAL})")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
