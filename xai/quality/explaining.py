"""Explaining again, for the metrics that change the input or the network."""

from __future__ import annotations

import torch
from torch import Tensor

from ..protocols import Classifier, Explainer
from ..scores import ScoreOperator


def attribute(
    explainer: Explainer,
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    *,
    score: ScoreOperator,
    seeds: Tensor,
    batch_size: int,
) -> Tensor:
    """Attributions ``(sample, channel, *grid)``, at most ``batch_size`` samples at a time."""
    parts = [
        explainer.attribute(model, inputs[rows], targets[rows], score=score, seeds=seeds[rows]).detach()
        for rows in torch.arange(len(inputs), device=inputs.device).split(batch_size)
    ]
    return torch.cat(parts)
