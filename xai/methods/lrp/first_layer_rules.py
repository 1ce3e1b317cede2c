"""LRP rules for the layer that touches the inputs: they share by another map than the layer's own.

None of them asks what a bias contributed: the whole relevance goes to the inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from .contributions import Contributions, Message, Pool, per_unit
from .rules import STABILISER, number_text


@dataclass(frozen=True)
class ZBox:
    """Shares by ``x w - low w+ - high w-``, for inputs between ``low`` and ``high`` (Montavon et al., 2017, eq. 15).

    Both hold for every channel. Raises ValueError unless low is below high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low is {self.low} and high {self.high}; expected two numbers, low below high.")

    @property
    def name(self) -> str:
        """``zbox_l<low>_h<high>``."""
        return f"zbox_l{number_text(self.low)}_h{number_text(self.high)}"

    @classmethod
    def from_name(cls, name: str) -> ZBox | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"zbox_l(.+)_h(.+)", name)
        return cls(float(found[1]), float(found[2])) if found else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: the distance to ``low`` counts for positive weights, that to ``high`` for negative."""
        inputs, weight = contributions.inputs, contributions.weight
        above = (inputs - self.low, weight.clamp(min=0))
        below = (inputs - self.high, weight.clamp(max=0))
        return _in_proportion(relevance, contributions.of(above, below))


@dataclass(frozen=True)
class WSquare:
    """Shares by the squared weights, whatever the inputs (Montavon et al., 2017, eq. 13)."""

    @property
    def name(self) -> str:
        """``wsquare``."""
        return "wsquare"

    @classmethod
    def from_name(cls, name: str) -> WSquare | None:
        """The rule of that name, None where the name is another's."""
        return cls() if name == "wsquare" else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`."""
        squares = contributions.weight.square()
        return _in_proportion(relevance, contributions.of((torch.ones_like(contributions.inputs), squares)))


@dataclass(frozen=True)
class Flat:
    """Shares evenly over all inputs that a unit sees (Lapuschkin et al., 2019)."""

    @property
    def name(self) -> str:
        """``flat``."""
        return "flat"

    @classmethod
    def from_name(cls, name: str) -> Flat | None:
        """The rule of that name, None where the name is another's."""
        return cls() if name == "flat" else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`."""
        ones = (torch.ones_like(contributions.inputs), torch.ones_like(contributions.weight))
        return _in_proportion(relevance, contributions.of(ones))


def _in_proportion(relevance: Tensor, pool: Pool) -> list[Message]:
    return [(pool, per_unit(relevance, pool.total, STABILISER))]
