"""How concentrated an attribution is."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


def entropy(attributions: Tensor) -> Tensor:
    """Entropy ``(sample,)`` in nats of the shares of absolute attribution; NaN where all are 0."""
    magnitude = attributions.flatten(1).double().abs()
    shares = magnitude / magnitude.sum(dim=1, keepdim=True)
    return -torch.xlogy(shares, shares).sum(dim=1)


def complexity(attributions: Tensor) -> Tensor:
    """Entropy over its largest possible value ln n: 0 is one point, 1 evenly spread; ``(sample,)``.

    The division makes grids of different resolution comparable (Bhatt et al., 2020, without it).
    NaN where all attributions are 0 and where there is one feature only.
    """
    features = attributions[0].numel()
    if features < 2:
        return torch.full((len(attributions),), torch.nan, dtype=torch.float64, device=attributions.device)
    return entropy(attributions) / log(features)


def gini(attributions: Tensor) -> Tensor:
    """Gini index ``(sample,)`` of the absolute attributions: 0 evenly spread, 1 - 1/n one point.

    NaN where all are 0 (Chalasani et al., 2020).
    """
    magnitude = attributions.flatten(1).double().abs().sort(dim=1).values
    features = magnitude.shape[1]
    weights = 2 * torch.arange(1, features + 1, device=magnitude.device) - features - 1
    return (weights * magnitude).sum(dim=1) / (features * magnitude.sum(dim=1))
