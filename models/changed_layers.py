"""Residual convolutions run on many copies of their inputs that differ in one interval of time each.

A layer changes only where what it sees has changed. The original is run once and every layer's inputs are kept; of a
copy each layer computes the piece that differs, from the piece before and from what surrounded it in the original.
Pieces grow by a kernel with every convolution and shrink with every pool; one that covers all is an ordinary run.

Multiplications for a copy of 720 points that differ in 24: of `ECGCAM` 41 of 202 million, of `ECGNet`'s convolutions
386 of 630, of `Hannun` 144 of 208.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

from .arguments import require_starts
from .pieces import Piece, Read, image, replaced

ROWS_AT_ONCE = 128
"""Pieces that pass through the layers together: few enough to stay in a processor's cache."""


@runtime_checkable
class Branches(Protocol):
    """A module whose branches read the same signal; their outputs are added up, or put one behind the other."""

    joined: bool

    def branches(self) -> Sequence[nn.Module]:
        """The branches, in the order in which they are joined."""
        ...


def changed(
    layers: Sequence[nn.Module],
    inputs: Tensor,
    replacement: Tensor,
    starts: Tensor,
    stops: Tensor,
    read: Read,
) -> Tensor:
    """What ``read`` makes of the last layer ``(interval, sample, ...)``, without dropout; no gradient is kept.

    ``layers`` are `nn.Conv1d`, `nn.MaxPool1d`, `nn.BatchNorm1d`, `nn.ReLU`, `nn.ZeroPad1d` before a convolution,
    `nn.ZeroPad2d` that adds filters, dropout, and sequences and `Branches` of these; batch norms use their running
    statistics.

    ``inputs`` and ``replacement`` are ``(sample, channel, time)``; copy ``k`` of the inputs takes steps
    ``starts[k]`` to ``stops[k] - 1`` from ``replacement``. ``starts`` and ``stops`` are ``(interval,)`` int64, with
    ``0 <= start < time``; an interval with ``stop <= start`` leaves the inputs unchanged.
    Raises ValueError where a start lies outside the window, and for other layers.
    """
    require_starts(starts, inputs)
    with torch.no_grad():
        network = _Chain.of(layers)
        original, other = image(inputs), image(replacement)
        last = network.whole(original)
        together = max(1, ROWS_AT_ONCE // len(inputs))
        found = []
        for some in zip(starts.split(together), stops.split(together), strict=True):
            piece = network.piece(replaced(original, other, *some))
            found.append(read(piece, last).unflatten(0, (len(inputs), len(piece.begin))).transpose(0, 1))
        return torch.cat(found)


class _Operation(Protocol):
    """A layer in evaluation mode. ``whole`` runs the original, once; then ``piece`` runs pieces of copies."""

    def whole(self, original: Tensor) -> Tensor:
        """The outputs ``(sample, filter, 1, position)``; what `piece` needs of the original is kept."""
        ...

    def piece(self, piece: Piece) -> Piece:
        """The piece of the outputs that a piece of the inputs changes."""
        ...


class _Sliding:
    """A convolution or a pool: a position sees ``kernel`` positions from ``stride`` times its own on, less ``padding``.

    ``padding`` zeros are put at either end, first and last.
    """

    def __init__(
        self, run: Callable[[Tensor], Tensor], kernel: int, stride: int, padding: tuple[int, int] = (0, 0)
    ) -> None:
        self._run = run
        self._kernel, self._stride, self._padding = kernel, stride, padding

    def whole(self, original: Tensor) -> Tensor:
        self._padded = pad(original, self._padding).contiguous(memory_format=torch.channels_last)
        outputs = self._run(self._padded)
        self._positions = outputs.shape[3]
        return outputs

    def piece(self, piece: Piece) -> Piece:
        shifted = Piece(piece.values, tuple(begin + self._padding[0] for begin in piece.begin))
        first, count = self._reached(shifted)
        begin = tuple(position * self._stride for position in first)
        seen = shifted.within(self._padded, begin, (count - 1) * self._stride + self._kernel)
        return Piece(self._run(seen), first)

    def _reached(self, piece: Piece) -> tuple[tuple[int, ...], int]:
        """First position of each interval and number of positions that cover all that the piece changes."""
        first = [max(0, -(-(begin - self._kernel + 1) // self._stride)) for begin in piece.begin]
        last = [min(self._positions - 1, (begin + piece.count - 1) // self._stride) for begin in piece.begin]
        count = max(1, max(end - start + 1 for start, end in zip(first, last, strict=True)))
        return tuple(min(start, self._positions - count) for start in first), count


class _Pointwise:
    """A layer that changes every position by itself, into a new tensor."""

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self._run = run

    def whole(self, original: Tensor) -> Tensor:
        return self._run(original)

    def piece(self, piece: Piece) -> Piece:
        return Piece(self._run(piece.values), piece.begin)


class _Join:
    """Branches over the same signal; pieces of different lengths are brought to the longest by the original."""

    def __init__(self, branches: Sequence[_Operation], joined: bool) -> None:
        self._branches, self._joined = branches, joined

    def whole(self, original: Tensor) -> Tensor:
        self._outputs = [branch.whole(original) for branch in self._branches]
        return self._together(self._outputs)

    def piece(self, piece: Piece) -> Piece:
        pieces = [branch.piece(piece) for branch in self._branches]
        first = [min(begins) for begins in zip(*(each.begin for each in pieces), strict=True)]
        last = [max(ends) for ends in zip(*([b + each.count for b in each.begin] for each in pieces), strict=True)]
        count = max(end - start for start, end in zip(first, last, strict=True))
        begin = tuple(min(start, self._outputs[0].shape[3] - count) for start in first)
        found = [each.within(whole, begin, count) for each, whole in zip(pieces, self._outputs, strict=True)]
        return Piece(self._together(found), begin)

    def _together(self, found: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(found), dim=1) if self._joined else sum(found[1:], found[0])


class _Chain:
    """Layers one after the other."""

    def __init__(self, operations: Sequence[_Operation]) -> None:
        self._operations = operations

    @classmethod
    def of(cls, layers: Sequence[nn.Module]) -> _Chain:
        """The layers; a norm goes into the convolution before it, a ReLU into either, a padding into the one after."""
        waiting = [layer for layer in _flat(layers) if not isinstance(layer, _UNUSED)]
        operations: list[_Operation] = []
        for layer in waiting:
            _require_plain(layer)
        while waiting:
            layer = waiting.pop(0)
            if isinstance(layer, nn.ZeroPad1d | nn.Conv1d):
                operations.append(_convolution(layer, waiting))
            elif isinstance(layer, nn.MaxPool1d):
                operations.append(_pool(layer))
            elif isinstance(layer, nn.BatchNorm1d):
                operations.append(_norm(layer, waiting))
            elif isinstance(layer, nn.ReLU):
                operations.append(_Pointwise(torch.relu))
            elif isinstance(layer, nn.ZeroPad2d):
                operations.append(_more_filters(layer))
            elif isinstance(layer, Branches):
                operations.append(_Join([cls.of([branch]) for branch in layer.branches()], layer.joined))
            else:
                raise ValueError(f"A layer is a {type(layer).__name__}, which does not go by pieces.")
        return cls(operations)

    def whole(self, original: Tensor) -> Tensor:
        for operation in self._operations:
            original = operation.whole(original)
        return original

    def piece(self, piece: Piece) -> Piece:
        for operation in self._operations:
            piece = operation.piece(piece)
        return piece


_UNUSED = (nn.Dropout, nn.Dropout1d, nn.Identity)
"""What does nothing in evaluation mode."""
_PLAIN: dict[type[nn.Module], dict[str, object]] = {
    nn.Conv1d: {"dilation": (1,), "groups": 1, "padding_mode": "zeros"},
    nn.MaxPool1d: {"padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False},
    nn.BatchNorm1d: {"affine": True, "track_running_stats": True},
}
"""The settings with which layers go by pieces."""


def _require_plain(layer: nn.Module) -> None:
    for name, expected in _PLAIN.get(type(layer), {}).items():
        found = getattr(layer, name)
        if found != expected:
            raise ValueError(f"A {type(layer).__name__} has {name} {found!r}; expected {expected!r} to go by pieces.")


def _flat(layers: Sequence[nn.Module]) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(list(layer))
        else:
            yield layer


def _convolution(layer: nn.Module, following: list[nn.Module]) -> _Sliding:
    """A convolution, or paddings and one, with the norm and the ReLU that follow, which it takes from the list."""
    before = after = 0
    while isinstance(layer, nn.ZeroPad1d):
        before, after = before + layer.padding[0], after + layer.padding[1]
        layer = following.pop(0) if following else nn.Identity()
    if not isinstance(layer, nn.Conv1d):
        raise ValueError(f"A ZeroPad1d comes before a {type(layer).__name__}; expected a Conv1d.")
    weight, bias = layer.weight, layer.bias
    if following and isinstance(following[0], nn.BatchNorm1d):
        scale, shift = _scale_and_shift(following.pop(0))
        weight = weight * scale[:, None, None]
        bias = shift if bias is None else bias * scale + shift
    taps = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    if isinstance(layer.padding, str):
        raise ValueError(f"A Conv1d has padding {layer.padding!r}; expected a number to go by pieces.")
    stride, added = layer.stride[0], layer.padding[0]
    rectified = _takes_relu(following)

    def run(seen: Tensor) -> Tensor:
        found = conv2d(seen, taps, bias, stride=(1, stride))
        return found.relu_() if rectified else found

    return _Sliding(run, layer.kernel_size[0], stride, (before + added, after + added))


def _pool(layer: nn.MaxPool1d) -> _Sliding:
    size, stride = cast(int, layer.kernel_size), cast(int, layer.stride)
    return _Sliding(lambda seen: max_pool2d(seen, (1, size), (1, stride)), size, stride)


def _norm(layer: nn.BatchNorm1d, following: list[nn.Module]) -> _Pointwise:
    """A norm with the ReLU that follows."""
    scale, shift = (values[:, None, None] for values in _scale_and_shift(layer))
    rectified = _takes_relu(following)

    def run(values: Tensor) -> Tensor:
        found = torch.addcmul(shift, values, scale)
        return found.relu_() if rectified else found

    return _Pointwise(run)


def _more_filters(layer: nn.ZeroPad2d) -> _Pointwise:
    """Filters of zeros; a `nn.ZeroPad2d` sees a signal as an image of filters by time."""
    left, right, top, bottom = layer.padding
    if left or right:
        raise ValueError(f"A ZeroPad2d pads time by {left} and {right}; expected filters only.")
    return _Pointwise(lambda values: pad(values, (0, 0, 0, 0, top, bottom)))


def _scale_and_shift(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm in evaluation mode multiplies and adds, each ``(filter,)``."""
    norm = cast(nn.BatchNorm1d, layer)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return scale, norm.bias - mean * scale


def _takes_relu(following: list[nn.Module]) -> bool:
    """Whether a ReLU comes next; it is taken from the list."""
    found = bool(following) and isinstance(following[0], nn.ReLU)
    if found:
        following.pop(0)
    return found
