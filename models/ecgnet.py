"""ECGNet of Murugesan et al. (2018): residual convolutions and an LSTM side by side, then a perceptron."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .arguments import require_positive, require_rate
from .changed_layers import changed
from .ecg_lstm import POINTS, LastStep, perceptron
from .pieces import all_positions
from .residual import ResidualUnit

INCEPTION = (15, 17, 19, 21)
"""Kernels side by side that read the signal first; each has a quarter of the filters."""
WIDER_EVERY = 4
"""Units after which ``width`` filters are added."""


class ECGNet(nn.Module):
    """Two seconds of one lead to a rhythm.

    Inputs are normalised windows ``(sample, channel, time)``; the output is logits ``(sample, class)``. ``stem``:
    four convolutions side by side, batch norm, ReLU. ``units``: `ResidualUnit` one after the other; unit ``i``,
    counted from 1, has ``width * (1 + i // 4)`` filters and halves the time where ``i`` is odd. ``norm``: a batch
    norm. Its values, and the last output of `LastStep` over the same window, enter the `perceptron`.

    With ``width`` 64, ``depth`` 16 units, 40 ``units`` in the LSTM, one channel, 8 classes and a ``window`` of 720
    points these are 17,440,304 parameters. ``window`` decides how many columns enter the perceptron; windows of
    other lengths pass if they are a multiple of 72 points and leave as many. ``dropout`` acts before the units'
    convolutions.

    Source of the layers: paper 2, section II-A1, and its authors' code where the paper is silent.
    Raises ValueError for arguments outside these, and for windows of other lengths.
    """

    def __init__(
        self,
        channels: int = 1,
        classes: int = 8,
        width: int = 64,
        depth: int = 16,
        units: int = 40,
        dropout: float = 0.5,
        window: int = 720,
        legacy_linear_fc: bool = False,
    ) -> None:
        super().__init__()
        require_positive(depth=depth, units=units)
        require_rate(dropout)
        if width < 1 or width % len(INCEPTION):
            raise ValueError(f"width is {width}; expected a multiple of {len(INCEPTION)}.")
        self._shrinks = 2 ** ((depth + 1) // 2)
        self._columns = window // self._shrinks
        if window % POINTS or not self._columns:
            raise ValueError(
                f"window is {window}; expected a multiple of {POINTS} of at least {self._shrinks} points for depth "
                f"{depth}."
            )
        self.stem = nn.Sequential(_Inception(channels, width), nn.BatchNorm1d(width), nn.ReLU())
        filters = [width * (1 + unit // WIDER_EVERY) for unit in range(depth + 1)]
        self.units = nn.Sequential(
            *(
                ResidualUnit(filters[unit - 1], filters[unit], dropout, pools=unit % 2 == 1, activated=unit == 1)
                for unit in range(1, depth + 1)
            )
        )
        self.norm = nn.BatchNorm1d(filters[-1])
        self.recurrent = LastStep(channels, units, layers=2)
        self.head = perceptron(filters[-1] * self._columns + units, classes, legacy_linear_fc)
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_the_window)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        columns = self.norm(self.units(self.stem(inputs)))
        return self.head(torch.cat([columns.flatten(1), self.recurrent(inputs)], dim=1))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Of the convolutions only what the interval can
        reach is computed again. Dropout is off and no gradient is kept. Raises ValueError where a start lies outside
        the window.
        """
        _require_the_window(self, (inputs,))
        layers = [self.stem, self.units, self.norm]
        columns = changed(layers, inputs, replacement, starts, stops, read=all_positions)
        with torch.no_grad():
            last = self.recurrent.of_intervals(inputs, replacement, starts, stops)
            return self.head(torch.cat([columns, last], dim=2))


class _Inception(nn.Module):
    """Convolutions of several kernels over the same signal, one behind the other: ``(sample, width, time)``."""

    joined = True

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        filters = width // len(INCEPTION)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, filters, kernel, padding=kernel // 2) for kernel in INCEPTION
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([convolution(inputs) for convolution in self.convolutions], dim=1)

    def branches(self) -> tuple[nn.Module, ...]:
        return tuple(self.convolutions)


def _require_the_window(network: ECGNet, arguments: tuple[Tensor, ...]) -> None:
    points = arguments[0].shape[-1]
    if points % POINTS or points // network._shrinks != network._columns:
        shortest = network._columns * network._shrinks
        raise ValueError(
            f"inputs have {points} points; expected a multiple of {POINTS} from {shortest} to "
            f"{shortest + network._shrinks - 1}."
        )
