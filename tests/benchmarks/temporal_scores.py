"""Temporal scores from one pass against a run of every prefix on model L: equality first, then interleaved timings.

    python tests/benchmarks/temporal_scores.py

Model L: one LSTM layer of 128 units, 216 steps, one channel, five classes; eight beats. One thread: with more, the
many small runs of the other side pay for waiting, and the ratio says less about the work. Trust the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.lstm import LSTMClassifier
from xai.methods.temporal_scores import prefix_scores

THREADS, REPEATS, GOAL = 1, 9, 90


def run_again(model: LSTMClassifier, beats: Tensor) -> Tensor:
    """Logits of every prefix ``(sample, time, class)``, each from a run of its own."""
    with torch.no_grad():
        return torch.stack([model(beats[:, :, :stop]) for stop in range(1, beats.shape[2] + 1)], dim=1)


def seconds(run: Callable[[], Tensor], times: int) -> float:
    """Processor time of one of so many runs: one of a few milliseconds alone would be lost in what else goes on."""
    started = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - started) / times


def main() -> int:
    """Prints medians, quartiles and the ratio; 1 where the results differ or the goal is missed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = LSTMClassifier(1, 5, (128,)).eval()
    beats = torch.randn(8, 1, 216)
    for dtype, limit in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        model, inputs = model.to(dtype), beats.to(dtype)
        difference = float((prefix_scores(model, inputs) - run_again(model, inputs)).abs().max())
        print(f"largest difference, {dtype}: {difference:.1e} (limit {limit:.0e})")
        if difference > limit:
            return 1
    runs: dict[str, tuple[Callable[[], Tensor], int]] = {
        "plumbline": (lambda: prefix_scores(model, beats), 20),
        "a run per prefix": (lambda: run_again(model, beats), 1),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, (run, times) in runs.items():
            taken[name].append(seconds(run, times))
    for name, values in taken.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(values, n=4))
        print(f"{name:>20}: median {median:6.1f} ms, quartiles {low:6.1f} to {high:6.1f}")
    ours, theirs = (statistics.median(values) for values in taken.values())
    print(f"a run per prefix over plumbline: {theirs / ours:.0f} (goal {GOAL})")
    return 0 if theirs / ours >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
