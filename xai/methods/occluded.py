"""Logits of inputs with one window replaced each: by the interval where the model can, else copy by copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from ..layout import fast_layout
from ..protocols import Classifier, IntervalClassifier
from .memory import rows_through
from .windows import Windows

ROWS_AT_ONCE = {"cpu": 2048, "cuda": 16384}
"""Occluded inputs evaluated at once, at most, by device: it bounds the memory."""

Read = Callable[[Tensor], Tensor]
"""What is kept of logits ``(sample, class, *grid)``: a segmenter's, of all copies, are too many to keep."""


def occluded_values(model: Classifier, inputs: Tensor, occluded: Tensor, windows: Windows, read: Read) -> Tensor:
    """What ``read`` keeps of the logits of the whole inputs and of each copy with a window from ``occluded``.

    Returns ``(1 + window, sample, ...)``. ``inputs`` and ``occluded`` are ``(sample, channel, *grid)``. The windows
    lie on that grid or, where time is the scan line of an image, on the image ``(row, column)``.
    """
    if not _takes_intervals(model, inputs):
        return _of_copies(model, inputs, occluded, windows, read)
    if len(windows.grid) == 1:
        logits = _interval_logits(model, inputs, occluded, windows.along(0), rows=_rows(model, inputs))
    else:
        logits = _block_logits(model, inputs, occluded, windows)
    return read(logits.flatten(0, 1)).unflatten(0, logits.shape[:2])


def samples_at_once(model: Classifier, inputs: Tensor, windows: Windows) -> int:
    """How many of the inputs to evaluate together with all their occluded copies, at least 1."""
    return max(1, _rows(model, inputs) // (windows.count + 1))


def _interval_logits(
    model: IntervalClassifier, inputs: Tensor, occluded: Tensor, spans: Sequence[slice], *, rows: int
) -> Tensor:
    """Logits ``(1 + span, sample, class)``; of each copy only what its span changes is run."""
    spans = [slice(0, 0), *spans]
    starts = torch.tensor([span.start for span in spans], device=inputs.device)
    stops = torch.tensor([span.stop for span in spans], device=inputs.device)
    parts = zip(starts.split(rows), stops.split(rows), strict=True)
    return torch.cat([model.interval_logits(inputs, occluded, *part) for part in parts])


def _block_logits(model: IntervalClassifier, inputs: Tensor, occluded: Tensor, windows: Windows) -> Tensor:
    """Logits ``(1 + window, sample, class)``, for blocks of an image that the model reads row by row.

    A block is no interval of time; the rows that it crosses are one, if what replaces them differs from the
    inputs in the block's columns only. So all blocks of the same columns share a replacement, and those of
    other columns are further samples of the same run.
    """
    columns = windows.grid[1]
    crossed = [slice(span.start * columns, span.stop * columns) for span in windows.along(0)]
    rows = _rows(model, inputs)
    together = max(1, rows // (len(inputs) * (len(crossed) + 1)))
    sides = windows.along(1)
    found = []
    for first in range(0, len(sides), together):
        part = sides[first : first + together]
        replacement = torch.cat([_in_columns(inputs, occluded, side, columns) for side in part])
        logits = _interval_logits(model, inputs.repeat(len(part), 1, 1), replacement, crossed, rows=rows)
        found.append(logits.unflatten(1, (len(part), len(inputs))))
    blocks = torch.cat(found, dim=1)
    return torch.cat([blocks[:1, 0], blocks[1:].flatten(0, 1)])


def _in_columns(inputs: Tensor, occluded: Tensor, side: slice, columns: int) -> Tensor:
    """The inputs ``(sample, channel, time)`` with these columns of every row from ``occluded``."""
    inside = torch.zeros(columns, dtype=torch.bool, device=inputs.device)
    inside[side] = True
    return torch.where(inside.repeat(inputs.shape[2] // columns), occluded, inputs)


def _of_copies(model: Classifier, inputs: Tensor, occluded: Tensor, windows: Windows, read: Read) -> Tensor:
    """As `occluded_values`, for any classifier and any grid: each copy is run whole, the whole inputs among them."""
    spans = [None, *windows.slices()]
    together = max(1, _rows(model, inputs) // len(inputs))
    on_grid = occluded.reshape(*inputs.shape[:2], *windows.grid)
    found = []
    for first in range(0, len(spans), together):
        part = spans[first : first + together]
        copies = inputs.expand(len(part), *inputs.shape).clone(memory_format=torch.contiguous_format)
        for copy, span in zip(copies.view(len(part), *on_grid.shape), part, strict=True):
            if span is not None:
                where = (slice(None), slice(None), *span)
                copy[where] = on_grid[where]
        found.append(read(model(fast_layout(copies.flatten(0, 1)))).unflatten(0, (len(part), len(inputs))))
    return torch.cat(found)


def _takes_intervals(model: Classifier, inputs: Tensor) -> TypeGuard[IntervalClassifier]:
    return isinstance(model, IntervalClassifier) and inputs.dim() == 3


def _rows(model: Classifier, inputs: Tensor) -> int:
    most = ROWS_AT_ONCE.get(inputs.device.type, ROWS_AT_ONCE["cpu"])
    # such a model holds a state or a piece of a copy, never all of it
    return most if _takes_intervals(model, inputs) else rows_through(model, inputs, most)
