"""How relevance goes through a network besides what rules say of its linear maps: norms and skips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx

from .graph import Call, Operation, Passed, Step
from .linear_maps import summed
from .rules import Rule

Norms = Literal["folded", "identity"]
Skips = Literal["sum", "legacy"]


@dataclass(frozen=True)
class Propagation:
    """The defaults are right; the others are what the code of Tjoa et al. does.

    ``norms``: ``folded`` makes a batch norm a part of the linear map beside it; ``identity`` passes relevance
    unchanged through it, while the map shares by its own contributions.
    ``skips``: ``sum`` gives both parts of a concatenation their own relevance, and adds up what a layer gets from
    its readers. ``legacy`` gives the second part its own, and the first, the skip, the leading channels of the
    second's; what the skip's layer gets is the mean of that and of what its other reader hands on.
    """

    norms: Norms = "folded"
    skips: Skips = "sum"


@dataclass(frozen=True)
class OverwrittenSkip:
    """A concatenation of channels, skip first, whose relevance is overwritten by its second part before it is split.

    The relevance of the skip is lost; half of the leading channels of the second part goes there in its place. What
    is lost, less what counts twice, is accounted as bias.
    """

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the function itself."""
        return function

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`; ValueError where the second part has fewer channels than the first."""
        skip, rest = (signal.shape[1] for signal in call.inputs)
        if rest < skip:
            raise ValueError(f"joins {rest} channels to {skip} of a skip; legacy skips expect at least as many.")
        of_rest = relevance[:, :, skip:]
        leaving = [of_rest[:, :, :skip] / 2, of_rest]
        return Passed(leaving, lambda: _lost(relevance, leaving))


@dataclass(frozen=True)
class Halved:
    """What an operation hands on, halved: the other side of the mean. The other half is accounted as bias."""

    whole: Operation

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: what the operation itself says."""
        return self.whole.forward(function)

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        leaving = [share / 2 for share in self.whole.down(call, relevance, rules).leaving]
        return Passed(leaving, lambda: _lost(relevance, leaving))


def with_legacy_skips(steps: Sequence[Step]) -> list[Step]:
    """The steps, each join of two signals by channel an `OverwrittenSkip`, and its skip's other readers `Halved`."""
    joins = [step for step in steps if is_join(step) and len(set(step.node.all_input_nodes)) == 2]
    halved = {reader for join in joins for reader in join.node.all_input_nodes[0].users} - {join.node for join in joins}
    overwritten = {join.node: OverwrittenSkip() for join in joins}

    def operation(step: Step) -> Operation | None:
        if step.node in halved and step.operation is not None:
            return Halved(step.operation)
        return overwritten.get(step.node, step.operation)

    return [replace(step, operation=operation(step)) for step in steps]


def is_join(step: Step) -> bool:
    """Whether a step puts signals one behind the other along the channels."""
    return step.node.target in (torch.cat, torch.concat) and _axis(step.node) == 1


def _axis(node: fx.Node) -> Any:
    return node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)


def _lost(relevance: Tensor, leaving: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lost = summed(relevance) - torch.stack([summed(share) for share in leaving]).sum(0)
    return lost, torch.zeros_like(lost)
