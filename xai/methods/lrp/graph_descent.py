"""LRP through any network that can be traced, from the explained score to the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from .composites import LayerRules, rule_for
from .descent import SCORE, Descent, Score, ScorePass, samples_at_once, score_leak
from .filter_points import Filters, filter_at, placed
from .graph import Network, Passed, Signals, Step
from .leak import Leak
from .linear_maps import summed
from .plans import Plan
from .tracing import traced


def graph_descents(
    model: object,
    inputs: Tensor,
    targets: Tensor,
    plans: Sequence[Plan],
    score: Score,
    *,
    accounting: bool = False,
) -> Iterator[Descent]:
    """The descents of all plans, a few samples at a time; every sample's forward pass is run once.

    The plans have one propagation.
    Raises ValueError for a model that cannot be traced, a layer that LRP does not know and a filter without a layer.
    """
    network = traced(model, plans[0].propagation)
    filters = [placed(plan.filters, plan.points, network) if plan.filters else {} for plan in plans]
    together = samples_at_once(inputs.device, len(plans) * _most_values(network, inputs))
    for first in range(0, len(inputs), together):
        here = slice(first, first + together)
        leaks: list[Leak] | None = [] if accounting else None
        walk = Walk([plan.rule for plan in plans], filters, leaks)
        relevance = _descended(network, inputs[here], targets[here], [plan.score or score for plan in plans], walk)
        yield Descent(range(len(plans)), first, relevance, leaks or [])


@torch.inference_mode(False)
@torch.no_grad()
def _descended(network: Network, inputs: Tensor, targets: Tensor, scores: Sequence[Score], walk: Walk) -> Tensor:
    """Relevance ``(rule, sample, ...)`` of some inputs."""
    signals = network.run(inputs.clone() if inputs.is_inference() else inputs.detach())
    outputs = signals.values[network.end]
    starts = [ScorePass.down(outputs, targets, score) for score in scores]
    return walk.down(network, signals, walk.started(starts))


@dataclass(frozen=True)
class Walk:
    """Relevance on its way through the graph, by one rule and by its filters for each entry of the first axis.

    ``leaks`` gathers what layers keep, None where nobody asks.
    """

    rules: Sequence[LayerRules]
    filters: Sequence[Filters]
    leaks: list[Leak] | None

    def started(self, starts: Sequence[ScorePass]) -> Tensor:
        """The relevance of the outputs ``(rule, sample, ...)``."""
        leaving = self._filtered(SCORE, 0, torch.stack([start.leaving for start in starts]))
        if self.leaks is not None:
            self.leaks.append(score_leak(starts, leaving))
        return leaving

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
        shares = [self._filtered(step.name, place, share) for place, share in enumerate(passed.leaving)]
        if self.leaks is not None and (passed.kept is not None or self._any_filter(step.name, len(shares))):
            self.leaks.append(_leak(step, relevance, passed, shares))
        return zip(signals.read(step.node), shares, strict=True)

    def _filtered(self, name: str, place: int, share: Tensor) -> Tensor:
        if not self._any_filter(name, place + 1):
            return share
        chosen = [filter_at(filters, name, place) for filters in self.filters]
        return torch.stack([part if keep is None else keep(part) for keep, part in zip(chosen, share, strict=True)])

    def _any_filter(self, name: str, places: int) -> bool:
        return any(filter_at(filters, name, place) for filters in self.filters for place in range(places))


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
