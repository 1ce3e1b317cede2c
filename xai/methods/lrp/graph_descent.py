"""LRP through any network that can be traced, from the explained score to the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from ...layout import fast_layout
from .composites import LayerRules, rule_for
from .descent import SCORE, Descent, Score, ScorePass, samples_at_once, score_leak
from .filter_points import Filters, filter_at, placed
from .graph import Network, Passed, Signals, Step
from .leak import Leak
from .linear_maps import summed
from .plans import Plan
from .rows import stacked
from .tracing import traced

VALUES_IN_MEMORY = 2**29
"""Values of one layer's relevance held at once, at most, for all samples and rules of a walk: 2 GiB in float32."""


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
    signals = _upwards(network, inputs[:1])
    values = signals.most_values()
    together = min(len(inputs), samples_at_once(inputs.device, len(plans) * values))
    for first in range(0, len(inputs), together):
        here = slice(first, first + together)
        if first or together > 1:
            signals = _upwards(network, inputs[here])
        for places in _at_once(len(plans), together * values):
            leaks: list[Leak] | None = [] if accounting else None
            walk = Walk([plans[place].rule for place in places], [filters[place] for place in places], leaks)
            scores = [plans[place].score or score for place in places]
            yield Descent(places, first, _downwards(network, signals, targets[here], scores, walk), leaks or [])


def _at_once(plans: int, values: int) -> Iterator[range]:
    """The places of the plans that walk together, where one fills a layer with so many ``values``."""
    width = max(1, VALUES_IN_MEMORY // max(1, values))
    for first in range(0, plans, width):
        yield range(first, min(first + width, plans))


@torch.inference_mode(False)
@torch.no_grad()
def _upwards(network: Network, inputs: Tensor) -> Signals:
    return network.run(fast_layout(inputs.clone() if inputs.is_inference() else inputs.detach()))


@torch.inference_mode(False)
@torch.no_grad()
def _downwards(network: Network, signals: Signals, targets: Tensor, scores: Sequence[Score], walk: Walk) -> Tensor:
    """Relevance ``(rule, sample, ...)`` of the inputs."""
    outputs, distinct = signals.values[network.end], {id(score): score for score in scores}
    passes = {key: ScorePass.down(outputs, targets, score) for key, score in distinct.items()}
    return walk.down(network, signals, walk.started([passes[id(score)] for score in scores]))


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
        leaving = self._filtered(SCORE, 0, stacked([start.leaving for start in starts]))
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
        rows = range(len(self.rules)) if passed.kept is not None else self._filtering(step.name, len(shares))
        if self.leaks is not None and rows:
            self.leaks.append(_leak(step, relevance, passed, shares, rows))
        return zip(signals.read(step.node), shares, strict=True)

    def _filtered(self, name: str, place: int, share: Tensor) -> Tensor:
        chosen = [filter_at(filters, name, place) for filters in self.filters]
        if all(keep is None for keep in chosen):
            return share
        return stacked([part if keep is None else keep(part) for keep, part in zip(chosen, share, strict=True)])

    def _filtering(self, name: str, places: int) -> list[int]:
        """The rules that have a filter at some input of a layer."""
        return [
            row
            for row, filters in enumerate(self.filters)
            if any(filter_at(filters, name, place) for place in range(places))
        ]


def _leak(step: Step, relevance: Tensor, passed: Passed, shares: Sequence[Tensor], rows: Sequence[int]) -> Leak:
    entering = summed(relevance)
    handed, leaving = (torch.stack([summed(share) for share in some]).sum(0) for some in (passed.leaving, shares))
    nothing = torch.zeros_like(entering)
    bias, epsilon = (nothing, nothing) if passed.kept is None else passed.kept()
    return Leak(step.name, entering, leaving, bias, epsilon, handed - leaving, rows)
