"""A causal LSTM stack run on many copies of its inputs that differ in one interval of time each.

Before its interval a copy equals the original, so it needs no work of its own: one pass carries the
original along, and a copy branches off its state where its interval starts. For intervals spread evenly
over time that is half the work of running every copy from the start, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .arguments import require_starts


def summed_hidden(
    layers: Iterable[nn.LSTM], inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor
) -> Tensor:
    """Last layer's hidden states summed over time, ``(interval, sample, unit)``, without dropout.

    ``inputs`` and ``replacement`` are ``(sample, channel, time)``; copy ``k`` of the inputs takes steps
    ``starts[k]`` to ``stops[k] - 1`` from ``replacement``. ``starts`` and ``stops`` are ``(interval,)``
    int64, with ``0 <= start < time``; an interval with ``stop <= start`` leaves the inputs unchanged.
    """
    samples = len(inputs)
    require_starts(starts, inputs)
    order = starts.argsort(stable=True)
    with torch.inference_mode():
        rows = samples * (len(starts) + 1)
        stack = [_LayerRows(layer, rows, first=depth == 0) for depth, layer in enumerate(layers)]
        sums = _run(stack, inputs, replacement, starts[order], stops[order])
    found = sums.new_empty(sums.shape)  # outside inference mode: callers may differentiate or write into it
    found[order] = sums
    return found


def _run(stack: list[_LayerRows], inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
    """As `summed_hidden`, for ascending starts. Rows are ordered (interval, sample), the original first."""
    samples, _, steps = inputs.shape
    original, replaced = inputs.permute(2, 0, 1), replacement.permute(2, 0, 1)
    stops = torch.cat([stops.new_zeros(1), stops]).to(inputs.device)
    sums = torch.zeros_like(stack[-1].cell)
    clock = torch.arange(steps, device=starts.device)
    branched = torch.searchsorted(starts, clock, right=True).tolist()
    first = samples
    for step in range(steps):
        rows = samples * (branched[step] + 1)
        if rows > first:
            for tensor in (sums, *(state for layer in stack for state in layer.states)):
                tensor[first:rows].unflatten(0, (-1, samples)).copy_(tensor[:samples])
        inside = (stops[: branched[step] + 1] > step)[:, None, None]
        hidden = torch.where(inside, replaced[step], original[step]).flatten(0, 1)
        for layer in stack:
            hidden = layer.advance(hidden)
        sums[:rows].add_(hidden)
        first = rows
    # `advance` hands out doubled hidden states
    return sums.mul_(0.5).unflatten(0, (-1, samples))[1:]


class _LayerRows:
    """One LSTM layer and the state of every row.

    One matrix product makes all gates of a step, from rows that hold hidden state, layer input and a one
    for the bias. The gates need only one pass of tanh, because ``sigmoid(z) = (1 + tanh(z / 2)) / 2``:
    the halves go into the weights, and hidden states are kept doubled, ``2 h = (1 + tanh(o / 2)) tanh(c)``,
    which saves another.
    """

    def __init__(self, layer: nn.LSTM, rows: int, first: bool) -> None:
        units, width = layer.hidden_size, layer.input_size
        from_input, from_hidden, *biases = layer.all_weights[0]
        bias = biases[0] + biases[1]
        halves = bias.new_tensor([0.5, 0.5, 1.0, 0.5]).repeat_interleave(units)  # input, forget, cell, output
        input_scale = 1.0 if first else 0.5  # the first layer alone is fed plain inputs
        weights = torch.cat([from_hidden.t() * 0.5, from_input.t() * input_scale, bias[None]])
        self.weights = (weights * halves).contiguous()
        self.units = units
        self.feed = bias.new_zeros(rows, units + width + 1)
        self.feed[:, -1] = 1.0
        self.cell = bias.new_zeros(rows, units)
        self.gates = bias.new_empty(rows, 4 * units)
        self.scratch = bias.new_empty(rows, units)
        self.states = (self.feed[:, :units], self.cell)

    def advance(self, inputs: Tensor) -> Tensor:
        """One step of the first ``len(inputs)`` rows; their doubled hidden states ``(row, unit)``."""
        rows = len(inputs)
        feed, cell, squashed = self.feed[:rows], self.cell[:rows], self.scratch[:rows]
        hidden = feed[:, : self.units]
        feed[:, self.units : -1] = inputs
        gates = torch.mm(feed, self.weights, out=self.gates[:rows]).tanh_()
        enter, keep, new, leave = gates.chunk(4, dim=1)
        cell.addcmul_(cell, keep)
        new.addcmul_(new, enter)
        cell.add_(new).mul_(0.5)
        torch.tanh(cell, out=squashed)
        return torch.addcmul(squashed, squashed, leave, out=hidden)
