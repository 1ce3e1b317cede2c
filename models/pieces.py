"""Pieces of signals: of copies that differ from an original in one stretch of time each, that stretch alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

Read = Callable[["Piece", Tensor], Tensor]
"""From a piece of the last layer and the original's last layer to rows ``(row, ...)``."""


@dataclass(frozen=True)
class Piece:
    """Of every copy the positions from ``begin`` on, ``(interval,)``; everywhere else it equals the original.

    ``values`` are ``(sample * interval, filter, 1, position)``, signals as images of one row, channels-last: so
    PyTorch convolves short pieces faster than as 1-D signals, for which it has no such format.
    """

    values: Tensor
    begin: tuple[int, ...]

    @property
    def count(self) -> int:
        """Positions of a piece."""
        return self.values.shape[3]

    def within(self, original: Tensor, begin: tuple[int, ...], count: int) -> Tensor:
        """The ``count`` positions of every copy from ``begin`` on, as `values`; what is no piece is the original's."""
        if begin == self.begin and count == self.count:
            return self.values
        found = _slices(original, begin, count)
        by_row, pieces = _rows(found, len(begin)), _rows(self.values, len(begin))
        offsets = [mine - first for mine, first in zip(self.begin, begin, strict=True)]
        row = 0
        for offset, same in groupby(offsets):
            rows = slice(row, row + len(list(same)))
            row, cut = rows.stop, max(0, -offset)
            by_row[:, rows, offset + cut : offset + self.count] = pieces[:, rows, cut : max(cut, count - offset)]
        return found


def mean_over_time(piece: Piece, original: Tensor) -> Tensor:
    """A `Read`: the mean over all positions, ``(row, filter)``: of the piece, and of the original on either side."""
    length, nothing = original.shape[3], torch.zeros_like(original[..., :1])
    before = torch.cat([nothing, original.cumsum(3)], dim=3)
    after = torch.cat([original.flip(3).cumsum(3).flip(3), nothing], dim=3)
    begin = torch.tensor(piece.begin, device=original.device)
    outside = (before[..., begin] + after[..., begin + piece.count])[:, :, 0].transpose(1, 2).flatten(0, 1)
    return (outside + piece.values.sum(3)[:, :, 0]) / length


def all_positions(piece: Piece, original: Tensor) -> Tensor:
    """A `Read`: every position, ``(row, filter * position)``, as `Tensor.flatten` orders them."""
    return piece.within(original, (0,) * len(piece.begin), original.shape[3]).flatten(1)


def image(signals: Tensor) -> Tensor:
    """Signals ``(sample, channel, time)`` as images of one row, channels-last."""
    return signals.detach()[:, :, None].contiguous(memory_format=torch.channels_last)


def _slices(original: Tensor, begin: Sequence[int], count: int) -> Tensor:
    """``count`` positions of the original from each ``begin`` on: ``(sample * interval, filter, 1, count)``."""
    positions = original.permute(0, 2, 3, 1).squeeze(1)
    first = torch.tensor(begin, device=original.device)
    clock = (first[:, None] + torch.arange(count, device=original.device)).flatten()
    picked = positions.contiguous().index_select(1, clock)
    return picked.view(-1, 1, count, original.shape[1]).permute(0, 3, 1, 2)


def _rows(values: Tensor, intervals: int) -> Tensor:
    """As ``(sample, interval, position, filter)``; what is channels-last keeps its memory."""
    return values.permute(0, 2, 3, 1).reshape(-1, intervals, values.shape[3], values.shape[1])


def replaced(original: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Piece:
    """The pieces of the inputs that the intervals replace, all as long as the longest."""
    count = int((stops - starts).max().clamp(1, original.shape[3]))
    firsts = starts.clamp(max=original.shape[3] - count)
    begin = tuple(firsts.tolist())
    clock = firsts[:, None] + torch.arange(count, device=firsts.device)
    inside = ((clock >= starts[:, None]) & (clock < stops[:, None])).repeat(len(original), 1).to(original.device)
    values = torch.where(inside[:, None, None], _slices(replacement, begin, count), _slices(original, begin, count))
    return Piece(values.contiguous(memory_format=torch.channels_last), begin)
