"""Checks of what a network is built with."""

from __future__ import annotations


def require_positive(**arguments: int) -> None:
    """ValueError naming the argument that is below 1."""
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; expected 1 or more.")


def require_rate(dropout: float) -> None:
    """ValueError where a dropout is not 0 to below 1."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; expected 0 to below 1.")
