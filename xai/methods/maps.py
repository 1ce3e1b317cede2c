"""A map over a layer's columns brought to the points of the input, and the networks behind a mean of members."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..protocols import Classifier, ColumnNetwork, MeanOfMembers

_UPSAMPLING = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""By the axes of the grid."""


def mean_map(model: Classifier, inputs: Tensor, of_member: Callable[[Classifier], Tensor]) -> Tensor:
    """The mean over the model's members of their maps ``(sample, 1, *grid)``, in the shape of ``inputs``."""
    members = model.averaged() if isinstance(model, MeanOfMembers) else [model]
    found = torch.stack([of_member(member) for member in members])
    return found.mean(dim=0).expand_as(inputs).contiguous()


def upsampled(model: Classifier, heat: Tensor, grid: torch.Size) -> Tensor:
    """A map ``(sample, 1, *columns)`` on the grid of the input, ``(sample, 1, *grid)``, by linear interpolation.

    A network that knows where its last columns lie, as one that pads its inputs does, is asked about those; columns of
    other layers and networks are taken to divide the grid evenly.
    """
    if isinstance(model, ColumnNetwork):
        placed = model.columns_to_points(heat.squeeze(1))
        if placed.shape[1:] == grid:
            return placed.unsqueeze(1)
    return functional.interpolate(heat, size=tuple(grid), mode=_UPSAMPLING[len(grid)], align_corners=False)
