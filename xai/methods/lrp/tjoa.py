"""The propagation of Tjoa et al. (2021), defect by defect: what separates it from LRP put right."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from .composites import Composite, zplus_box
from .first_layer_rules import BoxVersion, ZBox
from .propagation import Norms, Propagation, Skips
from .rules import Rule, WPlus

Inputs = Literal["products", "positive", "signed"]
Start = Literal["lesion", "both"]

_VALUES = {"first": BoxVersion, "inputs": Inputs, "norms": Norms, "skip": Skips, "start": Start}


@dataclass(frozen=True)
class Tjoa:
    """The composite `zplus_box(0, 1)` with defects of the authors' code, one by one; each default is right.

    - ``first``, the layer at the inputs: z-box [0, 1] ``correct``; as in the authors' last version (``head``); or as
      ``published``, whose relevance is largest where inputs are 0, outside the brain (`ZBox.version`).
    - ``inputs`` of all other layers: ``products`` shares by positive products of inputs and weights, whatever the
      inputs' signs; ``positive`` by positive inputs and weights; ``signed`` by inputs of any sign and positive
      weights, so that denominators come near zero and quotients explode (`WPlus`).
    - ``norms``: batch norms ``folded`` into the layers before them, or passed as the ``identity``.
    - ``skip``: ``sum`` of what two ways bring to a layer; or ``legacy`` (`Propagation.skips`).
    - ``start``: the explained score, which is the predicted ``lesion``'s; or every output of ``both`` classes.

    Source: github.com/etjoa003/medical_imaging, isles2017. Raises ValueError for a value that is none of these, and
    where all are right, because then there is nothing to tell from the composite.
    """

    first: BoxVersion = "correct"
    inputs: Inputs = "products"
    norms: Norms = "folded"
    skip: Skips = "sum"
    start: Start = "lesion"

    def __post_init__(self) -> None:
        for switch, values in _VALUES.items():
            if getattr(self, switch) not in get_args(values):
                raise ValueError(
                    f"{switch} is {getattr(self, switch)!r}; expected one of {', '.join(get_args(values))}."
                )
        if not self._switched():
            raise ValueError("No switch is set; expected one at least, or zplus_box(0, 1) for LRP put right.")

    @property
    def name(self) -> str:
        """``tjoa-paper`` for all defects of the published code, else ``tjoa_<switch>-<value>`` for each set."""
        if self == PUBLISHED:
            return "tjoa-paper"
        return "_".join(["tjoa", *(f"{switch}-{getattr(self, switch)}" for switch in self._switched())])

    @classmethod
    def from_name(cls, name: str) -> Tjoa | None:
        """The propagation of that name, None where the name is another's; ValueError for an unknown value."""
        if name == "tjoa-paper":
            return PUBLISHED
        if not re.fullmatch(r"tjoa(_[a-z]+-[a-z]+)+", name):
            return None
        switches: dict[str, Any] = dict(part.split("-") for part in name.split("_")[1:])
        return cls(**switches) if switches.keys() <= _VALUES.keys() else None

    @property
    def rule(self) -> Composite:
        """The rules of the layers."""
        whole: Rule = zplus_box(0, 1).linear if self.inputs == "products" else WPlus(self.inputs)
        return Composite("tjoa", convolution=whole, linear=whole, first=ZBox(0, 1, self.first))

    @property
    def propagation(self) -> Propagation:
        """What norms and skips do."""
        return Propagation(self.norms, self.skip)

    def _switched(self) -> list[str]:
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


PUBLISHED = Tjoa("published", "signed", "identity", "legacy", "both")
"""All defects of the version that the paper's figures come from."""
