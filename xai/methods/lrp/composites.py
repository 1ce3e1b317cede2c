"""Composites: one LRP rule for convolutions, one for linear layers, and perhaps one for the layers at the inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .first_layer_rules import Flat, ZBox
from .layer import Layer
from .rules import AlphaBeta, Epsilon, Gamma, Rule, number_text


@dataclass(frozen=True)
class Composite:
    """Rules by position (Montavon et al., 2019, section 10.3; Kohlbrenner et al., 2020).

    ``first`` holds for the linear maps that no other stands before, whatever their kind; without it they follow
    ``convolution`` or ``linear`` as all others do. LSTM layers follow the epsilon rule. ``name`` is
    ``composite_<label>``.
    """

    label: str
    convolution: Rule
    linear: Rule
    first: Rule | None = None

    @property
    def name(self) -> str:
        """``composite_<label>``."""
        return f"composite_{self.label}"

    @classmethod
    def from_name(cls, name: str) -> Composite | None:
        """The composite of that name in `COMPOSITES`, or a ``<family>_l<low>_h<high>`` of `BOXES`; else None."""
        found = re.fullmatch(r"composite_(.+_box)_l(.+)_h(.+)", name)
        if found and found[1] in BOXES:
            return BOXES[found[1]](float(found[2]), float(found[3]))
        return next((composite for composite in COMPOSITES if composite.name == name), None)

    def at(self, layer: Layer) -> Rule:
        """The rule for a layer."""
        if layer.kind == "recurrent":
            return Epsilon()
        if layer.first and self.first is not None:
            return self.first
        return self.convolution if layer.kind == "convolution" else self.linear


LayerRules = Rule | Composite
"""One rule everywhere, or rules by position."""


def rule_for(rule: LayerRules, layer: Layer) -> Rule:
    """The rule that holds for a layer."""
    return rule.at(layer) if isinstance(rule, Composite) else rule


_SMALL = Epsilon(1e-6)

EPSILON_PLUS = Composite("epsilon_plus", convolution=AlphaBeta(1, 0), linear=_SMALL)
EPSILON_PLUS_FLAT = Composite("epsilon_plus_flat", convolution=AlphaBeta(1, 0), linear=_SMALL, first=Flat())
EPSILON_ALPHA2BETA1 = Composite("epsilon_alpha2beta1", convolution=AlphaBeta(2, 1), linear=_SMALL)
EPSILON_ALPHA2BETA1_FLAT = Composite("epsilon_alpha2beta1_flat", AlphaBeta(2, 1), _SMALL, first=Flat())

COMPOSITES = (EPSILON_PLUS, EPSILON_PLUS_FLAT, EPSILON_ALPHA2BETA1, EPSILON_ALPHA2BETA1_FLAT)
"""The composites in common use, under the names that the field gives them."""


def epsilon_gamma_box(low: float, high: float) -> Composite:
    """Gamma 0.25 in convolutions, epsilon in linear layers, z-box for inputs between ``low`` and ``high``."""
    label = f"epsilon_gamma_box_l{number_text(low)}_h{number_text(high)}"
    return Composite(label, convolution=Gamma(0.25), linear=_SMALL, first=ZBox(low, high))


def zplus_box(low: float, high: float) -> Composite:
    """Z+ (alpha 1, beta 0) in all layers, z-box for inputs between ``low`` and ``high``: Tjoa et al. put right."""
    label = f"zplus_box_l{number_text(low)}_h{number_text(high)}"
    return Composite(label, convolution=AlphaBeta(1, 0), linear=AlphaBeta(1, 0), first=ZBox(low, high))


BOXES: Mapping[str, Callable[[float, float], Composite]] = {
    "epsilon_gamma_box": epsilon_gamma_box,
    "zplus_box": zplus_box,
}
"""The composites for inputs within bounds, by the name of their family."""
