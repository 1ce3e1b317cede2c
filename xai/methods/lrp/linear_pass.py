"""Relevance through one linear map, several rules at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .contributions import Contributions, LinearMap, Message
from .rules import Rule


@dataclass(frozen=True)
class LinearPass:
    """Relevance on its way through a linear map.

    ``relevance (rule, sample, ...)`` of the outputs entered, ``leaving (rule, sample, ...)`` of the inputs goes on;
    ``messages`` holds what each rule handed to which contributions.
    """

    linear: LinearMap
    relevance: Tensor
    leaving: Tensor
    messages: Sequence[Sequence[Message]]

    @classmethod
    def down(cls, contributions: Contributions, relevance: Tensor, rules: Sequence[Rule]) -> LinearPass:
        """One rule per entry of ``relevance``'s first axis."""
        messages = [rule.messages(share, contributions) for rule, share in zip(rules, relevance, strict=True)]
        leaving = _handed_back(contributions, messages)
        return cls(contributions.linear, relevance, leaving, messages)

    def kept(self) -> tuple[Tensor, Tensor]:
        """What the bias and the stabiliser kept, each ``(rule, sample)`` in float64."""
        of_bias = torch.stack([_total((message, pool.bias) for pool, message in pairs) for pairs in self.messages])
        handed = torch.stack([_total((message, pool.total) for pool, message in pairs) for pairs in self.messages])
        return self.linear.by_sample(of_bias), self.linear.by_sample(self.relevance - handed)


def _total(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.stack([first.double() * second for first, second in pairs]).sum(0)


def _handed_back(contributions: Contributions, messages: Sequence[Sequence[Message]]) -> Tensor:
    """Relevance of the inputs ``(rule, sample, ...)``: one transposed product per message and kind of input."""
    inputs = contributions.inputs
    found = inputs.new_empty(len(messages), *inputs.shape)
    for leaving, pairs in zip(found, messages, strict=True):
        terms = [(message, *term) for pool, message in pairs for term in pool.terms]
        for place, (message, factor, weight) in enumerate(terms):
            share = contributions.linear.adjoint(message, weight, inputs)
            if place:
                leaving.addcmul_(factor, share)
            else:
                torch.mul(factor, share, out=leaving)
    return found
