"""What every walk of relevance yields, whatever the network: how it starts, and what it brings down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .leak import Leak
from .linear_maps import summed

Score = Callable[[Tensor, Tensor], Tensor]
"""The explained scalar ``(sample,)`` of a network's outputs ``(sample, ...)`` and targets ``(sample,)``.

It must be differentiable; a `ScoreOperator` is one, the sum of a segmentation map over a lesion another.
"""

SCORE = "score"
"""What stands above the network, in accounts and for filters."""

VALUES_AT_ONCE = {"cpu": 2**23, "cuda": 2**27}
"""Values of one layer held at once, at most, for all samples and rules, by device."""


@dataclass(frozen=True)
class ScorePass:
    """How the explained ``score (sample,)`` becomes relevance of the outputs, ``leaving (sample, ...)``."""

    score: Tensor
    leaving: Tensor

    @classmethod
    def down(cls, outputs: Tensor, targets: Tensor, score: Score) -> ScorePass:
        """The terms of the score's tangent at ``outputs (sample, ...)``: each output times its derivative."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = outputs.clone().requires_grad_()
            value = score(leaf, targets.clone())
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        return cls(value.detach(), slope * outputs)


def score_leak(starts: Sequence[ScorePass], leaving: Tensor) -> Leak:
    """The account of the score of each rule: the tangent's intercept counts as bias.

    ``leaving (rule, sample, ...)`` is what filters have left of the relevance of the outputs.
    """
    entering = torch.stack([start.score.double() for start in starts])
    handed, left = summed(torch.stack([start.leaving for start in starts])), summed(leaving)
    return Leak(SCORE, entering, left, entering - handed, torch.zeros_like(left), handed - left)


@dataclass(frozen=True)
class Descent:
    """The way of the relevance of some rules, at ``places`` of the list asked for, through some samples.

    ``relevance (rule, sample, ...)`` is that of the inputs; ``leaks`` is the account from the score down, empty
    where none was asked for.
    """

    places: Sequence[int]
    first_sample: int
    relevance: Tensor
    leaks: Sequence[Leak]


def samples_at_once(device: torch.device, values: int) -> int:
    """How many samples to take at once, where one fills a layer with so many values."""
    return max(1, VALUES_AT_ONCE.get(device.type, VALUES_AT_ONCE["cpu"]) // values)
