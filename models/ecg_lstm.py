"""The recurrent network of Murugesan et al. (2018): a window in steps of 72 points, an LSTM, a perceptron."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .arguments import require_positive, require_rate, require_starts

POINTS = 72
"""Of one step: 720 points are 10 steps, as the paper prints."""
DENSE = (500, 100)
"""Units of the perceptron's hidden layers."""
ROWS_AT_ONCE = 1024
"""Copies of an input that pass through the LSTM together, at most."""


class LastStep(nn.Module):
    """A stacked LSTM over steps of `POINTS` points: ``(sample, channel, time)`` to its last output ``(sample, unit)``.

    The points of all channels of a step are its features, channel by channel.
    """

    def __init__(self, channels: int, units: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * POINTS, units, num_layers=layers, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the last layer says after the last step."""
        return self.lstm(_steps(inputs))[0][:, -1]

    def of_intervals(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Last outputs ``(interval, sample, unit)`` of inputs in which one interval of time is replaced.

        As `ECGLSTM.interval_logits`. Before the step in which its interval starts, a copy has the original's state.
        """
        samples, points = len(inputs), inputs.shape[2]
        clock = torch.arange(points, device=inputs.device)
        original = _steps(inputs)
        found = inputs.new_empty(len(starts), samples, self.lstm.hidden_size)
        state: tuple[Tensor, Tensor] | None = None
        for step in range(points // POINTS):
            (some,) = torch.nonzero(starts // POINTS == step, as_tuple=True)
            for part in some.split(max(1, ROWS_AT_ONCE // samples)):
                inside = (clock >= starts[part, None]) & (clock < stops[part, None])
                copies = torch.where(inside[:, None, None], replacement, inputs)[..., step * POINTS :].flatten(0, 1)
                branched = None if state is None else tuple(each.repeat(1, len(part), 1) for each in state)
                found[part] = self.lstm(_steps(copies), branched)[0][:, -1].unflatten(0, (len(part), samples))
            state = self.lstm(original[:, step : step + 1], state)[1]
        return found


class ECGLSTM(nn.Module):
    """The LSTM half of `ECGNet` as a network of its own, whose learned masks the paper shows.

    Inputs are normalised windows ``(sample, channel, time)`` of a multiple of 72 points; the output is logits
    ``(sample, class)``. With 40 ``units`` in 2 ``layers``, one channel and 8 classes it has 102,768 parameters.
    ``dropout`` acts on what enters the perceptron; ``legacy_linear_fc`` as in `perceptron`.
    Raises ValueError for units, layers or a dropout outside these, and for windows of other lengths.
    """

    def __init__(
        self,
        channels: int = 1,
        classes: int = 8,
        units: int = 40,
        layers: int = 2,
        dropout: float = 0.0,
        legacy_linear_fc: bool = False,
    ) -> None:
        super().__init__()
        require_positive(units=units, layers=layers)
        require_rate(dropout)
        self.recurrent = LastStep(channels, units, layers)
        self.dropout = nn.Dropout(dropout)
        self.head = perceptron(units, classes, legacy_linear_fc)
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_whole_steps)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        return self.head(self.dropout(self.recurrent(inputs)))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Dropout is off and no gradient is kept.
        Raises ValueError where a start lies outside the window.
        """
        _require_whole_steps(self, (inputs,))
        require_starts(starts, inputs)
        with torch.no_grad():
            return self.head(self.recurrent.of_intervals(inputs, replacement, starts, stops))


def _steps(inputs: Tensor) -> Tensor:
    """Signals ``(sample, channel, time)`` as steps ``(sample, step, channel * POINTS)``."""
    return inputs.unflatten(2, (-1, POINTS)).transpose(1, 2).flatten(2)


def perceptron(entering: int, classes: int, legacy_linear_fc: bool) -> nn.Sequential:
    """Three dense layers with ReLU between, ``(sample, entering)`` to logits ``(sample, class)``.

    ``legacy_linear_fc``: without any activation, as in the authors' code, where three layers make one linear map.
    """
    first, second = DENSE
    between: list[nn.Module] = [] if legacy_linear_fc else [nn.ReLU()]
    return nn.Sequential(
        *(nn.Linear(entering, first), *between),
        *(nn.Linear(first, second), *between),
        nn.Linear(second, classes),
    )


def _require_whole_steps(network: ECGLSTM, arguments: tuple[Tensor, ...]) -> None:
    points = arguments[0].shape[-1]
    if points < POINTS or points % POINTS:
        raise ValueError(f"inputs have {points} points; expected a multiple of {POINTS}.")
