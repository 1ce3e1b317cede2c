"""LRP through an LSTM layer: the epsilon rule with the gate convention of Arras et al. (2017, 2019).

A gate scales a signal and receives nothing: all relevance of ``gate * signal`` goes to the signal, through
tanh unchanged. Linear maps and the sum ``cell = forget * cell before + input * candidate`` share by epsilon.

Gates and cells come from the model's trace, so that nothing is differentiated. Relevance runs back through time
with one product per step, over all samples and rules; a single product then gives that of all inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...protocols import LayerTrace
from .composites import LayerRules
from .contributions import stabilised
from .leak import Leak
from .rules import Epsilon


@dataclass(frozen=True)
class CandidateMap:
    """The linear map to a layer's candidate: weights ``(unit, feature)``, ``(unit, unit)``, bias ``(unit,)``."""

    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor

    @classmethod
    def of(cls, trace: LayerTrace) -> CandidateMap:
        """The third of the four gates."""
        return cls(
            trace.weight_input.chunk(4)[2].detach(),
            trace.weight_hidden.chunk(4)[2].detach(),
            trace.bias.chunk(4)[2].detach(),
        )


@dataclass(frozen=True)
class LSTMPass:
    """Relevance on its way through one layer, for rules that share an epsilon.

    ``entering`` holds what came from above, ``cells`` the relevance of the cell states, ``messages`` the
    relevance per unit of contribution to the candidates and ``leaving`` what goes on: ``(time, rule, sample,
    unit)``, ``leaving`` with the layer's features in the end. ``cell`` and ``totals`` ``(time, sample, unit)``
    are the denominators before they are stabilised.
    """

    layer: str
    epsilon: float
    entering: Tensor
    cells: Tensor
    messages: Tensor
    leaving: Tensor
    cell: Tensor
    totals: Tensor
    bias: Tensor

    @classmethod
    def down(cls, layer: str, trace: LayerTrace, entering: Tensor, epsilon: float) -> LSTMPass:
        """Takes the relevance of the layer's outputs ``(time, rule, sample, unit)`` to its inputs."""
        candidate_map = CandidateMap.of(trace)
        cell, totals = trace.cell.transpose(0, 1), trace.candidate_total.transpose(0, 1)
        share = stabilised(cell, epsilon).reciprocal_()
        kept = (trace.forget_gate.transpose(0, 1)[1:] * cell[:-1]).mul_(share[1:])
        added = (trace.input_gate * trace.candidate).transpose(0, 1).mul_(share).div_(stabilised(totals, epsilon))
        cells, messages = _back_through_time(
            entering, kept, added, trace.hidden.transpose(0, 1), candidate_map.weight_hidden
        )
        leaving = (messages @ candidate_map.weight_input).mul_(trace.inputs.transpose(0, 1)[:, None])
        return cls(layer, epsilon, entering, cells, messages, leaving, cell, totals, candidate_map.bias)

    def leak(self) -> Leak:
        """The account of the layer; relevance that the stabilisers of cell and candidate absorb is added up."""
        step = self.cell.new_tensor(self.epsilon)
        at_cell = step.copysign(self.cell) / stabilised(self.cell, self.epsilon)
        at_candidate = step.copysign(self.totals)
        absorbed = self.cells * at_cell[:, None] + self.messages * at_candidate[:, None]
        return Leak(
            layer=self.layer,
            entering=self.entering.sum((0, 3), dtype=torch.float64),
            leaving=self.leaving.sum((0, 3), dtype=torch.float64),
            bias=self.messages.sum(0, dtype=torch.float64) @ self.bias.double(),
            epsilon=absorbed.sum((0, 3), dtype=torch.float64),
        )


def _back_through_time(
    entering: Tensor, kept: Tensor, added: Tensor, hidden: Tensor, weight_hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Relevance of the cells, and per unit of contribution to the candidates, both as ``entering``.

    ``entering (time, rule, sample, unit)``. Per unit of a cell's relevance ``kept (time - 1, sample, unit)``
    is what the cell before receives, and ``added (time, sample, unit)`` the candidate's message. The output
    of a step, which equals its cell in relevance, also fed the next candidate through ``weight_hidden``.
    """
    cells = entering.clone(memory_format=torch.contiguous_format)
    messages = torch.empty_like(cells)
    torch.mul(cells[-1], added[-1], out=messages[-1])
    after = list(zip(cells[1:], messages[1:], kept, strict=True))
    here = list(zip(cells[:-1], messages[:-1], added[:-1], hidden[:-1], strict=True))
    for (next_cell, next_message, keeps), (cell, message, adds, output) in zip(
        reversed(after), reversed(here), strict=True
    ):
        cell.addcmul_(next_cell, keeps).addcmul_(next_message @ weight_hidden, output)
        torch.mul(cell, adds, out=message)
    return cells, messages


def through_layers(traces: Sequence[LayerTrace], relevance: Tensor, epsilon: float) -> list[LSTMPass]:
    """From the last layer, whose outputs have ``relevance (time, rule, sample, unit)``, to the first."""
    layers: list[LSTMPass] = []
    for number in range(len(traces), 0, -1):
        layers.append(LSTMPass.down(f"lstm_{number}", traces[number - 1], relevance, epsilon))
        relevance = layers[-1].leaving
    return layers


def places_by_epsilon(rules: Sequence[LayerRules]) -> dict[float, list[int]]:
    """The rules' positions by the epsilon of their LSTM layers: rules of one epsilon share all else there.

    LSTM layers follow the epsilon rule: it, or under other rules `Epsilon`'s default.
    """
    places: dict[float, list[int]] = {}
    for place, rule in enumerate(rules):
        epsilon = rule.epsilon if isinstance(rule, Epsilon) else Epsilon().epsilon
        places.setdefault(epsilon, []).append(place)
    return places
