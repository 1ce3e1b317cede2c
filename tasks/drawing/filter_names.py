"""Relevance filters as figures name them: their kind, and the range they keep or limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from .style import UNDECIDED

RAW = "raw"
KINDS = ("pass", "clamp")
_NAME = re.compile(r"(pass|clamp)(?:([\d.]+)-)?([\d.]+)((?:_.*)?)")
_SERIES = ("#56b4e9", "#d55e00", "#009e73", "#aa4499", "#999933", "#332288")


def filter_kind(name: str) -> str:
    """``pass``, ``clamp`` or ``raw``; ValueError for another name."""
    if name == RAW:
        return RAW
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"filter is {name!r}; expected 'raw', 'pass<low>-<high>' or 'clamp[<low>-]<high>'.")
    return found[1]


def filter_range(name: str) -> str:
    """``(0, 0.2)`` of ``clamp0.2`` or ``pass0-0.2``, in fractions of the largest |R|; ``raw``."""
    if filter_kind(name) == RAW:
        return RAW
    found = _NAME.fullmatch(name)
    assert found is not None
    return f"({found[2] or '0'}, {found[3]})" + found[4].replace("_", "\n")


def of_kind(names: Iterable[str], kind: str) -> list[str]:
    """The filters of a kind in their order, raw among them: what they are compared with."""
    return [name for name in dict.fromkeys(names) if filter_kind(name) in (kind, RAW)]


def kinds_of(names: Iterable[str]) -> list[str]:
    """The kinds that occur, pass before clamp."""
    found = {filter_kind(name) for name in names}
    return [kind for kind in KINDS if kind in found]


def series_colours(series: Sequence[str]) -> dict[str, str]:
    """A colour for each series of networks, in their order; beyond the sixth grey."""
    return {name: _SERIES[place] if place < len(_SERIES) else UNDECIDED for place, name in enumerate(series)}


def jitter(count: int, width: float) -> np.ndarray:
    """Steps aside ``(count,)`` within +-width / 2, the same every time, so that equal values do not hide each other."""
    return (np.random.default_rng(count).random(count) - 0.5) * width
