"""The LSTM classifier of van der Westhuizen & Lasenby (2017): a linear map per step, mean over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from .intervals import summed_hidden
from .trace import LayerTrace, trace_layer


class LSTMClassifier(nn.Module):
    """Stacked one-directional LSTM; its last layer is read at every step and averaged over time.

    Inputs are normalised windows ``(sample, channel, time)``; the output is logits ``(sample, class)``.
    One bias vector per gate, forget bias 1 at the start (Gers et al., 2000); dropout acts on each
    layer's output, never on the recurrent state. PyTorch's second bias vector is fixed at zero.
    """

    def __init__(self, channels: int, classes: int, hidden: Sequence[int] = (128,), dropout: float = 0.2) -> None:
        super().__init__()
        widths = [channels, *hidden]
        stack = [nn.LSTM(width, units, batch_first=True) for width, units in pairwise(widths)]
        self.layers = nn.ModuleList(stack)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], classes)
        for layer in stack:
            _use_one_bias_with_forget_gate_open(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class)``: the mean over time of the step scores."""
        return self.head(self._last_hidden(inputs).mean(dim=1))

    def step_scores(self, inputs: Tensor) -> Tensor:
        """Class scores of every step ``(sample, time, class)``; prefix scores are their running mean."""
        return self.head(self._last_hidden(inputs))

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        """Logits ``(interval, sample, class)`` of inputs in which one interval of time is replaced.

        ``inputs`` and ``replacement`` are ``(sample, channel, time)``; for interval ``k`` the steps
        ``starts[k]`` to ``stops[k] - 1`` come from ``replacement``. Dropout is off and no gradient is kept.
        Raises ValueError where a start lies outside the window.
        """
        layers = [cast(nn.LSTM, layer) for layer in self.layers]
        sums = summed_hidden(layers, inputs, replacement, starts, stops)
        with torch.no_grad():
            # the head is linear: mapping the mean hidden state once equals the mean of the step scores
            return self.head(sums / inputs.shape[2])

    def readout(self) -> nn.Linear:
        """The linear head that maps the last layer's output to class scores at every step."""
        return self.head

    def trace(self, inputs: Tensor) -> list[LayerTrace]:
        """What every layer did with ``inputs (sample, channel, time)``, first layer first; dropout is off."""
        traces: list[LayerTrace] = []
        hidden = inputs.transpose(1, 2)
        for layer in self.layers:
            traces.append(trace_layer(cast(nn.LSTM, layer), hidden))
            hidden = traces[-1].hidden
        return traces

    def _last_hidden(self, inputs: Tensor) -> Tensor:
        hidden = inputs.transpose(1, 2)
        for layer in self.layers:
            hidden = self.dropout(layer(hidden)[0])
        return hidden


def _use_one_bias_with_forget_gate_open(layer: nn.LSTM) -> None:
    """PyTorch orders the gates input, forget, cell, output."""
    units = layer.hidden_size
    _, _, bias, second_bias = layer.all_weights[0]
    with torch.no_grad():
        bias.zero_()
        bias[units : 2 * units] = 1.0
        second_bias.zero_()
    second_bias.requires_grad_(False)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
