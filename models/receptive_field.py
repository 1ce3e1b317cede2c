"""A convolution stack run on many copies of its inputs that differ in one interval of time each.

A position of the last layer sees a short field of the inputs, so an interval changes few positions. Only these
are computed again, from the piece of the inputs that they see; the maximum over the others is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ROWS_AT_ONCE = 64
"""Pieces that pass through the layers together: few enough to stay in a processor's cache."""


@dataclass(frozen=True)
class ReceptiveField:
    """Position ``p`` of the last layer sees the ``width`` time steps from ``p * step`` on."""

    width: int
    step: int

    @classmethod
    def of(cls, first_kernel: int, layers: Iterable[nn.Module]) -> ReceptiveField:
        """The field of an unpadded convolution of ``first_kernel`` steps followed by ``layers``."""
        width, step = first_kernel, 1
        for layer in layers:
            if isinstance(layer, nn.Conv1d):
                width += (layer.kernel_size[0] - 1) * step
            elif isinstance(layer, nn.MaxPool1d):
                width += (int(layer.kernel_size) - 1) * step
                step *= int(layer.kernel_size)
        return cls(width, step)

    def reached(self, starts: Tensor, stops: Tensor, positions: int) -> tuple[Tensor, int]:
        """First position ``(interval,)`` and number of positions that cover all that each interval changes.

        The number is the same for all intervals, so that they run as one batch: that of the longest.
        """
        first = (-((self.width - 1 - starts) // self.step)).clamp(min=0)
        last = ((stops - 1) // self.step).clamp(max=positions - 1)
        count = int((last - first + 1).max().clamp(min=1))
        return first.clamp(max=positions - count), count


def changed_maxima(
    layers: nn.Sequential, field: ReceptiveField, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor
) -> Tensor:
    """Maxima over time of the last layer ``(interval, sample, filter)``, without dropout.

    ``inputs`` and ``replacement`` are ``(sample, channel, time)``; copy ``k`` of the inputs takes steps
    ``starts[k]`` to ``stops[k] - 1`` from ``replacement``. ``starts`` and ``stops`` are ``(interval,)``
    int64, with ``0 <= start < time``; an interval with ``stop <= start`` leaves the inputs unchanged.
    """
    outside = (starts < 0) | (starts >= inputs.shape[2])
    if outside.any():
        raise ValueError(f"starts holds {int(starts[outside][0])}; expected 0 to {inputs.shape[2] - 1}.")
    whole = run_without_dropout(layers, inputs)
    first, count = field.reached(starts, stops, whole.shape[2])
    maxima = _maxima_outside(whole, first, count)
    offsets = torch.arange(field.width + (count - 1) * field.step, device=inputs.device)
    together = max(1, ROWS_AT_ONCE // len(inputs))
    for some in torch.arange(len(starts)).split(together):
        clock = first[some, None] * field.step + offsets
        inside = (clock >= starts[some, None]) & (clock < stops[some, None])
        pieces = torch.where(inside, replacement[:, :, clock], inputs[:, :, clock])
        found = run_without_dropout(layers, pieces.movedim(2, 0).flatten(0, 1)).amax(2)
        maxima[some] = maxima[some].maximum(found.unflatten(0, (-1, len(inputs))))
    return maxima


def run_without_dropout(layers: Iterable[nn.Module], inputs: Tensor) -> Tensor:
    """What the layers make of the inputs in evaluation mode, whatever mode they are in."""
    for layer in layers:
        if not isinstance(layer, nn.Dropout | nn.Dropout1d):
            inputs = layer(inputs)
    return inputs


def _maxima_outside(whole: Tensor, first: Tensor, count: int) -> Tensor:
    """Maxima ``(interval, sample, filter)`` over all positions but ``first[k]`` to ``first[k] + count - 1``."""
    nothing = whole.new_full((*whole.shape[:2], 1), -torch.inf)
    before = torch.cat([nothing, whole.cummax(2).values], dim=2)
    after = torch.cat([whole.flip(2).cummax(2).values.flip(2), nothing], dim=2)
    return before[..., first].maximum(after[..., first + count]).movedim(2, 0).contiguous()
