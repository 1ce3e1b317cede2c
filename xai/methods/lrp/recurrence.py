"""What the layers of an `nn.LSTM` do with a sequence, step by step, as LRP needs to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


@dataclass
class Recurrence:
    """One layer on one batch: a `LayerTrace`."""

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

    @classmethod
    def of(cls, weights: Sequence[Tensor], inputs: Tensor) -> Recurrence:
        """A layer of these ``weights``, as `nn.LSTM.all_weights` holds them, on ``inputs (sample, time, feature)``."""
        weight_input, weight_hidden, *biases = weights
        bias = sum(biases, weight_input.new_zeros(len(weight_input)))
        cell = hidden = inputs.new_zeros(len(inputs), weight_hidden.shape[1])
        steps = []
        for from_inputs in linear(inputs, weight_input, bias).unbind(1):
            totals = torch.addmm(from_inputs, hidden, weight_hidden.T)
            enters, keeps, candidate, shows = totals.chunk(4, dim=1)
            cell = keeps.sigmoid() * cell + enters.sigmoid() * candidate.tanh()
            hidden = shows.sigmoid() * cell.tanh()
            steps.append((totals, cell, hidden))
        all_totals, cells, outputs = (torch.stack(each, dim=1) for each in zip(*steps, strict=True))
        enters, keeps, candidate, shows = all_totals.chunk(4, dim=2)
        return cls(
            inputs=inputs,
            input_gate=enters.sigmoid(),
            forget_gate=keeps.sigmoid(),
            candidate=candidate.tanh(),
            candidate_total=candidate,
            output_gate=shows.sigmoid(),
            cell=cells,
            hidden=outputs,
            weight_input=weight_input,
            weight_hidden=weight_hidden,
            bias=bias,
        )


def recurrences(layers: nn.LSTM, inputs: Tensor) -> list[Recurrence]:
    """What each layer does with ``inputs (sample, time, feature)``, first layer first; dropout is off."""
    found: list[Recurrence] = []
    for weights in layers.all_weights:
        found.append(Recurrence.of(weights, found[-1].hidden if found else inputs))
    return found
