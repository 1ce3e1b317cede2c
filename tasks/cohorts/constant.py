"""Whether a signal says anything: tens of millions of values, of which the first thousands nearly always tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOOKED_AT = 1 << 14
"""Values compared at a time."""


def is_constant(values: NDArray[Any]) -> bool:
    """Whether all ``values`` (any shape, at least one) are equal; NaN equals nothing."""
    flat = values.reshape(-1)
    parts = (flat[first : first + _LOOKED_AT] for first in range(0, len(flat), _LOOKED_AT))
    return all(bool(np.all(part == flat[0])) for part in parts)
