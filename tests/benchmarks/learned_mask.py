"""Learned masks of 32 windows together against one by one on paper 2's LSTM: equality first, then timings in turns.

    python tests/benchmarks/learned_mask.py

The network: ten steps of 72 points, two LSTM layers of 40 units, dense layers 500, 100 and 8; 102,768 parameters,
random and large enough to tell windows apart. One by one is measured as plumbline on single windows, and as the
descent is commonly written, mask by mask. A descent amplifies rounding: in float64 masks agree, in float32 their mean
difference is limited. One thread: with more, the many small runs of the other side pay for waiting, and the ratio
says less about the work. Trust the ratio.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from xai.methods import LearnedMask

WINDOWS, POINTS = 32, 720
THREADS, REPEATS, GOAL = 1, 5, 18
STEPS = 15
"""Of a timing; the time of the full 500 is that much longer on either side."""
RESTARTS = 3
COMPARED, WINDOWS_COMPARED = 40, 8
"""Steps after which masks are compared, and of how many windows."""
LIMITS = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Mean absolute difference of the masks."""


class Recurrent(nn.Module):
    """The paper's LSTM with dense layers on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(72, 40, num_layers=2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(40, 500), nn.ReLU(), nn.Linear(500, 100), nn.ReLU(), nn.Linear(100, 8))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)`` of ``(sample, 1, 720)``."""
        return self.head(self.recurrent(inputs.reshape(len(inputs), 10, 72))[0][:, -1])


def one_by_one(how: LearnedMask, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Each window for itself."""
    windows = [slice(place, place + 1) for place in range(len(inputs))]
    return torch.cat([how.attribute(model, inputs[one], targets[one], seeds=targets[one]) for one in windows])


def written_plainly(steps: int, starts: list[float], model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The descent of one mask at a time."""
    best = []
    for signal, target in zip(inputs, targets.tolist(), strict=True):
        runs = []
        for start in starts:
            mask = torch.full_like(signal, start).requires_grad_()
            optimiser = torch.optim.Adam([mask], lr=0.05)
            for _ in range(steps):
                optimiser.zero_grad()
                _plain(model, signal, mask, target).backward()
                optimiser.step()
                with torch.no_grad():
                    mask.clamp_(0, 1)
            runs.append((_plain(model, signal, mask, target).item(), mask.detach()))
        best.append(min(runs, key=lambda run: run[0])[1])
    model.zero_grad()
    return torch.stack(best)


def _plain(model: nn.Module, signal: Tensor, mask: Tensor, target: int) -> Tensor:
    score = model(((1 - mask) * signal).unsqueeze(0)).softmax(dim=1)[0, target]
    return mask.mean() + 0.1 * mask.diff(dim=1).abs().mean() + score


def agree(model: nn.Module, windows: Tensor, targets: Tensor) -> bool:
    """Whether masks learned together are those learned one by one."""
    how = LearnedMask(steps=COMPARED, restarts=RESTARTS)
    starts = torch.linspace(0.5, 0.9, RESTARTS).tolist()
    for dtype, limit in LIMITS.items():
        model, inputs = model.to(dtype), windows.to(dtype)
        together = how.attribute(model, inputs, targets, seeds=targets)
        others = {
            "one by one": one_by_one(how, model, inputs, targets),
            "written plainly": written_plainly(COMPARED, starts, model, inputs, targets),
        }
        for name, found in others.items():
            apart = (found - together).abs()
            print(f"{name}, {dtype}: masks differ by {apart.mean():.1e} in the mean (limit {limit:.0e}), ", end="")
            print(
                f"by {apart.max():.1e} at most; probabilities by {_effect(model, inputs, targets, found, together):.1e}"
            )
            if apart.mean() > limit:
                return False
    return True


@torch.no_grad()
def _effect(model: nn.Module, inputs: Tensor, targets: Tensor, first: Tensor, second: Tensor) -> float:
    """The largest difference of the target's probability under two masks."""
    left = [model((1 - mask) * inputs).softmax(dim=1).gather(1, targets.unsqueeze(1)) for mask in (first, second)]
    return float((left[0] - left[1]).abs().max())


def seconds(run: Callable[[], Tensor]) -> float:
    """Processor time of one run."""
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> int:
    """Prints medians, quartiles and ratios; 1 where the masks differ or the goal is missed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model, windows = Recurrent().eval(), torch.randn(WINDOWS, 1, POINTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    targets = model(windows).argmax(dim=1)
    if not agree(model, windows[:WINDOWS_COMPARED], targets[:WINDOWS_COMPARED]):
        return 1
    reached = True
    for restarts in (1, RESTARTS):
        how, starts = LearnedMask(steps=STEPS, restarts=restarts), torch.linspace(0.5, 0.9, restarts).tolist()
        runs: dict[str, Callable[[], Tensor]] = {
            "together": lambda how=how: how.attribute(model, windows, targets, seeds=targets),
            "window by window": lambda how=how: one_by_one(how, model, windows, targets),
            "mask by mask, plainly": lambda s=starts: written_plainly(STEPS, s, model, windows, targets),
        }
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(REPEATS):
            for name, run in runs.items():
                taken[name].append(seconds(run))
        print(f"{WINDOWS} windows, {STEPS} steps, {restarts} start(s):")
        for name, values in taken.items():
            low, median, high = (1e3 * q for q in statistics.quantiles(values, n=4))
            print(f"{name:>22}: median {median:7.1f} ms, quartiles {low:7.1f} to {high:7.1f}")
        ours, windowed, plain = (statistics.median(values) for values in taken.values())
        print(f"window by window over together {windowed / ours:.1f}, ", end="")
        print(f"mask by mask over together {plain / ours:.1f} (goal {GOAL})")
        reached = reached and plain / ours >= GOAL
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
