"""LRP rules for the layer that touches the inputs: they share by another map than the layer's own.

None of them asks what a bias contributed: the whole relevance goes to the inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from .contributions import Contributions, Message, Pool, per_unit
from .rules import STABILISER, number_text

BoxVersion = Literal["correct", "head", "published"]


@dataclass(frozen=True)
class ZBox:
    """Shares by ``x w - low w+ - high w-``, for inputs between ``low`` and ``high`` (Montavon et al., 2017, eq. 15).

    Both hold for every channel. Two other versions are those of Tjoa et al.'s code: ``head`` shares by ``x w+ - low
    w+ - high w-``, so that points where the inputs are 0 receive what dark ones should; ``published`` by ``x w+ - low
    w+ - high w+``, which for bounds 0 and 1 is ``(x - 1) w+``: the darker, the more.
    Raises ValueError unless low is below high, and for another version.
    """

    low: float
    high: float
    version: BoxVersion = "correct"

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low is {self.low} and high {self.high}; expected two numbers, low below high.")
        if self.version not in get_args(BoxVersion):
            raise ValueError(f"version is {self.version!r}; expected one of {', '.join(get_args(BoxVersion))}.")

    @property
    def name(self) -> str:
        """``zbox_l<low>_h<high>[_<version>]``."""
        version = "" if self.version == "correct" else f"_{self.version}"
        return f"zbox_l{number_text(self.low)}_h{number_text(self.high)}{version}"

    @classmethod
    def from_name(cls, name: str) -> ZBox | None:
        """The rule of that name, None where the name is another's."""
        found = re.fullmatch(r"zbox_l([^_]+)_h([^_]+)(?:_(head|published))?", name)
        version: Any = found and (found[3] or "correct")
        return cls(float(found[1]), float(found[2]), version) if found else None

    def messages(self, relevance: Tensor, contributions: Contributions) -> list[Message]:
        """As `Rule.messages`: the distance to ``low`` counts for positive weights, that to ``high`` for negative."""
        inputs, above, below = contributions.inputs, contributions.linear.above, contributions.linear.below
        if self.version == "published":
            return _in_proportion(relevance, contributions.of((inputs - (self.low + self.high), above)))
        from_high = torch.full_like(inputs, -self.high) if self.version == "head" else inputs - self.high
        return _in_proportion(relevance, contributions.of((inputs - self.low, above), (from_high, below)))


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
