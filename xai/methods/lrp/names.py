"""The catalogue of LRP rules, by name."""

from __future__ import annotations

from .composites import AnyRule, Composite
from .first_layer_rules import Flat, WSquare, ZBox
from .rules import AlphaBeta, Epsilon, Gamma, Rule

RULES: tuple[type[Rule] | type[Composite], ...] = (Epsilon, AlphaBeta, Gamma, ZBox, WSquare, Flat, Composite)


def rule_named(name: str) -> AnyRule | None:
    """The rule of that name, None where there is none."""
    for family in RULES:
        try:
            found = family.from_name(name)
        except ValueError:
            continue
        if found is not None and found.name == name:
            return found
    return None
