"""Which quality metrics are measured, and with how much work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from .metric import Group
from .perturbation import BASELINES, Baseline

GROUPS: tuple[Group, ...] = get_args(Group)
NEED_EXPLAINERS: tuple[Group, ...] = ("stability", "randomisation")


@dataclass(frozen=True)
class QualityPlan:
    """What `measure` measures; the defaults are the groups that need no new explanation.

    ``steps`` evenly spaced steps of the perturbation curves, to which the shares ``tops`` in (0, 1] that
    comprehensiveness and sufficiency are averaged over are added. ``subsets`` random subsets, each of
    ``subset_share`` of the features, for sensitivity-n. ``perturbations`` Gaussian ones of standard
    deviation ``noise`` for infidelity and ``draws`` uniform ones in ±``radius`` for max-sensitivity, both
    in units of the normalised signal. ``randomisation_seed`` draws the weights of randomised networks.
    Without evidence the group ``localisation`` only measures how far the input is covered.

    Raises ValueError for an unknown group or baseline and for a number out of range.
    """

    groups: tuple[Group, ...] = ("faithfulness", "sensitivity", "infidelity", "complexity", "localisation")
    baselines: tuple[Baseline, ...] = BASELINES
    steps: int = 10
    tops: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)
    subsets: int = 50
    subset_share: float = 0.1
    perturbations: int = 20
    noise: float = 0.2
    draws: int = 5
    radius: float = 0.1
    randomisation_seed: int = 0

    def __post_init__(self) -> None:
        _require_known("groups", self.groups, GROUPS)
        _require_known("baselines", self.baselines, BASELINES)
        for name, least in (("steps", 1), ("subsets", 2), ("perturbations", 1), ("draws", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {least} or more.")
        for name in ("noise", "radius"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a positive number.")
        for share in (*self.tops, self.subset_share):
            if not 0 < share <= 1:
                raise ValueError(f"tops or subset_share holds {share}; expected shares in (0, 1].")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QualityPlan:
        """The plan from plain JSON values, where tuples have become lists; unknown names are an error."""
        known = [field.name for field in fields(cls)]
        _require_known("plan", list(values), known)
        arguments: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**arguments)


def _require_known(argument: str, found: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(f"{argument} names {unknown[0]!r}; expected some of {', '.join(known)}.")
