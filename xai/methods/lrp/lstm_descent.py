"""LRP through a whole LSTM classifier, from the explained score to the inputs, several rules from one forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ...protocols import LSTMStack
from .composites import LayerRules, rule_for
from .contributions import Contributions
from .descent import Descent, Score, ScorePass, samples_at_once, score_leak
from .layer import Layer
from .leak import Leak
from .linear_maps import Weights, summed
from .linear_pass import LinearPass
from .lstm import places_by_epsilon, through_layers

HEAD = Layer("head", "linear")


@dataclass(frozen=True)
class AveragedHead(Weights):
    """A linear head that is read at every step and averaged over time, as the one linear map from all steps it is.

    That there are steps in between costs no second stabiliser. ``weight (class, unit)``, ``bias (class,)``.
    """

    @classmethod
    def of(cls, head: nn.Linear) -> AveragedHead:
        """The map of a head, detached; without a bias it is zero."""
        weight = head.weight.detach()
        return cls(weight, weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach())

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `LinearMap.apply`: class scores ``(sample, class)`` of hidden states ``(time, sample, unit)``."""
        return linear(inputs.mean(0), weight, bias)

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """As `LinearMap.adjoint`: ``(sample, unit)``, the same for every step."""
        return messages @ weight / len(inputs)


def lstm_descents(
    stack: LSTMStack,
    inputs: Tensor,
    targets: Tensor,
    rules: Sequence[LayerRules],
    score: Score,
    *,
    accounting: bool = False,
) -> Iterator[Descent]:
    """The descents of all rules, a few samples at a time; every sample's forward pass is run once.

    A rule holds in the head; LSTM layers always follow the epsilon rule: it, or `Epsilon`'s default.
    Raises ValueError for inputs of another shape than ``(sample, channel, time)``.
    """
    if inputs.dim() != 3:
        raise ValueError(f"inputs have the shape {tuple(inputs.shape)}; LRP expects (sample, channel, time).")
    groups = places_by_epsilon(rules)
    together = samples_at_once(inputs.device, 2 * inputs.shape[2] * stack.readout().in_features)  # cells, messages
    head = AveragedHead.of(stack.readout())
    for first in range(0, len(inputs), together):
        traces = stack.trace(inputs[first : first + together].detach())
        hidden = traces[-1].hidden.detach().transpose(0, 1)
        contributions = Contributions(head, hidden, head.apply(hidden, head.weight, head.bias))
        start = ScorePass.down(contributions.total, targets[first : first + together], score)
        for epsilon, places in groups.items():
            chosen = [rule_for(rules[place], HEAD) for place in places]
            top = LinearPass.down(contributions, start.leaving.expand(len(places), -1, -1), chosen)
            layers = through_layers(traces, top.leaving.transpose(0, 1), epsilon)
            leaks: list[Leak] = []
            if accounting:
                leaks = [
                    score_leak([start] * len(places), top.relevance),
                    _head_leak(top),
                    *(layer.leak() for layer in layers),
                ]
            yield Descent(places, first, layers[-1].leaving.permute(1, 2, 3, 0).contiguous(), leaks)


def _head_leak(head: LinearPass) -> Leak:
    return Leak(HEAD.name, summed(head.relevance), head.leaving.sum((1, 3), dtype=torch.float64), *head.kept())
