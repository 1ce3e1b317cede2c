"""The gate: the constraints that a version must meet before it may be called champion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from xai.methods import CONTROLS

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Constraint:
    """One demand, the value that was found with its interval, and whether it holds.

    A constraint holds when the interval's lower bound lies above ``bound`` and, where it was tested in a
    family, the corrected p is at most 0.05: the best of many explainers is chosen on the same subjects. An
    undefined value never holds.
    """

    name: str
    demand: str
    value: float
    ci_low: float
    ci_high: float
    bound: float
    p_adjusted: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the lower bound is above the demanded bound, and the corrected test agrees."""
        significant = self.p_adjusted is None or self.p_adjusted <= SIGNIFICANCE
        return bool(self.ci_low > self.bound and significant)

    @property
    def sentence(self) -> str:
        """What was found and what was demanded."""
        return f"{self.name} is {self._found}; demanded is {self.demand}"

    @property
    def _found(self) -> str:
        if math.isnan(self.value):
            return "undefined, there are too few to compare"
        if math.isnan(self.ci_low):
            return f"{self.value:.3g}, of too few for an interval"
        p = "" if self.p_adjusted is None else f", corrected p = {self.p_adjusted:.2g}"
        return f"{self.value:.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}]{p}"

    def as_row(self) -> dict[str, Any]:
        """A JSON-ready row; undefined numbers become ``None``."""
        row = asdict(self)
        for name in ("value", "ci_low", "ci_high", "bound", "p_adjusted"):
            row[name] = None if row[name] is None or math.isnan(row[name]) else float(row[name])
        return {**row, "holds": self.holds}


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a version."""

    constraints: tuple[Constraint, ...]

    @property
    def passed(self) -> bool:
        """Whether every constraint holds."""
        return all(constraint.holds for constraint in self.constraints)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        broken = [constraint for constraint in self.constraints if not constraint.holds]
        if not broken:
            return f"passed: all {len(self.constraints)} constraints hold"
        return f"refused: {'; '.join(constraint.sentence for constraint in broken)}"

    def as_document(self) -> dict[str, Any]:
        """The content of ``violations.json``."""
        return {
            "passed": self.passed,
            "verdict": self.sentence,
            "constraints": [constraint.as_row() for constraint in self.constraints],
            "violations": [constraint.as_row() for constraint in self.constraints if not constraint.holds],
        }


def better_than_chance(performance: dict[str, Any], classes: int) -> Constraint:
    """Balanced accuracy above one over the number of judged classes, by its interval over subjects.

    Classes with too few subjects are left out of balanced accuracy, and so of what chance would reach.
    """
    judged = classes - len(performance["classes_left_out"])
    chance = 1 / judged if judged else math.nan
    return Constraint(
        name="balanced_accuracy",
        demand=f"above chance, {chance:.3g}",
        value=performance["balanced_accuracy"],
        ci_low=performance["balanced_accuracy_ci_low"],
        ci_high=performance["balanced_accuracy_ci_high"],
        bound=chance,
    )


def overlaps_better_than_chance(performance: dict[str, Any]) -> Constraint:
    """Dice above that of marking everything that has signal, by its interval over subjects."""
    chance = performance["dice_by_chance"]
    return Constraint(
        name="dice",
        demand=f"above that of marking all signal, {chance:.3g}",
        value=performance["dice"],
        ci_low=performance["dice_ci_low"],
        ci_high=performance["dice_ci_high"],
        bound=chance,
    )


def trained_in_corrected_mode(mode: str) -> Constraint:
    """Versions trained as the paper did, defects included, are never promoted."""
    value = float(mode == "corrected")
    return Constraint("corrected_mode", "trained in corrected mode (1)", value, value, value, bound=0.5)


def beats_controls(comparisons: pd.DataFrame, best: str, metric: str) -> list[Constraint]:
    """The best explainer is more faithful than each control, by the paired difference over subjects."""
    return [
        Constraint(
            name=f"{metric}: {best} against {control}",
            demand="a paired advantage above 0, Holm-corrected",
            **advantage(comparisons, best, control),
            bound=0.0,
        )
        for control in CONTROLS
    ]


def advantage(comparisons: pd.DataFrame, first: str, second: str) -> dict[str, float]:
    """By how much ``first`` is better than ``second``: value, interval and corrected p, NaN where not compared.

    Read from the table of `xai.quality.comparison.compare`; positive whichever direction is better.
    """
    for a, b, turned in ((first, second, 1.0), (second, first, -1.0)):
        found = comparisons[(comparisons["first"] == a) & (comparisons["second"] == b)]
        if len(found):
            row = found.iloc[0]
            sign = turned if row["direction"] == "higher" else -turned
            low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
            p = row["p_adjusted"]
            return {"value": sign * row["difference"], "ci_low": low, "ci_high": high, "p_adjusted": p}
    return dict.fromkeys(("value", "ci_low", "ci_high", "p_adjusted"), math.nan)


def judge_version(constraints: Sequence[Constraint]) -> Verdict:
    """The verdict over all constraints of a study."""
    if not constraints:
        raise ValueError("constraints is empty; expected at least one, or nothing is guarded.")
    return Verdict(tuple(constraints))
