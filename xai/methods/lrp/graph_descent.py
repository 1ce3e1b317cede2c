"""LRP through any network that can be traced, from the explained score to the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from ...protocols import RelevanceFilter
from .composites import AnyRule, rule_for
from .descent import Descent, Score, ScorePass, samples_at_once
from .graph import Network, Passed, Signals, Step
from .leak import Leak
from .linear_maps import summed
from .tracing import traced

NO_FILTERS: Mapping[str, RelevanceFilter] = {}


def graph_descents(
    model: object,
    inputs: Tensor,
    targets: Tensor,
    rules: Sequence[AnyRule],
    score: Score,
    *,
    filters: Mapping[str, RelevanceFilter] = NO_FILTERS,
    accounting: bool = False,
) -> Iterator[Descent]:
    """The descents of all rules, a few samples at a time; every sample's forward pass is run once.

    Raises ValueError for a model that cannot be traced, a layer that LRP does not know and a filter without a layer.
    """
    network = traced(model)
    _require_layers(filters, network)
    together = samples_at_once(inputs.device, len(rules) * _most_values(network, inputs))
    for first in range(0, len(inputs), together):
        here = slice(first, first + together)
        leaks: list[Leak] | None = [] if accounting else None
        relevance = _descended(network, inputs[here], targets[here], score, Walk(rules, filters, leaks))
        yield Descent(range(len(rules)), first, relevance, leaks or [])


@torch.inference_mode(False)
@torch.no_grad()
def _descended(network: Network, inputs: Tensor, targets: Tensor, score: Score, walk: Walk) -> Tensor:
    """Relevance ``(rule, sample, ...)`` of some inputs."""
    signals = network.run(inputs.clone() if inputs.is_inference() else inputs.detach())
    outputs = signals.values[network.end]
    start = ScorePass.down(outputs, targets, score)
    if walk.leaks is not None:
        walk.leaks.append(start.leak(len(walk.rules)))
    return walk.down(network, signals, start.leaving.expand(len(walk.rules), *outputs.shape))


@dataclass(frozen=True)
class Walk:
    """Relevance on its way through the graph; ``leaks`` gathers what layers keep, None where nobody asks."""

    rules: Sequence[AnyRule]
    filters: Mapping[str, RelevanceFilter]
    leaks: list[Leak] | None

    def down(self, network: Network, signals: Signals, relevance: Tensor) -> Tensor:
        """From the relevance of the output to that of the input, each ``(rule, sample, ...)``.

        Where several calls read one value, what they hand to it adds up.
        """
        waiting: dict[fx.Node, Tensor] = {network.end: relevance}
        for step in network.downwards():
            if step.node in waiting:
                for node, share in self._past(step, signals, waiting.pop(step.node)):
                    waiting[node] = waiting[node] + share if node in waiting else share
        start = signals.values[network.start]
        return waiting.get(network.start, start.new_zeros(len(self.rules), *start.shape))

    def _past(self, step: Step, signals: Signals, relevance: Tensor) -> Iterator[tuple[fx.Node, Tensor]]:
        assert step.operation is not None  # a signal got here, and `Signals.put` would have refused it
        rules = [] if step.layer is None else [rule_for(rule, step.layer) for rule in self.rules]
        try:
            passed = step.operation.down(signals.call(step), relevance, rules)
        except ValueError as error:
            raise ValueError(f"Layer {step.name!r} {error}") from None
        shares = [self._filtered(step, share) for share in passed.leaving]
        if self.leaks is not None and (passed.kept is not None or step.name in self.filters):
            self.leaks.append(_leak(step, relevance, passed, shares))
        return zip(signals.read(step.node), shares, strict=True)

    def _filtered(self, step: Step, share: Tensor) -> Tensor:
        if step.name not in self.filters:
            return share
        return torch.stack([self.filters[step.name](relevance) for relevance in share])


def _leak(step: Step, relevance: Tensor, passed: Passed, shares: Sequence[Tensor]) -> Leak:
    entering = summed(relevance)
    handed, leaving = (torch.stack([summed(share) for share in some]).sum(0) for some in (passed.leaving, shares))
    nothing = torch.zeros_like(entering)
    bias, epsilon = (nothing, nothing) if passed.kept is None else passed.kept()
    return Leak(step.name, entering, leaving, bias, epsilon, handed - leaving)


def _most_values(network: Network, inputs: Tensor) -> int:
    """Values of the largest layer for one sample, which is run to find out."""
    values = network.run(inputs[:1]).values.values()
    return max(value.numel() for value in values if isinstance(value, Tensor))


def _require_layers(filters: Mapping[str, RelevanceFilter], network: Network) -> None:
    names = [step.name for step in network.steps if step.operation is not None]
    for name in filters:
        if name not in names:
            raise ValueError(f"filters names {name!r}; expected a layer of the model: {', '.join(names)}.")
