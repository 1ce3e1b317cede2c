"""Where a linear map stands in its network: what composites of rules choose by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Layer:
    """A linear map of a network: its ``name``, its ``kind``, and whether no other stands before it (``first``)."""

    name: str
    kind: Literal["linear", "convolution"]
    first: bool = False
