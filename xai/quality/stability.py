"""How far an attribution moves when the input hardly does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..methods.memory import VALUES_AT_ONCE, parts
from ..seeding import uniform
from .perturbation import can_rank


def random_shifts(seeds: Tensor, draws: int, radius: float, like: Tensor) -> Tensor:
    """Uniform shifts ``(sample, draw, channel, *grid)`` in ±``radius``, units of the normalised signal."""
    drawn = uniform(seeds, "max_sensitivity", (draws, *like.shape[1:]))
    return ((2 * drawn - 1) * radius).to(device=like.device, dtype=like.dtype)


def max_sensitivity(
    explain: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, attributions: Tensor, shifts: Tensor
) -> Tensor:
    """Largest relative change ``(sample,)`` in [0, inf) of the attribution over the shifts of the input.

    ||R(x + shift) - R(x)|| / ||R(x)||, Euclidean norms over all features (Yeh et al., 2019, eq. 3).
    ``explain`` maps inputs ``(row, channel, *grid)``, and which sample each row is of ``(row,)``, to
    attributions. The maximum grows with the number of draws: compare equal numbers only. NaN where the
    attribution is constant.
    """
    reference = attributions.flatten(1).double()
    largest = torch.zeros(len(inputs), dtype=torch.float64, device=reference.device)
    for drawn in parts(shifts.shape[1], max(1, VALUES_AT_ONCE // inputs.numel())):
        moved = inputs.unsqueeze(1) + shifts[:, drawn]
        samples = torch.arange(len(inputs), device=inputs.device).repeat_interleave(moved.shape[1])
        found = explain(moved.flatten(0, 1), samples).flatten(1).double().unflatten(0, moved.shape[:2])
        largest = torch.maximum(largest, (found - reference.unsqueeze(1)).norm(dim=2).amax(dim=1))
    relative = largest / reference.norm(dim=1)
    return relative.masked_fill(~can_rank(attributions), torch.nan)
