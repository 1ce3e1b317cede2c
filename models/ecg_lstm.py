"""The recurrent network of Murugesan et al. (2018): a window in steps of 72 points, an LSTM, a perceptron."""

from __future__ import annotations

from torch import Tensor, nn

from .arguments import require_positive, require_rate

POINTS = 72
"""Of one step: 720 points are 10 steps, as the paper prints."""
DENSE = (500, 100)
"""Units of the perceptron's hidden layers."""


class LastStep(nn.Module):
    """A stacked LSTM over steps of `POINTS` points: ``(sample, channel, time)`` to its last output ``(sample, unit)``.

    The points of all channels of a step are its features, channel by channel.
    """

    def __init__(self, channels: int, units: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels * POINTS, units, num_layers=layers, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the last layer says after the last step."""
        steps = inputs.unflatten(2, (-1, POINTS)).transpose(1, 2).flatten(2)
        return self.lstm(steps)[0][:, -1]


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
