"""The 1-D convolutional network that Ellis et al. explain: one 30-s epoch of EEG, EOG and EMG to a sleep stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .receptive_field import ReceptiveField, changed_maxima

FIRST_KERNEL = 5


class SleepCNN(nn.Module):
    """Eight convolutions in four blocks, a global maximum over time, and three dense layers.

    Inputs are normalised windows ``(sample, channel, time)`` of at least `shortest` steps; the output is logits
    ``(sample, class)``. Convolutions are not padded. ``width``: filters of the first block; the others have 2, 2
    and 16 times, the dense layers 4 times as many, so that 16 with 3 channels and 5 classes gives 255,061
    parameters. ``dropout``: the rate everywhere but before the last layer, where it is five times that. Weights
    start Glorot-uniform, biases at zero (Keras' defaults).

    ``kernels``: the first layer's kernel per channel, odd. Each channel then has ``width`` filters of its own,
    because eye movements and muscle tone are slower patterns than EEG (the architecture that the paper wishes
    for); channels with shorter kernels are cropped at both ends to what the longest one sees. None: one kernel
    of 5 steps over all channels, the paper's network.

    Source of the layers: the single-epoch network of github.com/CVxTz/EEG_classification, which the paper uses.
    Raises ValueError for a dropout, width or kernels outside these, and for shorter windows.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        kernels: Sequence[int] | None = None,
        dropout: float = 0.01,
    ) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is {width}; expected 1 or more.")
        if not 0 <= dropout < 0.2:
            raise ValueError(
                f"dropout is {dropout}; expected 0 to below 0.2, because the last layer has five times it."
            )
        first: nn.Module = nn.Conv1d(channels, width, FIRST_KERNEL)
        entering = width
        if kernels is not None:
            first = _ConvPerChannel(channels, width, kernels)
            entering = channels * width
        self.features = nn.Sequential(
            *(first, nn.ReLU()),
            *_convolution(entering, width, 5),
            *_pooling(dropout),
            *_convolution(width, 2 * width, 3),
            *_convolution(2 * width, 2 * width, 3),
            *_pooling(dropout),
            *_convolution(2 * width, 2 * width, 3),
            *_convolution(2 * width, 2 * width, 3),
            *_pooling(dropout),
            *_convolution(2 * width, 16 * width, 3),
            *_convolution(16 * width, 16 * width, 3),
        )
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            *(nn.Linear(16 * width, 4 * width), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(4 * width, 4 * width), nn.ReLU(), nn.Dropout(5 * dropout)),
            nn.Linear(4 * width, classes),
        )
        self.apply(_start_as_keras)
        longest = max(kernels) if kernels is not None else FIRST_KERNEL
        self.field = ReceptiveField.of(longest, list(self.features)[1:])
        # a hook, because a condition inside `forward` would stop torch.fx from tracing it
        self.register_forward_pre_hook(_require_long_enough)

    @property
    def shortest(self) -> int:
        """Fewest time steps of a window: what one position of the last convolution sees."""
        return self.field.width

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``."""
        return self.head(self.features(inputs).amax(2))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Only what the interval can reach is computed
        again. Dropout is off and no gradient is kept. Raises ValueError where a start lies outside the window.
        """
        _require_long_enough(self, (inputs,))
        with torch.no_grad():
            first, *layers = list(self.features)[:-1]  # the last ReLU is taken once, of the maxima
            maxima = changed_maxima(first, layers, self.field, inputs, replacement, starts, stops).relu_()
            for layer in self.head:
                if not isinstance(layer, nn.Dropout):
                    maxima = layer(maxima)
        return maxima


class _ConvPerChannel(nn.Module):
    """A convolution of its own for every channel: to ``(sample, channel * width, time)``, unpadded."""

    def __init__(self, channels: int, width: int, kernels: Sequence[int]) -> None:
        super().__init__()
        if len(kernels) != channels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels is {tuple(kernels)}; expected {channels} odd numbers, one per channel.")
        self.convolutions = nn.ModuleList(nn.Conv1d(1, width, kernel) for kernel in kernels)
        trims = [(max(kernels) - kernel) // 2 for kernel in kernels]
        self._seen = [slice(trim, -trim or None) for trim in trims]

    def forward(self, inputs: Tensor) -> Tensor:
        seen = [
            convolution(inputs[:, channel : channel + 1, steps])
            for channel, (convolution, steps) in enumerate(zip(self.convolutions, self._seen, strict=True))
        ]
        return torch.cat(seen, dim=1)


def _convolution(entering: int, leaving: int, kernel: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(entering, leaving, kernel), nn.ReLU()


def _pooling(dropout: float) -> tuple[nn.Module, ...]:
    return nn.MaxPool1d(2), nn.Dropout1d(dropout)


def _start_as_keras(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def _require_long_enough(network: SleepCNN, arguments: tuple[Tensor, ...]) -> None:
    steps = arguments[0].shape[-1]
    if steps < network.shortest:
        raise ValueError(f"inputs have {steps} time steps; expected {network.shortest} or more.")
