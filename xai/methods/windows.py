"""Windows on the grid of an input: where they lie, and from a value per window to a value per point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor

Extent = int | tuple[int, ...]
"""Points along every axis of the grid, or along each of them."""


@dataclass(frozen=True)
class Windows:
    """Where the windows lie on a grid; per axis its length, the windows' width, stride and number."""

    grid: tuple[int, ...]
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def on(cls, grid: torch.Size, width: Extent, stride: Extent) -> Windows:
        """Windows on a grid; ValueError where they do not fit it."""
        widths = width if isinstance(width, tuple) else (width,) * len(grid)
        strides = stride if isinstance(stride, tuple) else (stride,) * len(grid)
        if len(widths) != len(grid) or len(strides) != len(grid):
            raise ValueError(f"width {width} and stride {stride} do not match the grid {tuple(grid)}.")
        if any(wide > length for wide, length in zip(widths, grid, strict=True)):
            raise ValueError(f"width is {width}; expected at most the grid {tuple(grid)}.")
        counts = tuple(-(-(n - w) // s) + 1 for n, w, s in zip(grid, widths, strides, strict=True))
        return cls(tuple(grid), widths, strides, counts)

    @property
    def count(self) -> int:
        """Number of windows."""
        return prod(self.counts)

    def along(self, axis: int) -> list[slice]:
        """The windows' spans along one axis of the grid, in order."""
        length, width, stride = self.grid[axis], self.widths[axis], self.strides[axis]
        return [slice(k * stride, min(k * stride + width, length)) for k in range(self.counts[axis])]

    def slices(self) -> Iterator[tuple[slice, ...]]:
        """Each window as slices of the grid, in the order of a flattened array of `counts`."""
        return product(*(self.along(axis) for axis in range(len(self.grid))))

    def sums(self, values: Tensor) -> Tensor:
        """From one value per point ``(..., *grid)`` to each window's sum over its points ``(..., *counts)``."""
        for axis in range(len(self.grid)):
            place = values.dim() - len(self.grid) + axis
            spans = [values.movedim(place, 0)[span].sum(0) for span in self.along(axis)]
            values = torch.stack(spans, dim=place)
        return values

    def sum_over_covering(self, values: Tensor) -> Tensor:
        """From one value per window ``(..., *counts)`` to each point's sum over the windows that cover it."""
        for axis, (length, width, stride) in enumerate(
            zip(self.grid, self.widths, self.strides, strict=True), start=values.dim() - len(self.grid)
        ):
            along = values.movedim(axis, -1)
            reach = (along.shape[-1] - 1) * stride + 1
            total = along.new_zeros(*along.shape[:-1], reach + width - 1)
            for offset in range(width):
                total[..., offset : offset + reach : stride] += along
            values = total[..., :length].movedim(-1, axis)
        return values

    def covering(self, like: Tensor) -> Tensor:
        """Number of windows that cover each point ``(*grid)``."""
        return self.sum_over_covering(like.new_ones(self.counts))


def axis_pairs(width: Extent, stride: Extent) -> list[tuple[int, int]]:
    """Width and stride of each axis that is told apart; ValueError where their numbers differ."""
    widths = width if isinstance(width, tuple) else (width,)
    strides = stride if isinstance(stride, tuple) else (stride,)
    axes = max(len(widths), len(strides))
    if {len(widths), len(strides)} - {1, axes}:
        raise ValueError(f"width is {width} and stride {stride}; expected the same number of axes.")
    return list(zip(widths * (axes // len(widths)), strides * (axes // len(strides)), strict=True))


def extent_text(extent: Extent) -> str:
    """``"10"`` or, per axis, ``"5x5"``."""
    return "x".join(str(axis) for axis in (extent if isinstance(extent, tuple) else (extent,)))


def extent_of(text: str) -> Extent:
    """The extent that `extent_text` wrote."""
    axes = tuple(int(axis) for axis in text.split("x"))
    return axes if len(axes) > 1 else axes[0]
