"""Learned masks of 32 windows together, against the descent as it is commonly written, mask by mask.

The network: paper 2's LSTM on ten steps of 72 points, two layers of 40 units, dense layers 500, 100 and 8; its weights
are random and large enough to tell windows apart. The descent amplifies rounding, so that masks of what is timed
may differ by more than what they are made of. Timed are the first steps of 500.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from xai.methods import LearnedMask

from ..networks import POINTS, classes_of, random_inputs, seeds_of
from ..row import Case, Results, Row, Setting

STEPS = 15


class Recurrent(nn.Module):
    """The paper's LSTM with dense layers on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(72, 40, num_layers=2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(40, 500), nn.ReLU(), nn.Linear(500, 100), nn.ReLU(), nn.Linear(100, 8))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)`` of ``(sample, 1, 720)``."""
        return self.head(self.recurrent(inputs.reshape(len(inputs), 10, 72))[0][:, -1])


def _build(restarts: int, setting: Setting) -> Case:
    torch.manual_seed(0)
    model = Recurrent().eval().to(setting.device, setting.dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    windows = random_inputs(setting, 3 if setting.small else 32, 1, POINTS)
    targets, seeds = classes_of(windows, 8), seeds_of(windows)
    how, starts = LearnedMask(steps=STEPS, restarts=restarts), torch.linspace(0.5, 0.9, restarts).tolist()
    return Case(
        lambda: [how.attribute(model, windows, targets, seeds=seeds)],
        {"mask by mask": {"": lambda: _one_by_one(starts, model, windows, targets)}},
    )


def _one_by_one(starts: list[float], model: nn.Module, inputs: Tensor, targets: Tensor) -> Results:
    """The best of the descents from all starts, of each window."""
    best = []
    with torch.backends.cudnn.flags(enabled=False):  # it knows no backward of an LSTM in evaluation mode
        for signal, target in zip(inputs, targets.tolist(), strict=True):
            runs = [_descended(start, model, signal, target) for start in starts]
            best.append(min(runs, key=lambda run: run[0])[1])
    model.zero_grad()
    return [torch.stack(best)]


def _descended(start: float, model: nn.Module, signal: Tensor, target: int) -> tuple[float, Tensor]:
    mask = torch.full_like(signal, start).requires_grad_()
    optimiser = torch.optim.Adam([mask], lr=0.05)
    for _ in range(STEPS):
        optimiser.zero_grad()
        _objective(model, signal, mask, target).backward()
        optimiser.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    return _objective(model, signal, mask, target).item(), mask.detach()


def _objective(model: nn.Module, signal: Tensor, mask: Tensor, target: int) -> Tensor:
    score = model(((1 - mask) * signal).unsqueeze(0)).softmax(dim=1)[0, target]
    return mask.mean() + 0.1 * mask.diff(dim=1).abs().mean() + score


ROWS = tuple(
    Row(
        f"masks-{restarts}",
        f"learned masks of 32 windows, {STEPS} steps, {restarts} start{'s' * (restarts > 1)}",
        partial(_build, restarts),
        goals={"mask by mask": 20},
        rounding=0.06,
        saves={"mask by mask": 0.9},
    )
    for restarts in (1, 3)
)
