"""Gaussian smoothing of inputs along the axes of their grid."""

from __future__ import annotations

import torch
from torch import Tensor


def smoothed(inputs: Tensor, share: float) -> Tensor:
    """``inputs (sample, channel, *grid)`` under a Gaussian whose deviation is that share of each axis, above 0.

    The weights of what lies within an axis sum to 1, so that no edge fades.
    """
    for axis in range(2, inputs.ndim):
        along = inputs.movedim(axis, -1) @ _weights(inputs.shape[axis], share).to(inputs)
        inputs = along.movedim(-1, axis)
    return inputs


def _weights(points: int, share: float) -> Tensor:
    """What each point gives to each, ``(from, to)``, in float64."""
    places = torch.arange(points, dtype=torch.float64)
    weights = torch.exp(-(((places.unsqueeze(1) - places) / (share * points)) ** 2) / 2)
    return weights / weights.sum(dim=0)
