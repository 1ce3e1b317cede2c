"""How far an attribution moves when the input hardly does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..seeding import uniform
from .perturbation import can_rank


def random_shifts(seeds: Tensor, draws: int, radius: float, like: Tensor) -> Tensor:
    """Uniform shifts ``(sample, draw, channel, *grid)`` in ±``radius``, units of the normalised signal."""
    drawn = uniform(seeds, "max_sensitivity", (draws, *like.shape[1:]))
    return ((2 * drawn - 1) * radius).to(device=like.device, dtype=like.dtype)


def max_sensitivity(
    explain: Callable[[Tensor], Tensor], inputs: Tensor, attributions: Tensor, shifts: Tensor
) -> Tensor:
    """Largest relative change ``(sample,)`` in [0, inf) of the attribution over the shifts of the input.

    ||R(x + shift) - R(x)|| / ||R(x)||, Euclidean norms over all features (Yeh et al., 2019, eq. 3).
    ``explain`` maps inputs ``(sample, channel, *grid)`` to attributions. The maximum grows with the
    number of draws: compare equal numbers only. NaN where the attribution is constant.
    """
    reference = attributions.flatten(1).double()
    changes = [
        (explain(inputs + shifts[:, draw]).flatten(1).double() - reference).norm(dim=1)
        for draw in range(shifts.shape[1])
    ]
    relative = torch.stack(changes).amax(dim=0) / reference.norm(dim=1)
    return relative.masked_fill(~can_rank(attributions), torch.nan)
