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
    output_gate: Tensor
    cell: Tensor
    hidden: Tensor
    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor


def trace_layer(layer: nn.LSTM, inputs: Tensor) -> LayerTrace:
    """The trace of a one-directional layer on ``inputs (sample, time, feature)``; no gradient is kept.

    The fused kernel gives the outputs; one product then gives all gates, because they depend on nothing
    but the inputs and the outputs of the step before.
    """
    with torch.no_grad():
        hidden = layer(inputs)[0]
        before = torch.cat([torch.zeros_like(hidden[:, :1]), hidden[:, :-1]], dim=1)
        weight_input, weight_hidden, first_bias, second_bias = layer.all_weights[0]
        weights = torch.cat([weight_input, weight_hidden], dim=1)
        gates = linear(torch.cat([inputs, before], dim=2), weights, first_bias + second_bias)
        input_gate, forget_gate, candidate_total, output_gate = gates.chunk(4, dim=2)
        input_gate, forget_gate, output_gate = input_gate.sigmoid(), forget_gate.sigmoid(), output_gate.sigmoid()
        candidate = candidate_total.tanh()
        cell = _cells(forget_gate, input_gate * candidate)
    return LayerTrace(
        inputs=inputs,
        input_gate=input_gate,
        forget_gate=forget_gate,
        candidate=candidate,
        candidate_total=candidate_total,
        output_gate=output_gate,
        cell=cell,
        hidden=hidden,
        weight_input=weight_input.detach(),
        weight_hidden=weight_hidden.detach(),
        bias=(first_bias + second_bias).detach(),
    )


def _cells(kept: Tensor, added: Tensor) -> Tensor:
    """``cell[t] = kept[t] * cell[t - 1] + added[t]`` along time; ``added`` becomes the cells."""
    steps, forgets = added.unbind(1), kept.unbind(1)
    for step in range(1, len(steps)):
        steps[step].addcmul_(forgets[step], steps[step - 1])
    return added
