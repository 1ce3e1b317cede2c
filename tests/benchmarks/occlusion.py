"""Occlusion against captum's on models L, S, CAM and E: equality first, then interleaved timings in one process.

    python tests/benchmarks/occlusion.py

Model L: one LSTM layer of 128 units, 216 steps, one channel, five classes; eight beats, width 10, stride 1.
Model S: paper 3's sleep network on one epoch of 3 channels and 3,000 steps; width 100, stride 4, one channel at a
time, which makes 2,178 windows.
Models CAM and E: paper 2's CAM network on four windows of 720 points, ECGNet on one; width 24, stride 8.
Captum runs at each of several `perturbations_per_eval`, and its best median counts. Trust the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.ecg_cam import ECGCAM
from models.ecgnet import ECGNet
from models.lstm import LSTMClassifier
from models.sleep_cnn import SleepCNN
from xai.methods import explainer

THREADS = 2
BATCHINGS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Case:
    """One model, its inputs ``(sample, channel, time)``, the windows; captum's time over ours must reach the floor."""

    name: str
    model: nn.Module
    inputs: Tensor
    width: int
    stride: int
    channels: str
    repeats: int
    floor: float
    goal: float


def cases() -> list[Case]:
    """Models with random weights."""
    torch.manual_seed(0)
    beats, epoch, rhythms = torch.randn(8, 1, 216), torch.randn(1, 3, 3000), torch.randn(4, 1, 720)
    return [
        Case("L", LSTMClassifier(1, 5, (128,)).eval(), beats, 10, 1, "", repeats=9, floor=1.8, goal=2.0),
        Case("S", SleepCNN(3, 5).eval(), epoch, 100, 4, "_single", repeats=5, floor=12.0, goal=15.0),
        Case("CAM", ECGCAM().eval(), rhythms, 24, 8, "", repeats=7, floor=4.0, goal=5.0),
        Case("E", ECGNet().eval(), rhythms[:1], 24, 8, "", repeats=5, floor=1.5, goal=1.6),
    ]


def contenders(case: Case, dtype: torch.dtype) -> dict[str, Callable[[], Tensor]]:
    """Name -> a run that returns the attribution."""
    model, inputs = case.model.to(dtype), case.inputs.to(dtype)
    targets, seeds = torch.arange(len(inputs)) % 5, torch.arange(len(inputs))
    theirs = CaptumOcclusion(model)
    stride = f"_s{case.stride}" if case.stride > 1 else ""
    occlusion = explainer(f"occlusion_w{case.width}{stride}{case.channels}")

    def captum(batching: int) -> Callable[[], Tensor]:
        window, strides = (1, case.width), (1, case.stride)
        return lambda: theirs.attribute(inputs, window, strides, target=targets, perturbations_per_eval=batching)

    def ours() -> Tensor:
        return occlusion.attribute(model, inputs, targets, seeds=seeds)

    return {"plumbline": ours, **{f"captum, {k} at once": captum(k) for k in BATCHINGS}}


def largest_difference(runs: dict[str, Callable[[], Tensor]]) -> float:
    """Largest difference of any contender's attribution to captum's first, beyond captum's rounding of its result.

    It rounds to float32 even for a float64 model.
    """
    reference, *others = [run() for run in reversed(runs.values())]
    rounding = reference.abs() * torch.finfo(torch.float32).eps / 2
    return max(float(((other - reference).abs() - rounding).max().clamp(min=0)) for other in others)


def timings(runs: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each repeat, contenders taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def holds(case: Case) -> bool:
    """Prints differences, medians, quartiles and the ratio; False where results differ or the floor is missed."""
    for dtype, limit in ((torch.float64, 1e-9), (torch.float32, 1e-6)):
        difference = largest_difference(contenders(case, dtype))
        print(f"{case.name}: largest difference, {dtype}: {difference:.1e} (limit {limit:.0e})")
        if difference > limit:
            return False
    seconds = timings(contenders(case, torch.float32), case.repeats)
    for name, values in seconds.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(values, n=4))
        print(f"{case.name}: {name:>20}: median {median:5.0f} ms, quartiles {low:5.0f} to {high:5.0f}")
    ours, *theirs = (statistics.median(values) for values in seconds.values())
    ratio = min(theirs) / ours
    print(f"{case.name}: captum's best over plumbline: {ratio:.2f} (floor {case.floor}, goal {case.goal})")
    return ratio >= case.floor


def main() -> int:
    """1 where a case does not hold."""
    torch.set_num_threads(THREADS)
    held = [holds(case) for case in cases()]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
