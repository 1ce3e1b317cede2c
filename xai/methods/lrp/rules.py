"""LRP rules: how a linear map hands the relevance of its outputs to what flowed into them.

An output is the sum of its contributions ``weight * input`` and of its bias. A rule names pools of contributions
(`Contributions`: all, the positive, the negative, or those of another map put in place of the layer's) and says how
much relevance each receives per unit; the map hands that back to its inputs.

A new rule is a frozen dataclass with a ``name``, a ``from_name`` and a `Rule.messages`, listed in `names.RULES`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Literal, Protocol

from torch import Tensor

from .contributions import Contributions, Message, per_unit

STABILISER = 1e-6
"""Keeps the denominators of rules away from zero, where epsilon is no parameter of the rule."""


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

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """Pools of contributions, and the relevance that each unit in them receives, in the shape of ``relevance``.

        That is ``(row, ...)``, the shape of the outputs behind one more axis, whose rows go their ways apart.
        What they do not hand on, ``relevance - sum of pool.total * message``, is absorbed, and accounted as epsilon.
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
        return "epsilon" + (f"_e{number_text(self.epsilon)}" if self.epsilon != 1e-3 else "")

    @classmethod
    def from_name(cls, name: str) -> Epsilon | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"epsilon(?:_e(.+))?", name)
        return cls(float(found[1] or 1e-3)) if found else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: all contributions alike."""
        return [(contributions.all, per_unit(relevance, contributions.total, self.epsilon))]


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
        return f"alpha{number_text(self.alpha)}beta{number_text(self.beta)}" if self.beta else "zplus"

    @classmethod
    def from_name(cls, name: str) -> AlphaBeta | None:
        """The rule of that name, None where the name is another's."""
        if name == "zplus":
            return cls(1, 0)
        found = re.fullmatch(r"alpha(.+)beta(.+)", name)
        return cls(float(found[1]), float(found[2])) if found else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: positive and negative contributions apart; without beta the positive alone."""
        found = []
        for factor, pool in ((self.alpha, contributions.positive), (-self.beta, contributions.negative)):
            if factor:
                message = per_unit(relevance, pool.total, STABILISER)
                found.append((pool, message if factor == 1 else message.mul_(factor)))
        return found


@dataclass(frozen=True)
class WPlus:
    """Shares by inputs and positive weights, without the bias: ``x w+ R / (sum of x w+ + 1e-9)``.

    The z+ rule as written for layers that follow a ReLU (Montavon et al., 2017, eq. 14). For ``inputs`` of any sign
    ``positive`` takes their positive part; ``signed`` takes them as they are, as the code of Tjoa et al. does below
    leaky ReLUs, so that the sum may be near zero or negative and quotients explode.
    Raises ValueError for other ``inputs``.
    """

    inputs: Literal["positive", "signed"] = "positive"

    def __post_init__(self) -> None:
        if self.inputs not in ("positive", "signed"):
            raise ValueError(f"inputs is {self.inputs!r}; expected 'positive' or 'signed'.")

    @property
    def name(self) -> str:
        """``wplus``, or ``wplus_signed``."""
        return "wplus" if self.inputs == "positive" else "wplus_signed"

    @classmethod
    def from_name(cls, name: str) -> WPlus | None:
        """The rule of that name, None where the name is another's."""
        found = {rule.name: rule for rule in (cls("positive"), cls("signed"))}
        return found.get(name)

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: by a copy of the layer that has positive weights alone."""
        inputs = contributions.inputs if self.inputs == "signed" else contributions.inputs.clamp(min=0)
        pool = contributions.of((inputs, contributions.linear.above))
        return [(pool, relevance / (pool.total + 1e-9))]


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
        return f"gamma_g{number_text(self.gamma)}"

    @classmethod
    def from_name(cls, name: str) -> Gamma | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"gamma_g(.+)", name)
        return cls(float(found[1])) if found else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: the contributions of the output's sign raised."""
        total, positive = contributions.total, contributions.positive.total
        up = total >= 0
        favoured = positive.where(up, total - positive)  # exact: below zero the negative sum is the larger
        plain = per_unit(relevance, total + self.gamma * favoured, STABILISER)
        raised = (1 + self.gamma) * plain
        return [(contributions.positive, raised.where(up, plain)), (contributions.negative, plain.where(up, raised))]


def number_text(value: float) -> str:
    """A number as names hold it: ``1`` for 1.0."""
    return str(float(value)).removesuffix(".0")
