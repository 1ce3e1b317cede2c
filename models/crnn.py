"""The convolutional recurrent network of Zihlmann et al. (2017): a log spectrogram read column by column."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .arguments import require_positive, require_rate

SEGMENT, HOP = 64, 32
"""Points of a segment of the spectrogram, and from one to the next."""
TAPER = 0.25
"""Part of a segment over which its window rises and falls."""
FLOOR = 1e-8
"""Added to the power before its logarithm: above the rounding of a constant segment, far below a signal's."""
KERNEL = 5


class LogSpectrogram(nn.Module):
    """Log power ``(sample, channel, segment, frequency)`` of signals ``(sample, channel, time)``, differentiable.

    Segments of 64 points, half overlapping, each less its mean, under a Tukey window: the density that
    `scipy.signal.spectrogram` returns by default for a rate of 1, plus `FLOOR`, so that silence has a logarithm.
    """

    window: Tensor
    density: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = _tukey(SEGMENT, TAPER)
        sides = torch.full((SEGMENT // 2 + 1,), 2.0, dtype=torch.float64)
        sides[[0, -1]] = 1.0  # of a real signal these two frequencies have no mirror image
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("density", sides / window.square().sum(), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The log spectrogram."""
        segments = inputs.unfold(2, SEGMENT, HOP)
        spectrum = torch.fft.rfft((segments - segments.mean(3, keepdim=True)) * self.window.to(inputs.dtype))
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(power * self.density.to(inputs.dtype) + FLOOR)


class CRNN(nn.Module):
    """Convolutions over the log spectrogram, a bidirectional LSTM along time, the mean of its outputs, a linear layer.

    Inputs are normalised windows ``(sample, channel, time)`` of 64 points or more; the output is logits ``(sample,
    class)``. Each of the ``blocks`` has ``depth`` convolutions of 5 x 5, batch norm and ReLU after each; the last
    one adds ``width`` filters and strides 2 x 2, then comes dropout. The LSTM has 3 layers of ``units`` per
    direction. With 4 blocks of 6, width 32 and 100 units the convolutions have 4,845,344 parameters and the LSTM
    948,800; 720 points become 21 segments of 33 frequencies, and those 2 steps of 3 x 160 features.

    Source of the layers: github.com/yruffiner/ecg-classification, with its LSTM layers reading both directions of
    the one below. Raises ValueError for arguments outside these, and for shorter windows.
    """

    def __init__(
        self,
        channels: int = 1,
        classes: int = 8,
        width: int = 32,
        blocks: int = 4,
        depth: int = 6,
        units: int = 100,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        require_positive(width=width, blocks=blocks, depth=depth, units=units)
        require_rate(dropout)
        self.spectrogram = LogSpectrogram()
        self.blocks = nn.Sequential(
            *(
                _block(channels if block == 1 else block * width, block * width, width, depth, dropout)
                for block in range(1, blocks + 1)
            )
        )
        frequencies = SEGMENT // 2 + 1
        for _ in range(blocks):
            frequencies = (frequencies + 1) // 2
        features = (blocks + 1) * width * frequencies
        self.lstm = nn.LSTM(features, units, num_layers=3, batch_first=True, dropout=dropout, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * units, classes)
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_a_segment)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        steps = self.blocks(self.spectrogram(inputs)).transpose(1, 2).flatten(2)
        return self.head(self.dropout(self.lstm(steps)[0]).mean(1))


def _block(entering: int, between: int, growth: int, depth: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(depth):
        last = number == depth - 1
        leaving = between + growth if last else between
        layers.append(nn.Conv2d(entering, leaving, KERNEL, stride=2 if last else 1, padding=KERNEL // 2))
        layers += [nn.BatchNorm2d(leaving), nn.ReLU()]
        entering = leaving
    return nn.Sequential(*layers, nn.Dropout(dropout))


def _tukey(points: int, taper: float) -> Tensor:
    """The periodic Tukey window in float64 ``(points,)``: raised cosines at the ends, one between."""
    place = torch.arange(points, dtype=torch.float64) / points
    from_the_end = torch.minimum(place, 1 - place)
    return 0.5 * (1 - torch.cos(2 * torch.pi * (from_the_end / taper).clamp(max=0.5)))


def _require_a_segment(network: CRNN, arguments: tuple[Tensor, ...]) -> None:
    points = arguments[0].shape[-1]
    if points < SEGMENT:
        raise ValueError(f"inputs have {points} points; expected {SEGMENT} or more.")
