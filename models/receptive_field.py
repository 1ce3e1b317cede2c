"""A convolution stack run on many copies of its inputs that differ in one interval of time each.

A position of the last layer sees a short field of the inputs, so an interval changes few positions. Only these
are computed again, from the piece of the inputs that they see; the maximum over the others is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from .arguments import require_starts

ROWS_AT_ONCE = 128
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
                pooled = cast(int, layer.kernel_size)
                width += (pooled - 1) * step
                step *= pooled
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
    first: nn.Module,
    layers: Iterable[nn.Module],
    field: ReceptiveField,
    inputs: Tensor,
    replacement: Tensor,
    starts: Tensor,
    stops: Tensor,
) -> Tensor:
    """Maxima over time of the last layer ``(interval, sample, filter)``, without dropout.

    ``first`` is an unpadded convolution; ``layers`` are unpadded `nn.Conv1d`, `nn.MaxPool1d`, `nn.ReLU` and dropout.

    ``inputs`` and ``replacement`` are ``(sample, channel, time)``; copy ``k`` of the inputs takes steps
    ``starts[k]`` to ``stops[k] - 1`` from ``replacement``. ``starts`` and ``stops`` are ``(interval,)``
    int64, with ``0 <= start < time``; an interval with ``stop <= start`` leaves the inputs unchanged.
    """
    require_starts(starts, inputs)
    steps = _as_images(layers)
    whole = _run(first, steps, inputs)
    begin, count = field.reached(starts, stops, whole.shape[2])
    maxima = _maxima_outside(whole, begin, count)
    offsets = torch.arange(field.width + (count - 1) * field.step, device=inputs.device)
    together = max(1, ROWS_AT_ONCE // len(inputs))
    for some in torch.arange(len(starts)).split(together):
        clock = begin[some, None] * field.step + offsets
        inside = (clock >= starts[some, None]) & (clock < stops[some, None])
        pieces = torch.where(inside, replacement[:, :, clock], inputs[:, :, clock])
        found = _run(first, steps, pieces.movedim(2, 0).flatten(0, 1)).amax(2)
        maxima[some] = maxima[some].maximum(found.unflatten(0, (-1, len(inputs))))
    return maxima


def _as_images(layers: Iterable[nn.Module]) -> list[Callable[[Tensor], Tensor]]:
    """The layers in evaluation mode, for signals seen as images of one row ``(row, filter, 1, time)``.

    Channels-last, they run a third faster on short pieces than 1-D layers, for which PyTorch has no such format.
    A ReLU comes after the maximum that follows it, which gives the same.
    """
    steps: list[Callable[[Tensor], Tensor]] = []
    for layer in layers:
        if isinstance(layer, nn.Conv1d):
            weight = layer.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
            steps.append(partial(conv2d, weight=weight, bias=layer.bias))
        elif isinstance(layer, nn.MaxPool1d):
            place = len(steps) - 1 if steps and steps[-1] is torch.relu_ else len(steps)
            steps.insert(place, partial(max_pool2d, kernel_size=(1, layer.kernel_size)))
        elif isinstance(layer, nn.ReLU):
            steps.append(torch.relu_)
    return steps


def _run(first: nn.Module, steps: Iterable[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
    """Outputs ``(row, filter, position)`` of the inputs ``(row, channel, time)``."""
    hidden = first(inputs).unsqueeze(2).contiguous(memory_format=torch.channels_last)
    for step in steps:
        hidden = step(hidden)
    return hidden.squeeze(2)


def _maxima_outside(whole: Tensor, begin: Tensor, count: int) -> Tensor:
    """Maxima ``(interval, sample, filter)`` over all positions but ``begin[k]`` to ``begin[k] + count - 1``."""
    nothing = whole.new_full((*whole.shape[:2], 1), -torch.inf)
    before = torch.cat([nothing, whole.cummax(2).values], dim=2)
    after = torch.cat([whole.flip(2).cummax(2).values.flip(2), nothing], dim=2)
    return before[..., begin].maximum(after[..., begin + count]).movedim(2, 0).contiguous()
