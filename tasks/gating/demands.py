"""What a gate may demand of a version, as data; the catalogue lists the demands of every study.

A demand is proved in one of two ways. ``must_show``: the version has to show it, the whole interval lies on the good
side of the bound; what is undefined, or of too few people, is refused. ``must_not_show``: the version is refused
when the opposite is shown, the whole interval lies on the bad side; what is undefined is not asked.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from xai.quality.metric import METRICS

Proof = Literal["must_show", "must_not_show"]
Quality = Literal["performance", "faithfulness"]
Factor = Literal["sex", "age"]

Margin = Annotated[float, Field(ge=0, le=1)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CorrectedMode:
    """Versions trained as a paper did, defects included, are never promoted."""

    kind: ClassVar[str] = "mode"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class AboveChance:
    """Performance over subjects is more than ``margin`` above chance: balanced accuracy, or Dice of a segmentation."""

    kind: ClassVar[str] = "performance"
    margin: Margin = 0.0
    proof: Proof = "must_show"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class BeatsControls:
    """The best explainer is more faithful than each control by more than ``margin``, in units of the primary metric.

    Paired by subject; p is corrected by Holm over every explainer against every control, because the best of them was
    chosen on the same subjects.
    """

    kind: ClassVar[str] = "faithfulness"
    margin: Annotated[float, Field(ge=0)] = 0.0
    proof: Proof = "must_show"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Localises:
    """The best explainer covers the evidence better than each control does, by more than ``margin``.

    ``metric``: a localisation metric of the job `faithfulness`, area-corrected, so that chance is 0. Not asked where
    the cohort knows no evidence.
    """

    kind: ClassVar[str] = "localisation"
    metric: str
    margin: Margin = 0.1
    proof: Proof = "must_show"

    def __post_init__(self) -> None:
        known = [name for name, metric in METRICS.items() if metric.group == "localisation"]
        if self.metric not in known:
            raise ValueError(f"metric is {self.metric!r}; expected a localisation metric, one of {', '.join(known)}.")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Sane:
    """The best explainer's map changes: with the network's weights (``cascading_randomisation``) or with the class
    that is asked for (``random_logit``). The mean rank correlation with the other map is below ``bound``.

    Maps that look at the input alone, as the controls do, reach 1.
    """

    kind: ClassVar[str] = "sanity"
    metric: Literal["cascading_randomisation", "random_logit"]
    bound: Annotated[float, Field(gt=-1, lt=1)]
    proof: Proof = "must_show"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SubgroupGap:
    """No two groups of subjects differ by more than ``bound``, in performance or in the best explainer's faithfulness.

    Groups of fewer than 5 subjects are not judged. Every pair of groups is compared, p corrected over all of them.
    """

    kind: ClassVar[str] = "subgroups"
    of: Quality
    factor: Factor
    bound: Margin = 0.2
    proof: Literal["must_not_show"] = "must_not_show"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NotWorseThanChampion:
    """On the same subjects, the version is worse than the standing champion by no more than ``margin``."""

    kind: ClassVar[str] = "champion"
    of: Quality
    margin: Margin = 0.02
    proof: Proof = "must_show"


Demand = CorrectedMode | AboveChance | BeatsControls | Localises | Sane | SubgroupGap | NotWorseThanChampion


def usual_demands(localised_by: str | None = "relevance_mass_area_corrected") -> tuple[Demand, ...]:
    """What is demanded of every study; the measure of localisation may be the study's own, or None.

    By default it is the share of the relevance that lies on the evidence: it needs no threshold, while inclusivity
    counts the points above half of a map's maximum and hangs on a spike.

    Both kinds of proof are used on purpose. What makes a champion has to be shown: performance, faithfulness,
    localisation, dependence on the weights, and that nothing is lost against the former champion. Of three things
    only the opposite, once shown, refuses, because a quick job cannot show them: equal treatment of small groups,
    another map for another class (of two classes the maps may rightly mirror each other), and a champion's
    faithfulness, which is measured on few samples of each subject.
    """
    return (
        CorrectedMode(),
        AboveChance(),
        BeatsControls(),
        *([Localises(metric=localised_by)] if localised_by else []),
        Sane(metric="cascading_randomisation", bound=0.8),
        Sane(metric="random_logit", bound=0.9, proof="must_not_show"),
        SubgroupGap(of="performance", factor="sex"),
        SubgroupGap(of="performance", factor="age"),
        SubgroupGap(of="faithfulness", factor="sex"),
        SubgroupGap(of="faithfulness", factor="age"),
        NotWorseThanChampion(of="performance"),
        NotWorseThanChampion(of="faithfulness", proof="must_not_show"),
    )
