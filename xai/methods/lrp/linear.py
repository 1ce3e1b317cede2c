"""LRP through the linear head of a sequence classifier, several rules at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .leak import Leak
from .rules import Parts, Rule


@dataclass(frozen=True)
class LinearMap:
    """A linear map cut by sign: ``above (output, input)`` and ``below`` hold its positive and negative weights."""

    above: Tensor
    below: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Linear) -> LinearMap:
        """The map of a layer, detached; without a bias it is zero."""
        weight = layer.weight.detach()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        return cls(weight.clamp(min=0), weight.clamp(max=0), bias)

    def parts(self, above: Tensor, below: Tensor) -> Parts:
        """z, P and N ``(sample, output)`` of the inputs' positive and negative parts ``(sample, input)``.

        The bias is one more contribution, in P or in N by its sign.
        """
        positive = above @ self.above.t() + below @ self.below.t() + self.bias.clamp(min=0)
        negative = above @ self.below.t() + below @ self.above.t() + self.bias.clamp(max=0)
        return Parts(positive + negative, positive, negative)


@dataclass(frozen=True)
class HeadPass:
    """Relevance on its way through a head that is read at every step and averaged over time.

    Head and average are one linear map from all steps, and are treated as one: that there are steps in between
    costs no second stabiliser. ``hidden (sample, time, unit)`` are its inputs; ``relevance (rule, sample,
    class)`` enters, ``leaving (time, rule, sample, unit)`` goes on.
    """

    relevance: Tensor
    leaving: Tensor
    parts: Parts
    messages: tuple[Tensor, Tensor]
    bias: Tensor

    @classmethod
    def down(cls, head: nn.Linear, hidden: Tensor, relevance: Tensor, rules: Sequence[Rule]) -> HeadPass:
        """One rule per entry of ``relevance``'s first axis."""
        steps = hidden.shape[1]
        linear = LinearMap.of(head)
        above, below = hidden.clamp(min=0), hidden.clamp(max=0)
        parts = linear.parts(above.mean(1), below.mean(1))
        found = [rule.messages(share, parts) for rule, share in zip(rules, relevance, strict=True)]
        first, second = (torch.stack(messages) for messages in zip(*found, strict=True))
        # of a positive input the positive weights make positive contributions; of a negative one the negative
        to_above = (first @ linear.above + second @ linear.below) / steps
        to_below = (first @ linear.below + second @ linear.above) / steps
        leaving = above.transpose(0, 1)[:, None] * to_above
        leaving.addcmul_(below.transpose(0, 1)[:, None], to_below)
        return cls(relevance, leaving, parts, (first, second), linear.bias)

    def leak(self) -> Leak:
        """The account of the head."""
        first, second = (message.double() for message in self.messages)
        handed = first * self.parts.positive + second * self.parts.negative
        bias = first * self.bias.clamp(min=0) + second * self.bias.clamp(max=0)
        return Leak(
            layer="head",
            entering=self.relevance.sum(2, dtype=torch.float64),
            leaving=self.leaving.sum((0, 3), dtype=torch.float64),
            bias=bias.sum(2),
            epsilon=(self.relevance - handed).sum(2),
        )
