"""What flows into the outputs of a linear map, in the pools by which LRP rules share relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


class LinearMap(Protocol):
    """A linear map with a bias.

    ``weight`` and whatever is put in its place have its shape; ``above`` and ``below`` are its positive and its
    negative part. ``bias`` broadcasts over the outputs.
    """

    @property
    def weight(self) -> Tensor:
        """The weights."""
        ...

    @property
    def above(self) -> Tensor:
        """The weights where they are positive, else 0."""
        ...

    @property
    def below(self) -> Tensor:
        """The weights where they are negative, else 0."""
        ...

    @property
    def bias(self) -> Tensor:
        """The bias, zero where the layer has none."""
        ...

    def apply(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs ``(sample, ...)`` of ``inputs (sample, ...)`` by ``weight`` and ``bias``."""
        ...

    def adjoint(self, messages: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
        """The transposed map: ``messages (sample, ...)`` on the outputs, taken to the shape of ``inputs``.

        Returns that shape, or what broadcasts to it.
        """
        ...

    def by_sample(self, values: Tensor) -> Tensor:
        """Sums ``(row, sample)`` in float64 of ``values (row, ...)`` on the outputs."""
        ...


@dataclass(frozen=True)
class Pool:
    """Some of the contributions to the outputs of a map, and the share of its bias that belongs to them.

    ``terms`` are pairs of inputs and weights; ``total`` is the sum over the pool, in the shape of the outputs.
    """

    linear: LinearMap
    terms: Sequence[tuple[Tensor, Tensor]]
    bias: Tensor
    known_total: Tensor | None = None

    @cached_property
    def total(self) -> Tensor:
        """The sum of contributions and bias."""
        if self.known_total is not None:
            return self.known_total
        (inputs, weight), *others = self.terms
        found = self.linear.apply(inputs, weight, self.bias)
        for inputs, weight in others:
            found = found.add_(self.linear.apply(inputs, weight))
        return found


Message = tuple[Pool, Tensor]
"""A pool, and the relevance that each unit of contribution in it receives: the outputs' shape, and an axis before."""


@dataclass(frozen=True)
class Contributions:
    """The contributions to the outputs ``total`` (z) of a linear map by its ``inputs (sample, ...)``.

    The pools are worked out when a rule asks for them, and once.
    """

    linear: LinearMap
    inputs: Tensor
    total: Tensor

    @cached_property
    def all(self) -> Pool:
        """All contributions; they sum to the outputs."""
        return Pool(self.linear, [(self.inputs, self.weight)], self.linear.bias, self.total)

    @cached_property
    def positive(self) -> Pool:
        """Positive products ``weight * input``, and the bias where it is positive."""
        pairs = zip(self._inputs, (self.linear.above, self.linear.below), strict=False)
        return Pool(self.linear, list(pairs), self.linear.bias.clamp(min=0))

    @cached_property
    def negative(self) -> Pool:
        """Negative products ``weight * input``, and the bias where it is negative.

        Worked out by itself: ``total - positive.total`` would lose the digits of a small negative sum.
        """
        pairs = zip(self._inputs, (self.linear.below, self.linear.above), strict=False)
        return Pool(self.linear, list(pairs), self.linear.bias.clamp(max=0))

    @property
    def weight(self) -> Tensor:
        """The weights of the map."""
        return self.linear.weight

    def of(self, *terms: tuple[Tensor, Tensor]) -> Pool:
        """The contributions of other ``(inputs, weight)`` put in place of the layer's own, without a bias."""
        return Pool(self.linear, terms, torch.zeros_like(self.linear.bias))

    @cached_property
    def _inputs(self) -> tuple[Tensor, ...]:
        """Positive and negative parts of the inputs; the inputs alone where none is negative, as after a ReLU."""
        if self.inputs.numel() and self.inputs.amin() >= 0:
            return (self.inputs,)
        return self.inputs.clamp(min=0), self.inputs.clamp(max=0)


def per_unit(relevance: Tensor, total: Tensor, epsilon: float) -> Tensor:
    """``relevance (row, ...)`` per unit of the stabilised ``total (...)``."""
    denominator = stabilised(total, epsilon)
    if len(relevance) == 1:  # without memory of its own
        return torch.div(relevance[0], denominator, out=denominator)[None]
    return relevance / denominator


def stabilised(values: Tensor, epsilon: float) -> Tensor:
    """``values`` moved away from zero by ``epsilon``, zero itself upwards."""
    return torch.copysign(values.new_tensor(epsilon), values).add_(values)
