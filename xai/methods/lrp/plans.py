"""What one run of LRP is made of, whatever it was asked by: a rule, a propagation of Tjoa et al., or one filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...protocols import RelevanceFilter
from ...scores import OUTPUT_SUM
from .composites import LayerRules
from .descent import Score
from .filtered import Filtered
from .propagation import Propagation
from .tjoa import Tjoa

AnyRule = LayerRules | Tjoa | Filtered
"""What LRP can be asked for."""


@dataclass(frozen=True)
class Plan:
    """The rules of the layers, the propagation, the filters and the points they stand at, and where relevance starts.

    ``score`` is None where it is the score that is explained.
    """

    rule: LayerRules
    propagation: Propagation = Propagation()  # noqa: RUF009 - frozen
    filters: Sequence[RelevanceFilter] = ()
    points: Sequence[str] | None = None
    score: Score | None = None

    @classmethod
    def of(cls, asked: AnyRule) -> Plan:
        """The plan of what was asked for."""
        if isinstance(asked, Filtered):
            return replace(cls.of(asked.rule), filters=asked.filters, points=asked.points)
        if isinstance(asked, Tjoa):
            return cls(asked.rule, asked.propagation, score=OUTPUT_SUM if asked.start == "both" else None)
        return cls(asked)

    def only_rule(self) -> LayerRules:
        """The rule of a plan that has nothing else; ValueError for others."""
        if self != Plan(self.rule):
            raise ValueError("rules holds a filter or a Tjoa; LRP through LSTM layers takes neither.")
        return self.rule
