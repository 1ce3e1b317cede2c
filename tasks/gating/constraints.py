"""What was found of each demand, and the verdict over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .demands import Proof

SIGNIFICANCE = 0.05
Answer = Literal["holds", "broken", "not asked"]


@dataclass(frozen=True)
class Constraint:
    """One demand, the value that was found with its 95 % interval, and whether it holds.

    ``shown`` is that the whole interval lies on that ``side`` of ``bound`` and, where it was tested in a ``family``,
    that the corrected p is at most 0.05. With the proof ``must_show`` the constraint holds when that is shown, and
    what is undefined never holds; with ``must_not_show`` it is broken when that is shown, and what is undefined is
    not asked. ``note``: of which groups or version the value is, or the reason where it is not asked or undefined.
    """

    kind: str
    name: str
    demand: str
    bound: float
    value: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    p_adjusted: float | None = None
    family: str = ""
    proof: Proof = "must_show"
    side: Literal["above", "below"] = "above"
    asked: bool = True
    note: str = ""

    @property
    def shown(self) -> bool:
        """Whether the whole interval lies on the named side of the bound, and the corrected test agrees."""
        significant = self.p_adjusted is None or self.p_adjusted <= SIGNIFICANCE
        beyond = self.ci_low > self.bound if self.side == "above" else self.ci_high < self.bound
        return bool(beyond and significant)

    @property
    def verdict(self) -> Answer:
        """``holds``, ``broken`` or ``not asked``."""
        if not self.asked:
            return "not asked"
        if self.proof == "must_show":
            return "holds" if self.shown else "broken"
        if math.isnan(self.ci_low) or math.isnan(self.ci_high):
            return "not asked"
        return "broken" if self.shown else "holds"

    @property
    def sentence(self) -> str:
        """What was found and what was demanded."""
        note = f" ({self.note})" if self.note and not math.isnan(self.value) else ""
        return f"{self.name} is {self.found}{note}; demanded is {self.demand}"

    @property
    def found(self) -> str:
        """The value with its interval and corrected p, or why there is none."""
        if math.isnan(self.value):
            reason = self.note or "there are too few to compare"
            return reason if self.verdict == "not asked" else f"undefined, {reason}"
        if math.isnan(self.ci_low) or math.isnan(self.ci_high):
            return f"{self.value:.3g}, of too few for an interval"
        p = "" if self.p_adjusted is None else f", corrected p = {self.p_adjusted:.2g}"
        return f"{self.value:.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}]{p}"

    def as_row(self) -> dict[str, Any]:
        """A JSON-ready row; undefined numbers become ``None``."""
        numbers = ("value", "ci_low", "ci_high", "bound", "p_adjusted")
        words = ("kind", "name", "demand", "proof", "side", "family", "note")
        return {
            **{name: getattr(self, name) for name in words},
            **{name: _number(getattr(self, name)) for name in numbers},
            "verdict": self.verdict,
        }


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a version."""

    constraints: tuple[Constraint, ...]

    def of(self, verdict: Answer) -> tuple[Constraint, ...]:
        """The constraints with this verdict."""
        return tuple(constraint for constraint in self.constraints if constraint.verdict == verdict)

    @property
    def passed(self) -> bool:
        """Whether no constraint is broken, and at least one was asked."""
        return not self.of("broken") and bool(self.of("holds"))

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        silent = len(self.of("not asked"))
        tail = f"; {silent} not asked" if silent else ""
        if self.passed:
            asked = len(self.of("holds"))
            return (
                f"passed: all {asked} constraints that were asked hold{tail}" if silent else f"passed: all {asked} hold"
            )
        broken = "; ".join(constraint.sentence for constraint in self.of("broken"))
        return f"refused: {broken or 'no constraint was asked'}{tail}"

    def as_document(self) -> dict[str, Any]:
        """The content of ``violations.json``."""
        return {
            "passed": self.passed,
            "verdict": self.sentence,
            "constraints": [constraint.as_row() for constraint in self.constraints],
            "violations": [constraint.as_row() for constraint in self.of("broken")],
        }


def judge_version(constraints: Sequence[Constraint]) -> Verdict:
    """The verdict over all constraints of a study."""
    if not constraints:
        raise ValueError("constraints is empty; expected at least one, or nothing is guarded.")
    return Verdict(tuple(constraints))
