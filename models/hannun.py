"""The 34-layer residual network of Hannun et al. (2019), as Murugesan et al. compare with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .arguments import require_positive, require_rate
from .changed_layers import changed
from .pieces import mean_over_time

KERNEL = 16
WIDER_EVERY = 4
"""Blocks after which the filters double."""


class Hannun(nn.Module):
    """Sixteen residual blocks of two convolutions, a class score at every step that is left, and their mean.

    Inputs are normalised windows ``(sample, channel, time)``; the output is logits ``(sample, class)``. Convolutions
    have 16 steps; the first has ``width`` filters, and every 4 of the ``depth`` blocks double them; every second
    block halves the time. Windows are padded with zeros to a multiple of 256 points, for other depths of ``2 **
    (depth // 2)``, half at either end, because the shortcuts fit for such lengths only; the authors read no others.
    ``dropout`` acts before the second convolution of a block. Convolutions start He-normal. With 32, 16, one channel
    and 8 classes these are 10,467,176 parameters.

    Source of the layers: github.com/awni/ecg. There a record has a label per step; here a window has one, so the
    scores of its steps are averaged: of 720 points, 3 steps.
    Raises ValueError for arguments outside these, and for empty windows.
    """

    def __init__(
        self, channels: int = 1, classes: int = 8, width: int = 32, depth: int = 16, dropout: float = 0.2
    ) -> None:
        super().__init__()
        require_positive(width=width, depth=depth)
        require_rate(dropout)
        self._multiple = 2 ** (depth // 2)
        self.stem = nn.Sequential(*_convolution(channels, width), *_activation(width))
        filters = [width * 2 ** (block // WIDER_EVERY) for block in range(depth)]
        entering = [width, *filters[:-1]]
        self.blocks = nn.Sequential(
            *(
                _Block(before, after, dropout, halves=number % 2 == 1, activated=number == 0)
                for number, (before, after) in enumerate(zip(entering, filters, strict=True))
            )
        )
        self.end = nn.Sequential(*_activation(filters[-1]))
        self.head = nn.Linear(filters[-1], classes)
        self.apply(_start)
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_points)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        # the head is linear: mapping the mean once equals the mean of the steps' scores
        padded = pad(inputs, self._margins(inputs))
        return self.head(self.end(self.blocks(self.stem(padded))).mean(2))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Only what the interval can reach is computed
        again. Dropout is off and no gradient is kept. Raises ValueError where a start lies outside the window.
        """
        _require_points(self, (inputs,))
        layers = [nn.ZeroPad1d(self._margins(inputs)), self.stem, self.blocks, self.end]
        means = changed(layers, inputs, replacement, starts, stops, read=mean_over_time)
        with torch.no_grad():
            return self.head(means)

    def _margins(self, inputs: Tensor) -> tuple[int, int]:
        """Zeros before and after the window."""
        missing = -inputs.shape[2] % self._multiple
        return missing // 2, missing - missing // 2


class _Block(nn.Module):
    """Two convolutions, pre-activated but for the first of the first block, beside a shortcut without weights."""

    joined = False

    def __init__(self, entering: int, leaving: int, dropout: float, halves: bool, activated: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *([] if activated else _activation(entering)),
            *_convolution(entering, leaving, stride=2 if halves else 1),
            *(*_activation(leaving), nn.Dropout(dropout)),
            *_convolution(leaving, leaving),
        )
        self.shortcut = nn.Sequential(
            *([nn.MaxPool1d(2)] if halves else []),
            # filters of zeros: a signal counts as an image of filters by time
            *([nn.ZeroPad2d((0, 0, 0, leaving - entering))] if entering != leaving else []),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.body(inputs) + self.shortcut(inputs)

    def branches(self) -> tuple[nn.Module, ...]:
        return self.body, self.shortcut


def _activation(filters: int) -> tuple[nn.Module, ...]:
    return nn.BatchNorm1d(filters), nn.ReLU()


def _convolution(entering: int, leaving: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """A convolution that keeps the length, or keeps half of it, padded one point more at the end where it must be."""
    missing = KERNEL - stride
    padding = nn.ZeroPad1d((missing // 2, missing - missing // 2))
    return padding, nn.Conv1d(entering, leaving, KERNEL, stride=stride)


def _start(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv1d) and layer.bias is not None:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)


def _require_points(network: Hannun, arguments: tuple[Tensor, ...]) -> None:
    if not arguments[0].shape[-1]:
        raise ValueError("inputs have 0 points; expected 1 or more.")
