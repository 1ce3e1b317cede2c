"""Batch norm as LRP sees it: part of the linear map beside it where there is one, else left alone.

Folded, its scale and shift are weights and a bias that the rule of the layer shares by; left alone, relevance passes
it unchanged. Only running statistics are used, so that no sample depends on its batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from .linear_maps import Convolved, Dense, LayerMap

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def folded_after(linear: LayerMap, norm: BatchNorm) -> LayerMap:
    """One map for a linear map and the batch norm of its outputs."""
    scale, shift = scale_and_shift(norm)
    bias = linear.bias * scale.view_as(linear.bias) + shift.view_as(linear.bias)
    return replace(linear, weight=_scaled_outputs(linear, scale), bias=bias)


def can_be_folded_before(linear: LayerMap) -> bool:
    """Whether a norm of the inputs can be part of the map: not where it groups them, or pads them.

    Padding zeros come after the norm, so that its shift does not reach the border.
    """
    if isinstance(linear, Convolved):
        return not any(linear.grid.padding) and linear.grid.groups == 1
    return isinstance(linear, Dense)


def folded_before(norm: BatchNorm, linear: LayerMap) -> LayerMap:
    """One map for a batch norm and the linear map of its outputs."""
    scale, shift = scale_and_shift(norm)
    along = [1, -1] + [1] * (linear.weight.dim() - 2)
    added = (linear.weight * shift.view(along)).flatten(1).sum(1)
    return replace(linear, weight=linear.weight * scale.view(along), bias=linear.bias + added.view_as(linear.bias))


def scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What the norm multiplies by and adds, each ``(channel,)``."""
    mean, variance = _statistics(norm)
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach()
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias.detach()


def left_alone(norm: BatchNorm, inputs: Tensor) -> Tensor:
    """The norm of ``inputs (sample, channel, *grid)`` by its running statistics."""
    mean, variance = _statistics(norm)
    return batch_norm(inputs, mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps)


def _statistics(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _scaled_outputs(linear: LayerMap, scale: Tensor) -> Tensor:
    weight = linear.weight
    if isinstance(linear, Dense | Convolved):
        return weight * scale.view([-1] + [1] * (weight.dim() - 1))
    groups = linear.grid.groups
    by_group = weight.unflatten(0, (groups, -1)) * scale.view([groups, 1, -1] + [1] * (weight.dim() - 2))
    return torch.flatten(by_group, 0, 1)
