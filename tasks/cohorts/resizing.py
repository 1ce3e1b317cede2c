"""Volumes from one grid to another by the nearest voxel, as Tjoa et al. resize maps, labels and relevance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def resized(volume: NDArray[Any], size: tuple[int, int, int]) -> NDArray[Any]:
    """``volume`` (..., depth, height, width) on a grid of ``size`` (depth, height, width) over the same space.

    Both grids fill the same box, so that nothing shifts: a new voxel takes the value of the old voxel in which its
    centre lies, and of two at equal distance the farther one. Works both ways; where a side grows by a whole factor
    and shrinks back, nothing is lost. Values are taken, never mixed: a mask stays a mask.
    """
    depth, height, width = (nearest(old, new) for old, new in zip(volume.shape[-3:], size, strict=True))
    return volume[..., depth[:, None, None], height[:, None], width]


def nearest(old: int, new: int) -> NDArray[np.int64]:
    """For each of ``new`` voxels along an axis the number of the one of ``old``: floor((i + 1/2) old / new).

    Counted in whole numbers, so that no rounding decides.
    """
    return (2 * np.arange(new) + 1) * old // (2 * new)
