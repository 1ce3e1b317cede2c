"""A rule with relevance filters on the way: what a sweep over filters asks for, all from one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

from ...protocols import RelevanceFilter
from .composites import LayerRules
from .tjoa import Tjoa

PAPER = "-paper"


@dataclass(frozen=True)
class Filtered:
    """A rule or propagation with ``filters`` at ``points``: one for all of them, or one for each, in their order.

    A point is a layer's name (the filter acts on what it hands to each of its inputs), a layer's name and the place
    of one input (``cat[1]``), or ``score`` (what the score hands to the outputs). Without ``points`` they are those
    of `filter_points`, where Tjoa et al. filter. Raises ValueError for no filter.
    """

    rule: LayerRules | Tjoa
    filters: tuple[RelevanceFilter, ...]
    points: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.filters:
            raise ValueError("filters is empty; expected one for all points, or one for each.")

    @property
    def name(self) -> str:
        """``<rule>_<filter>[+<filter>]...[@<point>]...``; the suffix ``-paper`` of a rule stays last."""
        filters = "+".join(each.name for each in self.filters)
        points = "".join(f"@{point}" for point in self.points or ())
        paper = PAPER if self.rule.name.endswith(PAPER) else ""
        return f"{self.rule.name.removesuffix(PAPER)}_{filters}{points}{paper}"
