"""How many copies of an input are evaluated at once: so many that memory does not grow and is used again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..protocols import Classifier

VALUES_AT_ONCE = 2**22
"""Numbers held in the copies of one evaluation; a network's own activations come on top."""
QUICKEST_VALUES = {"cpu": 2**15}
"""Numbers in the signals with which a device is as quick as with more, by device: 151 beats of 216 points.

Of more, most C libraries give what layers pass on back to the system, which zeroes it anew for the next batch: a
sleep network takes 1.3 ms an epoch by 7 epochs at once and 4.6 ms by 512. Where freed memory is kept, 1.4 by 512.
"""
FEWEST_ROWS = 8
"""Of signals, however long: with fewer, what a layer costs by itself is felt."""
ACTIVATION_BYTES = {"cpu": 200 * 10**6, "cuda": 8 * 10**9}
"""Bytes that a network's activations on the volumes of one evaluation may take, by device."""
VOLUME_AXES = 5
_KNOWN_BYTES: WeakKeyDictionary[nn.Module, dict[tuple[torch.Size, torch.dtype], int]] = WeakKeyDictionary()


def rows_at_once(inputs: Tensor, most: int, quickest: Mapping[str, int] = QUICKEST_VALUES) -> int:
    """Rows of the size of one sample of ``inputs (sample, ...)`` to evaluate at once, 1 to ``most``.

    ``quickest``: as `QUICKEST_VALUES`, for a job that is quickest otherwise.
    """
    size, device = inputs.shape[1:].numel(), inputs.device.type
    if device in quickest:
        most = min(most, max(FEWEST_ROWS, quickest[device] // size))
    return max(1, min(most, VALUES_AT_ONCE // size))


def rows_through(model: Classifier, inputs: Tensor, most: int, quickest: Mapping[str, int] = QUICKEST_VALUES) -> int:
    """As `rows_at_once`; of volumes as many as keep the activations of ``model`` within `ACTIVATION_BYTES`, at least 1.

    A network widens a volume by a factor that only it knows, so one volume is run to find out, once for each form.
    Signals and images are small, and are not run.
    """
    rows = rows_at_once(inputs, most, quickest)
    if inputs.ndim < VOLUME_AXES or rows == 1 or not isinstance(model, nn.Module):
        return rows
    allowed = ACTIVATION_BYTES.get(inputs.device.type, ACTIVATION_BYTES["cpu"])
    known, form = _KNOWN_BYTES.setdefault(model, {}), (inputs.shape[1:], inputs.dtype)
    if form not in known:
        known[form] = activation_bytes(model, inputs[:1])
    return max(1, min(rows, allowed // max(1, known[form])))


def parts(count: int, rows: int) -> Iterator[slice]:
    """``count`` samples in order, at most ``rows`` at a time."""
    for first in range(0, count, rows):
        yield slice(first, first + rows)


def activation_bytes(model: nn.Module, inputs: Tensor) -> int:
    """Bytes of what all innermost modules return for ``inputs``: what a gradient keeps; without one it is less."""
    found = []

    def note(module: nn.Module, arguments: object, output: object) -> None:
        if isinstance(output, Tensor):
            found.append(output.nbytes)

    innermost = [module for module in model.modules() if next(module.children(), None) is None]
    hooks = [module.register_forward_hook(note) for module in innermost]
    try:
        with torch.inference_mode():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(found)
