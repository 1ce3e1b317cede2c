"""What an LSTM layer did with a sequence: its gates, cells and outputs at every step, and its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


@dataclass(frozen=True)
class LayerTrace:
    """One LSTM layer on one batch.

    ``inputs (sample, time, feature)``; the gates ``input_gate``, ``forget_gate``, ``output_gate`` in (0, 1),
    ``candidate`` in (-1, 1), ``candidate_total`` before its tanh, ``cell`` and ``hidden`` are ``(sample, time,
    unit)``. The states before the first step are zero. ``weight_input (4 unit, feature)``, ``weight_hidden
    (4 unit, unit)`` and ``bias (4 unit,)`` hold the gates in PyTorch's order: input, forget, candidate, output.
    """

    inputs: Tensor
    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    candidate_total: Tensor
    cell: Tensor
    hidden: Tensor
    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor

    @property
    def output_gate(self) -> Tensor:
        """Worked out whenever it is asked for, because relevance does not ask."""
        last = slice(3 * self.hidden.shape[2], None)
        return _totals(self.inputs, self.hidden, self.weight_input, self.weight_hidden, self.bias, last).sigmoid()


def trace_layer(layer: nn.LSTM, inputs: Tensor) -> LayerTrace:
    """The trace of a one-directional layer on ``inputs (sample, time, feature)``; no gradient is kept.

    The fused kernel gives the outputs; one product then gives the gates, because they depend on nothing
    but the inputs and the outputs of the step before.
    """
    weight_input, weight_hidden, *biases = (weight.detach() for weight in layer.all_weights[0])
    bias = biases[0] + biases[1]
    with torch.no_grad():
        hidden = layer(inputs)[0]
        first_three = slice(3 * hidden.shape[2])
        totals = _totals(inputs, hidden, weight_input, weight_hidden, bias, first_three)
        input_total, forget_total, candidate_total = totals.chunk(3, dim=2)
        input_gate, forget_gate, candidate = input_total.sigmoid(), forget_total.sigmoid(), candidate_total.tanh()
        cell = _cells(forget_gate, input_gate * candidate)
    return LayerTrace(
        inputs=inputs,
        input_gate=input_gate,
        forget_gate=forget_gate,
        candidate=candidate,
        candidate_total=candidate_total,
        cell=cell,
        hidden=hidden,
        weight_input=weight_input,
        weight_hidden=weight_hidden,
        bias=bias,
    )


def _totals(
    inputs: Tensor, hidden: Tensor, weight_input: Tensor, weight_hidden: Tensor, bias: Tensor, rows: slice
) -> Tensor:
    """What some gates, ``rows`` of the weights, are before their sigmoid or tanh: ``(sample, time, row)``."""
    before = torch.cat([torch.zeros_like(hidden[:, :1]), hidden[:, :-1]], dim=1)
    weights = torch.cat([weight_input[rows], weight_hidden[rows]], dim=1)
    return linear(torch.cat([inputs, before], dim=2), weights, bias[rows])


def _cells(kept: Tensor, added: Tensor) -> Tensor:
    """``cell[t] = kept[t] * cell[t - 1] + added[t]`` along time; ``added`` becomes the cells."""
    steps, forgets = added.unbind(1), kept.unbind(1)
    for step in range(1, len(steps)):
        steps[step].addcmul_(forgets[step], steps[step - 1])
    return added
