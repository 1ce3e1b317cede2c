"""Supervoxels: blocks of points that lie close and look alike, in the manner of SLIC."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

ROUNDS = 8
"""Of k-means; blocks hardly move after."""
POINTS_AT_ONCE = 2**16


def supervoxels(values: Tensor, count: int) -> Tensor:
    """Block number of each point ``(*grid)`` int64, from 0 without gaps, of one sample ``(channel, *grid)``.

    At most ``count`` blocks: k-means of position and intensities from centres on a regular grid (after Achanta et
    al., 2012, without their search window and without forcing blocks to hang together). One spacing of the centres
    weighs as much as one standard deviation of every channel. Nothing is drawn, so that equal samples have equal
    blocks. Raises ValueError for a count under 1.
    """
    if count < 1:
        raise ValueError(f"count of supervoxels is {count}; expected 1 or more.")
    grid = tuple(values.shape[1:])
    numbers = centre_counts(grid, count)
    spacing = (prod(grid) / prod(numbers)) ** (1 / len(grid))
    features = point_features(values, spacing)
    along = [(torch.arange(n).double() + 0.5) * length / n - 0.5 for n, length in zip(numbers, grid, strict=True)]
    places = torch.cartesian_prod(*along).view(-1, len(grid)).to(values.device)
    strides = torch.tensor([prod(grid[axis + 1 :]) for axis in range(len(grid))], device=values.device)
    centres = features[(places.long() * strides).sum(dim=1)]
    centres[:, : len(grid)] = places / spacing
    labels = clustered(features, centres)
    return labels.view(grid)


def split(features: Tensor, pieces: int) -> Tensor:
    """Piece number ``(point,)`` from 0 without gaps, at most ``pieces``, of the points of one block.

    ``features (point, feature)`` are those of `point_features`. Centres start far apart: the first is the point
    next to the mean, each further one the point farthest from those before.
    """
    nearest = (features - features.mean(dim=0)).norm(dim=1)
    centres = [features[nearest.argmin()]]
    distance = (features - centres[0]).norm(dim=1)
    for _ in range(min(pieces, len(features)) - 1):
        centres.append(features[distance.argmax()])
        distance = torch.minimum(distance, (features - centres[-1]).norm(dim=1))
    return clustered(features, torch.stack(centres))


def point_features(values: Tensor, spacing: float) -> Tensor:
    """What makes points alike ``(point, axis + channel)``, float64: place in spacings, intensities in deviations.

    ``values (channel, *grid)``; the intensities are divided by the root of the number of channels, so that more
    channels do not weigh more against the place. A constant channel tells nothing apart.
    """
    grid = values.shape[1:]
    axes = torch.meshgrid(*(torch.arange(length, device=values.device) for length in grid), indexing="ij")
    places = torch.stack(axes).flatten(1).double() / spacing
    flat = values.flatten(1).double()
    deviation = flat.std(dim=1, correction=0, keepdim=True)
    intensities = (flat / torch.where(deviation > 0, deviation, 1.0)) / len(values) ** 0.5
    return torch.cat([places, intensities]).T.contiguous()


def clustered(features: Tensor, centres: Tensor) -> Tensor:
    """Cluster number of each of the ``features (point, feature)`` by k-means from these ``centres``, without gaps."""
    for _ in range(ROUNDS):
        labels = _nearest(features, centres)
        sums = torch.zeros_like(centres).index_add_(0, labels, features)
        sizes = torch.bincount(labels, minlength=len(centres)).unsqueeze(1)
        # A centre without points stays where it is.
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return torch.unique(_nearest(features, centres), return_inverse=True)[1]


def centre_counts(grid: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Centres along each axis, as evenly spaced as whole numbers allow, at most ``count`` in all, 1 or more each."""
    numbers = [1] * len(grid)
    left = float(count)
    by_length = sorted(range(len(grid)), key=lambda axis: grid[axis])
    for position, axis in enumerate(by_length):
        rest = by_length[position:]
        spacing = (prod(grid[other] for other in rest) / left) ** (1 / len(rest))
        # The tolerance keeps a quotient that is whole but for rounding.
        numbers[axis] = min(max(1, int(grid[axis] / spacing + 1e-9)), grid[axis])
        left /= numbers[axis]
    return tuple(numbers)


def _nearest(features: Tensor, centres: Tensor) -> Tensor:
    found = [torch.cdist(points, centres).argmin(dim=1) for points in features.split(POINTS_AT_ONCE)]
    return torch.cat(found)
