"""LRP rules: how a linear map hands the relevance of its outputs to what flowed into them.

An output is the sum ``z = P + N`` of its contributions ``weight * input`` and of its bias, positive ones in
``P``, negative ones in ``N``. A rule needs no more than these three and the relevance: it says how much
relevance each unit of positive and of negative contribution receives. The map hands that back to its inputs.

A new rule is a frozen dataclass with a ``name``, a ``from_name`` and a `Rule.messages`, listed in `RULES`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Protocol

import torch
from torch import Tensor

STABILISER = 1e-6
"""Keeps the denominators of alpha-beta and gamma away from zero, where epsilon is no parameter of the rule."""


@dataclass(frozen=True)
class Parts:
    """Outputs of a linear map, any shape: ``total`` z, the sums ``positive`` P and ``negative`` N; z = P + N."""

    total: Tensor
    positive: Tensor
    negative: Tensor


class Rule(Protocol):
    """A way to share relevance, with fixed parameters."""

    @property
    def name(self) -> str:
        """The name from which `rule_named` builds an equal rule."""
        ...

    @classmethod
    def from_name(cls, name: str) -> Rule | None:
        """The rule of that name, None where the name is another's; ValueError for parameters out of range."""
        ...

    def messages(self, relevance: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
        """Relevance per unit of positive contribution and per unit of negative contribution, each as ``relevance``.

        What they do not hand on, ``relevance - P * first - N * second``, is absorbed, and accounted as epsilon.
        """
        ...


@dataclass(frozen=True)
class Epsilon:
    """Shares in proportion to the contributions: ``R / (z + epsilon sign(z))`` (Bach et al., 2015, eq. 58).

    Epsilon absorbs relevance where contributions cancel; the default is that of Arras et al. (2017).
    Raises ValueError for an epsilon that is no positive number.
    """

    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise ValueError(f"epsilon is {self.epsilon}; expected a positive number.")

    @property
    def name(self) -> str:
        """``epsilon[_e<epsilon>]``; the default is left out."""
        return "epsilon" + (f"_e{_text(self.epsilon)}" if self.epsilon != 1e-3 else "")

    @classmethod
    def from_name(cls, name: str) -> Epsilon | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"epsilon(?:_e(.+))?", name)
        return cls(float(found[1] or 1e-3)) if found else None

    def messages(self, relevance: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
        """As `Rule.messages`: both the same."""
        message = relevance / stabilised(parts.total, self.epsilon)
        return message, message


@dataclass(frozen=True)
class AlphaBeta:
    """Positive contributions share ``alpha R``, negative ones ``-beta R`` (Bach et al., 2015, eq. 60).

    With alpha 1 and beta 0 it is the z+ rule (Montavon et al., 2017) for inputs of any sign, and named so. The
    rule takes relevance for activation: below an output of negative relevance the signs of its shares turn.
    Raises ValueError where alpha is below 1 or alpha - beta is not 1, which would not conserve relevance.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if not (isfinite(self.alpha) and self.alpha >= 1 and isclose(self.alpha - self.beta, 1)):
            raise ValueError(f"alpha is {self.alpha} and beta {self.beta}; expected alpha - beta = 1, beta 0 or more.")

    @property
    def name(self) -> str:
        """``alpha<alpha>beta<beta>``, or ``zplus`` for alpha 1 and beta 0."""
        return f"alpha{_text(self.alpha)}beta{_text(self.beta)}" if self.beta else "zplus"

    @classmethod
    def from_name(cls, name: str) -> AlphaBeta | None:
        """The rule of that name, None where the name is another's."""
        if name == "zplus":
            return cls(1, 0)
        found = re.fullmatch(r"alpha(.+)beta(.+)", name)
        return cls(float(found[1]), float(found[2])) if found else None

    def messages(self, relevance: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
        """As `Rule.messages`."""
        first = self.alpha * relevance / stabilised(parts.positive, STABILISER)
        return first, -self.beta * relevance / stabilised(parts.negative, STABILISER)


@dataclass(frozen=True)
class Gamma:
    """As epsilon, contributions of the output's own sign counting ``1 + gamma`` times (Andéol et al., 2021).

    With positive outputs only it is the rule of Montavon et al. (2019), section 10.2.1.
    Raises ValueError for a gamma that is no positive number.
    """

    gamma: float

    def __post_init__(self) -> None:
        if not 0 < self.gamma < float("inf"):
            raise ValueError(f"gamma is {self.gamma}; expected a positive number.")

    @property
    def name(self) -> str:
        """``gamma_g<gamma>``."""
        return f"gamma_g{_text(self.gamma)}"

    @classmethod
    def from_name(cls, name: str) -> Gamma | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"gamma_g(.+)", name)
        return cls(float(found[1])) if found else None

    def messages(self, relevance: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
        """As `Rule.messages`."""
        up = parts.total >= 0
        favoured = parts.positive.where(up, parts.negative)
        plain = relevance / stabilised(parts.total + self.gamma * favoured, STABILISER)
        raised = (1 + self.gamma) * plain
        return raised.where(up, plain), plain.where(up, raised)


RULES: tuple[type[Rule], ...] = (Epsilon, AlphaBeta, Gamma)


def rule_named(name: str) -> Rule | None:
    """The rule of that name, None where there is none."""
    for family in RULES:
        try:
            found = family.from_name(name)
        except ValueError:
            continue
        if found is not None and found.name == name:
            return found
    return None


def stabilised(values: Tensor, epsilon: float) -> Tensor:
    """``values`` moved away from zero by ``epsilon``, zero itself upwards."""
    return torch.copysign(values.new_tensor(epsilon), values).add_(values)


def _text(value: float) -> str:
    return str(float(value)).removesuffix(".0")
