"""What relevance does at an `nn.LSTM` inside a larger network: the epsilon rule, layer by layer, back through time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from .graph import Call, Passed
from .lstm import LSTMPass, places_by_epsilon, through_layers
from .recurrence import recurrences
from .rows import empty_rows
from .rules import Rule


@dataclass(frozen=True)
class Recurrent:
    """All layers of an LSTM as one call, from a sequence ``(sample, time, feature)`` to its outputs at every step."""

    layers: nn.LSTM

    @classmethod
    def at(cls, node: fx.Node, layers: nn.LSTM) -> Recurrent:
        """The LSTM that a node calls. Raises ValueError, a sentence without its subject, for what LRP does not know."""
        if layers.bidirectional:
            raise ValueError("is bidirectional; LRP supports LSTM layers of one direction.")
        if layers.proj_size:
            raise ValueError(
                f"projects its outputs to {layers.proj_size}; LRP supports LSTM layers without projections."
            )
        if not layers.batch_first:
            raise ValueError("has batch_first=False; LRP supports LSTM layers with the samples first.")
        if len(node.args) != 1 or node.kwargs:
            raise ValueError("is called with more than its inputs; LRP supports LSTM layers that start at zero states.")
        if not all(reads_outputs(user) for user in node.users):
            raise ValueError("is read for its last states; LRP supports its outputs, the first of what it returns.")
        return cls(layers)

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the outputs alone."""
        return lambda inputs: recurrences(self.layers, inputs)[-1].hidden

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        (inputs,) = call.inputs
        runs, by_time = recurrences(self.layers, inputs), relevance.permute(2, 0, 1, 3)
        groups = {
            tuple(places): through_layers(runs, by_time[:, places], epsilon)
            for epsilon, places in places_by_epsilon(rules).items()
        }
        leaving = empty_rows(len(rules), inputs)
        for places, passes in groups.items():
            leaving[list(places)] = passes[-1].leaving.permute(1, 2, 0, 3)
        return Passed([leaving], lambda: _kept(groups, relevance))


def reads_outputs(node: fx.Node) -> bool:
    """Whether a node takes the outputs out of what an LSTM returns."""
    return node.target is operator.getitem and bool(node.args[1] == 0)


def _kept(groups: dict[tuple[int, ...], list[LSTMPass]], relevance: Tensor) -> tuple[Tensor, Tensor]:
    """What biases and stabilisers of all layers keep of ``relevance (rule, sample, ...)``, each ``(rule, sample)``."""
    bias, epsilon = relevance.new_empty(2, *relevance.shape[:2], dtype=torch.float64)
    for places, passes in groups.items():
        leaks = [each.leak() for each in passes]
        bias[list(places)] = torch.stack([leak.bias for leak in leaks]).sum(0)
        epsilon[list(places)] = torch.stack([leak.epsilon for leak in leaks]).sum(0)
    return bias, epsilon
