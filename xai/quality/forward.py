"""The explained scalar of many perturbed inputs, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..layout import fast_layout
from ..protocols import Classifier
from ..scores import LOGIT, PROBABILITY, ScoreOperator

SCALARS: tuple[ScoreOperator, ...] = (LOGIT, PROBABILITY)
"""What one forward pass is read as; the last axis of every tensor of scores here."""

Build = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Makes the inputs ``(row, channel, *grid)`` and targets ``(row,)`` of the given row numbers."""


def score_rows(model: Classifier, rows: int, build: Build, batch_size: int) -> Tensor:
    """Logit and probability of the target class, ``(rows, 2)`` float64.

    ``build`` is asked for at most ``batch_size`` rows at a time, so that memory does not grow with rows.
    """
    scores = []
    with torch.inference_mode():
        for chunk in torch.arange(rows).split(batch_size):
            inputs, targets = build(chunk)
            logits = model(fast_layout(inputs)).double()
            scores.append(torch.stack([scalar(logits, targets) for scalar in SCALARS], dim=1))
    return torch.cat(scores)


def score_inputs(model: Classifier, inputs: Tensor, targets: Tensor, batch_size: int) -> Tensor:
    """Logit and probability ``(sample, 2)`` float64 of the inputs as they are."""
    return score_rows(model, len(inputs), lambda rows: (inputs[rows], targets[rows]), batch_size)


def scalar_index(score: ScoreOperator) -> int:
    """Where ``score`` stands on the last axis of the scores."""
    return [scalar.name for scalar in SCALARS].index(score.name)
