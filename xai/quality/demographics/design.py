"""What is tested, declared before any share is seen: the factors and the families of tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from ..resampling import Array

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Factor:
    """One thing known of the subjects, a column of the table.

    ``levels`` are the two values coded 0 and 1 (placebo, drug; female, male): a positive coefficient means more
    relevance at the second. Without levels the factor is a number, per whose unit a coefficient counts.
    ``within`` says that it differs between the nights of a subject, who is then compared with himself.
    """

    name: str
    levels: tuple[str, str] | None = None
    within: bool = False

    def __post_init__(self) -> None:
        if self.within and self.levels is None:
            raise ValueError(f"Factor {self.name!r} is within subjects without levels; expected its two levels.")

    def coded(self, values: pd.Series) -> pd.Series:
        """The values as numbers, NaN where unknown; ValueError names a value that is no level, or no number."""
        if self.levels is None:
            try:
                return values.astype(float)
            except (TypeError, ValueError) as error:
                raise ValueError(f"Factor {self.name!r} holds a value that is no number ({error}).") from error
        strange = sorted(set(values.dropna().astype(str)) - set(self.levels))
        if strange:
            raise ValueError(f"Factor {self.name!r} holds {strange}; expected {list(self.levels)}.")
        codes = {level: float(code) for code, level in enumerate(self.levels)}
        return values.astype(object).map(codes).astype(float)


@dataclass(frozen=True)
class Family:
    """Tests that are corrected together, per explainer: every part and factor in each ``(true, predicted)`` group."""

    name: str
    groups: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Design:
    """Factors, parts and families of a study; ``random`` are the columns with random intercepts in the mixed model."""

    factors: tuple[Factor, ...]
    parts: tuple[str, ...]
    families: tuple[Family, ...]
    random: tuple[str, ...] = ("subject",)

    def __post_init__(self) -> None:
        groups = [group for family in self.families for group in family.groups]
        for argument, items in (("factors", [f.name for f in self.factors]), ("parts", self.parts), ("groups", groups)):
            if not items or len(set(items)) < len(items):
                raise ValueError(f"{argument} are {items}; expected at least one, each once.")

    def between(self) -> Indices:
        """Positions of the factors that belong to the subject."""
        return np.flatnonzero([not factor.within for factor in self.factors])

    def within(self) -> Indices:
        """Positions of the factors that differ between a subject's nights."""
        return np.flatnonzero([factor.within for factor in self.factors])


def correct(classes: Sequence[str]) -> Family:
    """The groups classified correctly: the confirmatory family, in the paper 5 stages x 3 parts x 3 factors."""
    return Family("correct", tuple((name, name) for name in classes))


def misclassified(classes: Sequence[str]) -> Family:
    """Every group classified wrongly: exploratory."""
    return Family("misclassified", tuple(permutations(classes, 2)))


def check_varies(design: Design, coded: Array) -> None:
    """Refuses units ``(unit, factor)`` among which a factor does not vary."""
    for factor, values in zip(design.factors, coded.T, strict=True):
        if len(np.unique(values)) < 2:
            found = f"only {values[0]:g}" if len(values) else "no value"
            raise ValueError(f"Factor {factor.name!r} does not vary: the table holds {found}; expected two or more.")
