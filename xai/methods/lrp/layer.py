"""Where a layer with weights stands in its network: what composites of rules choose by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Layer:
    """A linear map of a network or an LSTM: its ``name``, its ``kind``, and whether none is before it (``first``)."""

    name: str
    kind: Literal["linear", "convolution", "recurrent"]
    first: bool = False
