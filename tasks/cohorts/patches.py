"""Boxes cut out of a volume: where they may lie, and how they cover all of it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int, int]


def patch_at(volume: NDArray[Any], corner: NDArray[np.int64], size: Size) -> NDArray[Any]:
    """The box (..., *size) of ``volume`` (..., depth, height, width) whose first voxel is ``corner``."""
    depth, height, width = (slice(int(start), int(start) + side) for start, side in zip(corner, size, strict=True))
    return volume[..., depth, height, width]


def shifted(affine: NDArray[np.float64], corner: NDArray[np.int64]) -> NDArray[np.float64]:
    """The affine of a box that begins at ``corner`` (depth, height, width) of a volume with ``affine`` of (x, y, z)."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ corner[::-1]
    return moved


def corners_on(
    lesions: NDArray[np.integer[Any]], size: Size, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Corners (patch, 3) of at most ``count`` different boxes, each with a voxel of a lesion in it.

    ``lesions`` (depth, height, width): 0, or the lesion's number, from 1. The lesions take turns in a random order. A
    box's middle lies at random up to a quarter of its size away from a voxel of its lesion, or farther where the
    volume ends.
    """
    order = rng.permutation(np.unique(lesions[lesions > 0]))
    corners = []
    for number in np.resize(order, count):
        voxel = rng.choice(np.argwhere(lesions == number))
        reach = np.array(size) // 4
        middle = voxel + rng.integers(-reach, reach + 1)
        corners.append(np.clip(middle - np.array(size) // 2, 0, np.array(lesions.shape) - size))
    return np.unique(np.array(corners, dtype=np.int64).reshape(-1, 3), axis=0)


def corners_free_of(
    mask: NDArray[np.bool_], brain: NDArray[np.bool_], size: Size, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Corners (patch, 3) of ``count`` different boxes without a voxel of ``mask``, their middles in ``brain``.

    Fewer where there are not as many.
    """
    depth, height, width = (n - side + 1 for n, side in zip(mask.shape, size, strict=True))
    middles = patch_at(brain, np.array(size) // 2, (depth, height, width))
    candidates = np.argwhere(middles & (_counts(mask, size) == 0))
    chosen = rng.choice(len(candidates), size=min(count, len(candidates)), replace=False)
    return candidates[np.sort(chosen)]


def tiles(shape: Size, size: Size) -> NDArray[np.int64]:
    """Corners (patch, 3) of the fewest boxes that cover all of a volume, spread evenly; neighbours may overlap.

    Raises ValueError where the volume is smaller than a box.
    """
    if any(side < wanted for side, wanted in zip(shape, size, strict=True)):
        raise ValueError(f"the volume has {shape} voxels; expected {size} or more, the size of a patch.")
    starts = [
        np.linspace(0, side - wanted, -(-side // wanted)).round().astype(np.int64)
        for side, wanted in zip(shape, size, strict=True)
    ]
    return np.array(list(product(*starts)), dtype=np.int64)


def _counts(mask: NDArray[np.bool_], size: Size) -> NDArray[np.int64]:
    """How many voxels of ``mask`` every box of ``size`` holds, by its corner."""
    sums = np.pad(mask.astype(np.int64), ((1, 0),) * 3).cumsum(0).cumsum(1).cumsum(2)
    for axis, side in enumerate(size):
        sums = np.take(sums, range(side, sums.shape[axis]), axis) - np.take(sums, range(sums.shape[axis] - side), axis)
    return sums
