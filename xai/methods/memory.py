"""How many copies of an input are evaluated at once, so that memory does not grow with the work."""

from __future__ import annotations

from torch import Tensor

VALUES_AT_ONCE = 2**22
"""Numbers held in the copies of one evaluation; a network's own activations come on top."""


def rows_at_once(inputs: Tensor, most: int) -> int:
    """Rows of the size of one sample of ``inputs (sample, ...)`` to evaluate at once, 1 to ``most``."""
    return max(1, min(most, VALUES_AT_ONCE // inputs.shape[1:].numel()))
