"""Relevance filters of Tjoa et al.: what is kept of relevance, by its part of the largest absolute relevance there.

A new filter is a frozen dataclass with a ``name``, a ``from_name`` and ``__call__``, listed in `FILTERS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ...protocols import RelevanceFilter
from .rules import number_text

Of = Literal["tensor", "channel"]
"""Whose maximum counts as 1: that of all channels of a sample, or of each channel by itself."""


@dataclass(frozen=True)
class Pass:
    """Keeps relevance whose size is between ``low`` and ``high``, both included, and makes the rest 0.

    Both are parts of the sample's largest absolute relevance ``of`` the tensor or the channel (Tjoa et al.,
    section 2, ``P``). Raises ValueError unless 0 <= low < high <= 1.
    """

    low: float
    high: float
    of: Of = "tensor"

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.of)

    @property
    def name(self) -> str:
        """``pass<low>-<high>[_bychannel]``."""
        return f"pass{number_text(self.low)}-{number_text(self.high)}{_suffix(self.of)}"

    @classmethod
    def from_name(cls, name: str) -> Pass | None:
        """The filter of that name, None where the name is another's."""
        found = re.fullmatch(r"pass([\d.]+)-([\d.]+)(_bychannel)?", name)
        return cls(float(found[1]), float(found[2]), _of(found[3])) if found else None

    def __call__(self, relevance: Tensor) -> Tensor:
        """As `RelevanceFilter`."""
        size, largest = relevance.abs(), _largest(relevance, self.of)
        kept = size <= self.high * largest
        if self.low:
            kept &= size >= self.low * largest
        return relevance.where(kept, 0)


@dataclass(frozen=True)
class Clamp:
    """Limits the size of relevance to ``high`` and, with a ``low``, raises what is smaller to it; signs stay.

    Both are parts of the sample's largest absolute relevance ``of`` the tensor or the channel (Tjoa et al., section
    2, ``C``). That small values are raised is what the authors' code does, and where they call clamps unstable; zero
    stays zero. Raises ValueError unless 0 <= low < high <= 1.
    """

    high: float
    low: float = 0.0
    of: Of = "tensor"

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.of)

    @property
    def name(self) -> str:
        """``clamp[<low>-]<high>[_bychannel]``."""
        low = f"{number_text(self.low)}-" if self.low else ""
        return f"clamp{low}{number_text(self.high)}{_suffix(self.of)}"

    @classmethod
    def from_name(cls, name: str) -> Clamp | None:
        """The filter of that name, None where the name is another's."""
        found = re.fullmatch(r"clamp(?:([\d.]+)-)?([\d.]+)(_bychannel)?", name)
        return cls(float(found[2]), float(found[1] or 0), _of(found[3])) if found else None

    def __call__(self, relevance: Tensor) -> Tensor:
        """As `RelevanceFilter`."""
        largest = _largest(relevance, self.of)
        if self.low:
            return relevance.abs().clamp_(self.low * largest, self.high * largest).mul_(relevance.sign())
        return relevance.clamp(-self.high * largest, self.high * largest)


@dataclass(frozen=True)
class Raw:
    """Changes nothing: a place in a sequence of filters where none acts."""

    @property
    def name(self) -> str:
        """``raw``."""
        return "raw"

    @classmethod
    def from_name(cls, name: str) -> Raw | None:
        """The filter of that name, None where the name is another's."""
        return cls() if name == "raw" else None

    def __call__(self, relevance: Tensor) -> Tensor:
        """As `RelevanceFilter`."""
        return relevance


FILTERS = (Pass, Clamp, Raw)


def filter_named(name: str) -> RelevanceFilter | None:
    """The filter of that name, None where there is none."""
    for family in FILTERS:
        try:
            found: RelevanceFilter | None = family.from_name(name)
        except ValueError:
            continue
        if found is not None and found.name == name:
            return found
    return None


def _check(low: float, high: float, of: str) -> None:
    if not 0 <= low < high <= 1:
        raise ValueError(f"low is {low} and high {high}; expected parts of the maximum, 0 <= low < high <= 1.")
    if of not in ("tensor", "channel"):
        raise ValueError(f"of is {of!r}; expected 'tensor' or 'channel'.")


def _largest(relevance: Tensor, of: Of) -> Tensor:
    """The largest size of ``relevance (sample, channel, *grid)``, by sample or by sample and channel."""
    axes = tuple(range(1 if of == "tensor" else 2, relevance.dim()))
    low, high = relevance.amin(axes, keepdim=True), relevance.amax(axes, keepdim=True)
    return high.maximum(-low)


def _of(suffix: str | None) -> Of:
    return "channel" if suffix else "tensor"


def _suffix(of: Of) -> str:
    return "_bychannel" if of == "channel" else ""


SWEEP: tuple[RelevanceFilter, ...] = (
    *(Pass(0, high) for high in (0.05, 0.1, 0.2, 0.4, 0.6)),
    *(Pass(low, 1) for low in (0.05, 0.1, 0.2, 0.4, 0.6)),
    *(Clamp(high) for high in (0.05, 0.1, 0.2, 0.4, 0.6)),
)
"""The filters that Tjoa et al. compare with raw relevance: ten pass, five clamp."""
