"""A causal LSTM stack run on many copies of its inputs that differ in one interval of time each.

Before its interval a copy equals the original, so it needs no work of its own: one pass carries the
original along, and copies branch off its state where their intervals start. For intervals spread evenly
over time that is half the work of running every copy from the start, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from .arguments import require_starts

ROWS_AT_ONCE = {"cpu": 64, "cuda": 16384}
"""Copies that go through time together, at most: on a CPU their states then stay in a core's cache."""

State = tuple[Tensor, Tensor] | None


def summed_hidden(
    layers: Iterable[nn.LSTM], inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor
) -> Tensor:
    """Last layer's hidden states summed over time, ``(interval, sample, unit)``, without dropout.

    ``inputs`` and ``replacement`` are ``(sample, channel, time)``; copy ``k`` of the inputs takes steps
    ``starts[k]`` to ``stops[k] - 1`` from ``replacement``. ``starts`` and ``stops`` are ``(interval,)``
    int64, with ``0 <= start < time``; an interval with ``stop <= start`` leaves the inputs unchanged.
    """
    require_starts(starts, inputs)
    order = starts.argsort(stable=True)
    together = max(1, ROWS_AT_ONCE.get(inputs.device.type, ROWS_AT_ONCE["cpu"]) // len(inputs))
    with torch.inference_mode():
        sums = torch.cat(list(_blocks(list(layers), inputs, replacement, starts[order], stops[order], together)))
    found = sums.new_empty(sums.shape)  # outside inference mode: callers may differentiate or write into it
    found[order] = sums
    return found


def _blocks(
    layers: Sequence[nn.LSTM], inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor, together: int
) -> Iterator[Tensor]:
    """As `summed_hidden`, for ascending starts: blocks of intervals, each run from where its first one starts."""
    original, replaced = inputs.transpose(1, 2), replacement.transpose(1, 2)
    states: list[State] = [None] * len(layers)
    before = inputs.new_zeros(())
    reached = 0
    for first, until in zip(starts.split(together), stops.split(together), strict=True):
        begin = int(first[0])
        if begin > reached:
            hidden, states = _through(layers, original[:, reached:begin], states)
            before = before + hidden.sum(dim=1)
            reached = begin
        clock = torch.arange(begin, inputs.shape[2], device=first.device)
        inside = ((clock >= first[:, None]) & (clock < until[:, None])).to(inputs.device)
        copies = torch.where(inside[:, None, :, None], replaced[:, begin:], original[:, begin:])
        hidden, _ = _through(layers, copies.flatten(0, 1), [_repeated(state, len(first)) for state in states])
        yield before + hidden.sum(dim=1).unflatten(0, (len(first), len(inputs)))


def _through(layers: Sequence[nn.LSTM], inputs: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
    """Hidden states ``(row, time, unit)`` of the last layer, and every layer's state at the end."""
    ends: list[State] = []
    hidden = inputs
    for layer, state in zip(layers, states, strict=True):
        hidden, end = layer(hidden, state)
        ends.append(end)
    return hidden, ends


def _repeated(state: State, copies: int) -> State:
    """The state of every sample, once for each copy: rows are ordered (interval, sample)."""
    return None if state is None else (state[0].repeat(1, copies, 1), state[1].repeat(1, copies, 1))
