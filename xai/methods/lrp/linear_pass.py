"""Relevance through one linear map, several rules at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .contributions import Contributions, LinearMap, Message, Pool
from .rows import empty_rows
from .rules import Rule


@dataclass(frozen=True)
class Messages:
    """What one rule hands to which contributions, for all entries of the relevance that it holds for."""

    places: Sequence[int]
    messages: Sequence[Message]

    def total(self, of: Callable[[Pool], Tensor]) -> Tensor:
        """Something of each pool times the relevance per unit of it, added up: ``(place, sample, ...)`` in float64."""
        return torch.stack([message.double() * of(pool) for pool, message in self.messages]).sum(0)


@dataclass(frozen=True)
class LinearPass:
    """Relevance on its way through a linear map.

    ``relevance (rule, sample, ...)`` of the outputs entered, ``leaving (rule, sample, ...)`` of the inputs goes on.
    """

    linear: LinearMap
    relevance: Tensor
    leaving: Tensor
    messages: Sequence[Messages]

    @classmethod
    def down(cls, contributions: Contributions, relevance: Tensor, rules: Sequence[Rule]) -> LinearPass:
        """One rule per entry of ``relevance``'s first axis; entries of the same rule go together."""
        messages = []
        for rule in dict.fromkeys(rules):
            places = [place for place, other in enumerate(rules) if other == rule]
            consecutive = places[-1] - places[0] + 1 == len(places)
            chosen = relevance[places[0] : places[-1] + 1] if consecutive else relevance[places]
            messages.append(Messages(places, rule.messages(chosen, contributions)))
        leaving = _handed_back(contributions, messages, len(rules))
        return cls(contributions.linear, relevance, leaving, messages)

    def kept(self) -> tuple[Tensor, Tensor]:
        """What the bias and the stabiliser kept, each ``(rule, sample)`` in float64."""
        of_bias, handed = torch.zeros_like(self.relevance, dtype=torch.float64).expand(2, *self.relevance.shape).clone()
        for each in self.messages:
            of_bias[each.places] = each.total(lambda pool: pool.bias)
            handed[each.places] = each.total(lambda pool: pool.total)
        return self.linear.by_sample(of_bias), self.linear.by_sample(self.relevance - handed)


def _handed_back(contributions: Contributions, messages: Sequence[Messages], rules: int) -> Tensor:
    """Relevance of the inputs ``(rule, sample, ...)``: one transposed product per message and kind of input."""
    inputs = contributions.inputs
    found = empty_rows(rules, inputs)
    for each in messages:
        terms = [(message, *term) for pool, message in each.messages for term in pool.terms]
        for row, rule in enumerate(each.places):
            for place, (message, factor, weight) in enumerate(terms):
                share = contributions.linear.adjoint(message[row], weight, inputs)
                if place:
                    found[rule].addcmul_(factor, share)
                else:
                    torch.mul(factor, share, out=found[rule])
    return found
