"""The catalogue of what LRP can be asked for, by name."""

from __future__ import annotations

import re

from .composites import Composite, LayerRules
from .filtered import Filtered
from .filters import filter_named
from .first_layer_rules import Flat, WSquare, ZBox
from .plans import AnyRule
from .rules import AlphaBeta, Epsilon, Gamma, Rule, WPlus
from .tjoa import Tjoa

RULES: tuple[type[Rule] | type[Composite] | type[Tjoa], ...] = (
    *(Epsilon, AlphaBeta, Gamma, WPlus, ZBox, WSquare, Flat),
    Composite,
    Tjoa,
)


def rule_named(name: str) -> AnyRule | None:
    """The rule, composite or propagation of that name, filtered or not; None where there is none."""
    found = _unfiltered(name)
    return _filtered(name) if found is None else found


def _unfiltered(name: str) -> LayerRules | Tjoa | None:
    for family in RULES:
        try:
            found = family.from_name(name)
        except ValueError:
            continue
        if found is not None and found.name == name:
            return found
    return None


def _filtered(name: str) -> Filtered | None:
    parts = re.fullmatch(r"(.+?)_((?:pass|clamp|raw)[^@]*?)((?:@[^@]+)*?)(-paper)?", name)
    if parts is None:
        return None
    rule = _unfiltered(parts[1] + (parts[4] or ""))
    filters = [filter_named(each) for each in parts[2].split("+")]
    if rule is None or None in filters:
        return None
    points = tuple(parts[3].split("@")[1:]) or None
    return Filtered(rule, tuple(each for each in filters if each is not None), points)
