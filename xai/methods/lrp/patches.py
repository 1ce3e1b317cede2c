"""A convolution at few of its outputs: below a global max pool, relevance sits at one position per channel.

There the inputs that an output sees are gathered, and its messages scattered back, instead of going over the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from .linear_maps import Convolved

SPARSE = 1 / 32
"""Share of outputs with relevance up to which gathering is cheaper than a convolution over the whole grid."""

SKIPPED = 101
"""One output in so many is looked at first: a prime, so that no axis of a grid is always met at the same place."""


@dataclass(frozen=True)
class Patches:
    """A convolution, as a `LinearMap` to ``output`` chosen ones of its outputs.

    ``sample`` and ``channel (output,)`` say which they are; ``cells (output, kernel)`` counts the points of the
    padded grid that they see, through all ``samples``.
    """

    convolution: Convolved
    samples: int
    sample: Tensor
    channel: Tensor
    cells: Tensor

    @classmethod
    def at(cls, convolution: Convolved, chosen: Sequence[Tensor], inputs: Tensor) -> Patches:
        """The map to the outputs at indices ``chosen``: samples, channels, and positions axis by axis."""
        sample, channel, *positions = chosen
        grid, kernel = convolution.grid, convolution.weight.shape[2:]
        cells = sample[:, None]
        for axis, position in enumerate(positions):
            offsets = torch.arange(kernel[axis], device=sample.device) * grid.dilation[axis]
            seen = (position * grid.stride[axis])[:, None] + offsets
            width = inputs.shape[2 + axis] + 2 * grid.padding[axis]
            cells = (cells[:, :, None] * width + seen[:, None]).flatten(1)
        return cls(convolution, len(inputs), sample, channel, cells)

    @property
    def weight(self) -> Tensor:
        """The weights of the convolution."""
        return self.convolution.weight

    @property
    def above(self) -> Tensor:
        """The positive weights of the convolution."""
        return self.convolution.above

    @property
    def below(self) -> Tensor:
        """The negative weights of the convolution."""
        return self.convolution.below

    @property
    def bias(self) -> Tensor:
        """The bias of each chosen output ``(output,)``."""
        return self.convolution.bias.flatten()[self.channel]

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `LinearMap.apply`: the chosen outputs ``(output,)`` of ``inputs (sample, channel, *grid)``."""
        points = self._padded(inputs, 1).movedim(1, -1).flatten(0, -2)
        found = inputs.new_zeros(len(self.cells)) if bias is None else bias.clone()
        for cell, of_cell in zip(self.cells.t(), weight.flatten(2).permute(2, 0, 1), strict=True):
            by_output = of_cell.contiguous().index_select(0, self.channel)
            found += torch.linalg.vecdot(points.index_select(0, cell), by_output)
        return found

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """As `LinearMap.adjoint`, for ``messages (output,)``: every point sums over the outputs that see it."""
        samples, _, *grid = inputs.shape
        padded = [width + 2 * border for width, border in zip(grid, self.convolution.grid.padding, strict=True)]
        order, rows, seen = self._by_point
        of_rows = messages.repeat_interleave(self.cells.shape[1])[order]
        table = weight.flatten(2).transpose(1, 2).flatten(0, 1)  # by channel and cell
        points = torch.arange(samples * prod(padded), device=inputs.device)
        found = embedding_bag(rows, table, torch.searchsorted(seen, points), mode="sum", per_sample_weights=of_rows)
        return self._padded(found.unflatten(0, [samples, *padded]).movedim(-1, 1), -1)

    def by_sample(self, values: Tensor) -> Tensor:
        """As `LinearMap.by_sample`, for ``values (row, output)``."""
        found = torch.zeros(len(values), self.samples, dtype=torch.float64, device=values.device)
        return found.index_add_(1, self.sample, values.double())

    def _padded(self, values: Tensor, sign: int) -> Tensor:
        """``values (..., *grid)`` with the padding of the convolution around them, or without it (``sign`` -1)."""
        widths = [sign * width for width in reversed(self.convolution.grid.padding) for _ in range(2)]
        return pad(values, widths) if any(widths) else values

    @cached_property
    def _by_point(self) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs of a chosen output and a kernel cell in the order of the points they fall on.

        That order, their rows in a table by channel and cell, and their points.
        """
        points, order = self.cells.flatten().sort()
        kernel = self.cells.shape[1]
        rows = (self.channel[:, None] * kernel + torch.arange(kernel, device=self.channel.device)).flatten()
        return order, rows[order], points


def few_outputs(relevance: Tensor) -> list[Tensor] | None:
    """Indices of the outputs that hold ``relevance (rule, sample, channel, *grid)``; None where they are many."""
    some = relevance[0].flatten()[::SKIPPED]
    if some.count_nonzero() > SPARSE * some.numel():
        return None
    held = torch.cat([share.flatten().nonzero()[:, 0] for share in relevance]).unique()
    few = len(held) <= SPARSE * relevance[0].numel()
    return list(torch.unravel_index(held, relevance.shape[1:])) if few else None
