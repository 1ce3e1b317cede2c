"""Modality ablation: what a classifier loses when one channel is replaced by values that say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Literal, get_args

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from ..seeding import normal, uniform
from .memory import rows_at_once

Kind = Literal["zero", "mean", "line_noise"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ROWS_AT_ONCE = 1024
"""Inputs evaluated at once, at most: it bounds the memory."""


@dataclass(frozen=True)
class Ablation:
    """Replaces a channel whole: by ``"zero"``, by the ``"mean"`` it has in the sample, or by ``"line_noise"``.

    Line noise is what an electrode off the skin records (Ellis et al., 2021, reference 8): the hum of the ``mains``
    (hertz) at a random phase and white noise of equal power, together of mean zero and the standard deviation
    of the sample's channel. At a sampling ``rate`` (hertz) under twice the mains the hum folds back, as it does in
    a recorder without a filter.

    Raises ValueError for an unknown kind, and for a rate or mains that is not positive.
    """

    kind: Kind
    rate: float = 100.0
    mains: float = 50.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; expected one of {KINDS}.")
        if not (self.rate > 0 and self.mains > 0):
            raise ValueError(f"rate is {self.rate} and mains {self.mains}; expected positive hertz.")

    @property
    def name(self) -> str:
        """``ablation_<kind>``."""
        return f"ablation_{self.kind}"

    def ablate(self, inputs: Tensor, channel: int, seeds: Tensor) -> Tensor:
        """A copy of ``inputs (sample, channel, time)`` with one channel replaced; noise by ``seeds (sample,)`` only."""
        copy = inputs.detach().clone()
        if self.kind == "zero":
            copy[:, channel] = 0
        elif self.kind == "mean":
            copy[:, channel] = inputs[:, channel].mean(dim=1, keepdim=True)
        else:
            scale = inputs[:, channel].std(dim=1, keepdim=True, correction=0)
            copy[:, channel] = scale * self._line_noise(inputs.shape[2], channel, seeds).to(inputs)
        return copy

    def _line_noise(self, steps: int, channel: int, seeds: Tensor) -> Tensor:
        """``(sample, time)`` of mean 0 and standard deviation 1."""
        phase = uniform(seeds, f"line_noise_phase_{channel}", (1,)).double()
        seconds = torch.arange(steps, dtype=torch.float64, device=seeds.device) / self.rate
        hum = torch.sin(2 * pi * (self.mains * seconds + phase))
        values = hum + normal(seeds, f"line_noise_{channel}", (steps,)).double() * 0.5**0.5
        values = values - values.mean(dim=1, keepdim=True)
        return values / values.std(dim=1, keepdim=True, correction=0)


@torch.no_grad()
def ablated_logits(model: Classifier, inputs: Tensor, ablation: Ablation, seeds: Tensor) -> Tensor:
    """Logits ``(1 + channel, sample, class)`` of inputs ``(sample, channel, time)``, whole and without each channel."""
    rows = rows_at_once(inputs, ROWS_AT_ONCE)
    found = []
    for part, numbers in zip(inputs.split(rows), seeds.split(rows), strict=True):
        copies = (ablation.ablate(part, channel, numbers) for channel in range(inputs.shape[1]))
        found.append(torch.stack([model(part), *(model(copy) for copy in copies)]))
    return torch.cat(found, dim=1)


def local_effects(logits: Tensor, targets: Tensor, score: ScoreOperator = LOGIT) -> Tensor:
    """Fall of the target's score ``(sample, channel)`` without each channel, from what `ablated_logits` gives.

    Higher where the channel spoke more for the class ``targets (sample,)``.
    """
    scores = torch.stack([score(part, targets) for part in logits])
    return (scores[0] - scores[1:]).T
