"""The small convolutional network of Murugesan et al. (2018) whose class activation maps they show."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .arguments import require_positive, require_rate
from .changed_layers import changed
from .pieces import mean_over_time
from .residual import KERNEL, ResidualUnit

Alignment = Literal["exact", "legacy"]
MARGIN = 24
"""Points of zero that ``exact`` puts at either end: 720 become 768, which 4 halvings make 48 columns."""


class ECGCAM(nn.Module):
    """Residual units over one lead, the mean over time, and one linear layer, so that Eq 1 of paper 2 holds.

    Inputs are normalised windows ``(sample, channel, time)``; the output is logits ``(sample, class)``. ``stem``: a
    convolution of 15 steps, batch norm, ReLU; ``units``: ``depth`` of `ResidualUnit`, each halving the time, of
    ``width`` filters, the last of twice as many; ``norm``: a batch norm, whose values are the `features`;
    ``classifier``: the linear layer. With 64 and 4, one channel and 8 classes these are 749,832 parameters. The
    classifier of the paper has layers between features and classes, therefore it needs this network beside it.

    ``alignment``: ``exact`` pads the window so that a column of the features stands for ``2 ** depth`` points and
    sits over their middle, which gives the paper's 48 columns for 720 points; ``legacy`` pads nothing, which gives 45.
    Raises ValueError for arguments outside these, and for windows, padded, that are no multiple of ``2 ** depth``.
    """

    def __init__(
        self,
        channels: int = 1,
        classes: int = 8,
        width: int = 64,
        depth: int = 4,
        dropout: float = 0.5,
        alignment: Alignment = "exact",
    ) -> None:
        super().__init__()
        require_positive(width=width, depth=depth)
        require_rate(dropout)
        if alignment not in get_args(Alignment):
            raise ValueError(f"alignment is {alignment!r}; expected one of {get_args(Alignment)}.")
        self.margin = MARGIN if alignment == "exact" else 0
        self.points = 2**depth
        self.padding = nn.ZeroPad1d(self.margin)
        self.stem = nn.Sequential(
            nn.Conv1d(channels, width, KERNEL, padding=KERNEL // 2), nn.BatchNorm1d(width), nn.ReLU()
        )
        filters = [width] * depth + [2 * width]
        self.units = nn.Sequential(*(ResidualUnit(*pair, dropout, pools=True) for pair in pairwise(filters)))
        self.norm = nn.BatchNorm1d(filters[-1])
        self.classifier = nn.Linear(filters[-1], classes)
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_whole_columns)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        return self.classifier(self.features(inputs).mean(2))

    def features(self, inputs: Tensor) -> Tensor:
        """The maps ``(sample, feature, column)`` whose means over columns the classifier weighs."""
        return self.norm(self.units(self.stem(self.padding(inputs))))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Only what the interval can reach is computed
        again. Dropout is off and no gradient is kept. Raises ValueError where a start lies outside the window.
        """
        _require_whole_columns(self, (inputs,))
        layers = [self.padding, self.stem, self.units, self.norm]
        means = changed(layers, inputs, replacement, starts, stops, read=mean_over_time)
        with torch.no_grad():
            return self.classifier(means)

    def columns_to_points(self, heat: Tensor) -> Tensor:
        """One value per column ``(sample, column)`` as one per point ``(sample, time)``, by linear interpolation.

        A column's value stands over the middle of its points; what lies over the padding is cropped.
        """
        points = heat.shape[1] * self.points
        spread = interpolate(heat[:, None], size=points, mode="linear", align_corners=False)[:, 0]
        return spread[:, self.margin : points - self.margin]


def _require_whole_columns(network: ECGCAM, arguments: tuple[Tensor, ...]) -> None:
    points = arguments[0].shape[-1]
    if points < network.points or (points + 2 * network.margin) % network.points:
        added = f" less the {2 * network.margin} that are padded" if network.margin else ""
        raise ValueError(f"inputs have {points} points; expected a multiple of {network.points}{added}.")
