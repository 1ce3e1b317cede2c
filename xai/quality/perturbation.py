"""Removing input features: in which order, and by what they are replaced.

A feature is one point of the input, that is one channel at one position of the grid.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Baseline = Literal["zero", "mean", "linear"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)


def descending_ranks(attributions: Tensor) -> Tensor:
    """Rank of each feature ``(sample, feature)``, int64: 0 is the most relevant one of its sample.

    Equal attributions keep the order of the input (first channel, first position first), because maps
    with many exact zeros would otherwise give another curve on every machine.
    """
    order = attributions.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def can_rank(attributions: Tensor) -> Tensor:
    """Samples ``(sample,)`` whose attribution is finite and not constant, so that it orders features."""
    flat = attributions.flatten(1)
    return flat.isfinite().all(dim=1) & (flat.amax(dim=1) > flat.amin(dim=1))


def replace(inputs: Tensor, removed: Tensor, baseline: Baseline) -> Tensor:
    """Inputs ``(sample, channel, *grid)`` with the points ``removed`` (bool, same shape) replaced.

    ``zero`` puts 0, ``mean`` the mean of the sample's channel, ``linear`` what `interpolate` gives.
    Raises ValueError for any other baseline.
    """
    if baseline == "zero":
        return inputs.masked_fill(removed, 0.0)
    if baseline == "mean":
        return torch.where(removed, _channel_mean(inputs), inputs)
    if baseline == "linear":
        return torch.where(removed, interpolate(inputs, ~removed), inputs)
    raise ValueError(f"baseline is {baseline!r}; expected one of {', '.join(BASELINES)}.")


def interpolate(inputs: Tensor, kept: Tensor) -> Tensor:
    """Linear interpolation between the ``kept`` points of each channel, ``(sample, channel, *grid)``.

    On a time axis this is exactly piecewise linear, constant beyond the first and last kept point: the
    noiseless limit of the imputation of Rong et al. (2022) with two neighbours. On a grid of higher rank
    each point is the mean, over the axes along which its line holds a kept point, of the
    interpolation along that axis. A point that no kept point reaches gets the mean of its channel.
    """
    total = torch.zeros_like(inputs)
    reached = torch.zeros_like(inputs)
    for axis in range(2, inputs.ndim):
        values, found = _interpolate_axis(inputs.movedim(axis, -1), kept.movedim(axis, -1))
        total += torch.where(found, values, 0.0).movedim(-1, axis)
        reached += found.movedim(-1, axis)
    return torch.where(reached > 0, total / reached.clamp_min(1), _channel_mean(inputs))


def _interpolate_axis(inputs: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Interpolation along the last axis, and where that axis holds any kept point."""
    length = inputs.shape[-1]
    place = torch.arange(length, device=inputs.device).expand_as(kept)
    before = torch.where(kept, place, -1).cummax(dim=-1).values
    after = torch.where(kept, place, length).flip(-1).cummin(dim=-1).values.flip(-1)
    has_before, has_after = before >= 0, after < length
    left = inputs.gather(-1, before.clamp_min(0))
    right = inputs.gather(-1, after.clamp_max(length - 1))
    weight = (place - before).to(inputs.dtype) / (after - before).clamp_min(1)
    between = left + weight * (right - left)
    values = torch.where(has_before & has_after, between, torch.where(has_before, left, right))
    return values, has_before | has_after


def _channel_mean(inputs: Tensor) -> Tensor:
    means = inputs.flatten(2).mean(dim=2)
    return means.view(*means.shape, *[1] * (inputs.ndim - 2)).expand_as(inputs)
