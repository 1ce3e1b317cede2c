"""Volumes on another grid, by nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def resized(volume: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """``volume (*leading, depth, height, width)`` on a grid of ``size`` (depth, height, width) over the same space.

    A new voxel takes the value at its centre: along each axis index i takes floor((i + 0.5) * old / new).
    """
    for axis, new in zip(range(-len(size), 0), size, strict=True):
        old = volume.shape[axis]
        volume = volume.take((2 * np.arange(new) + 1) * old // (2 * new), axis=axis)
    return volume
