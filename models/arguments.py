"""Checks of what a network is built with and asked."""

from __future__ import annotations

from torch import Tensor


def require_positive(**arguments: int) -> None:
    """ValueError naming the argument that is below 1."""
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; expected 1 or more.")


def require_rate(dropout: float) -> None:
    """ValueError where a dropout is not 0 to below 1."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; expected 0 to below 1.")


def require_starts(starts: Tensor, inputs: Tensor) -> None:
    """ValueError naming a start ``(interval,)`` that lies outside the window of inputs ``(sample, channel, time)``."""
    steps = inputs.shape[2]
    outside = (starts < 0) | (starts >= steps)
    if outside.any():
        raise ValueError(f"starts holds {int(starts[outside][0])}; expected 0 to {steps - 1}.")
