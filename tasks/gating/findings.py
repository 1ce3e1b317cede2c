"""From a demand to what was found of it: pure functions of what is known of the version and of the champion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xai.methods import CONTROLS

from ..evaluating.judging import FEWEST_SUBJECTS_PER_CELL
from .constraints import Constraint
from .demands import (
    AboveChance,
    BeatsControls,
    CorrectedMode,
    Demand,
    Localises,
    NotWorseThanChampion,
    Quality,
    Sane,
    SubgroupGap,
)
from .differences import (
    Difference,
    balanced_accuracy_difference,
    groups_too_small,
    mean_difference,
    widest_gap,
)
from .judged import Judged

SCALES: dict[Quality, str] = {
    "performance": "balanced accuracy, or Dice",
    "faithfulness": "the best explainer's advantage over random maps, in probability",
}


@dataclass(frozen=True)
class Standing:
    """The champion that a version is compared with; without ``judged``, ``why`` it is not.

    ``asked``: whether the comparison is demanded. The first champion and the champion itself have nobody to be
    compared with; one that was not judged on the same cohort could be, and until it is the version is refused.
    """

    judged: Judged | None = None
    asked: bool = True
    why: str = ""


def constraints_of(demands: Iterable[Demand], judged: Judged, standing: Standing) -> list[Constraint]:
    """What was found of every demand, in their order."""
    return [constraint for demand in demands for constraint in _found(demand, judged, standing)]


def _found(demand: Demand, judged: Judged, standing: Standing) -> list[Constraint]:
    match demand:
        case CorrectedMode():
            return [corrected_mode(demand, judged)]
        case AboveChance():
            return [above_chance(demand, judged)]
        case BeatsControls():
            return beats_controls(demand, judged)
        case Localises():
            return localises(demand, judged)
        case Sane():
            return [sane(demand, judged)]
        case SubgroupGap():
            return [subgroup_gap(demand, judged)]
        case NotWorseThanChampion():
            return [not_worse(demand, judged, standing)]


def corrected_mode(demand: CorrectedMode, judged: Judged) -> Constraint:
    """Whether the version was trained in the corrected mode: 1 or 0."""
    value = float(judged.mode == "corrected")
    return Constraint(
        kind=demand.kind,
        name="corrected_mode",
        demand="trained in corrected mode (1)",
        bound=0.5,
        value=value,
        ci_low=value,
        ci_high=value,
    )


def above_chance(demand: AboveChance, judged: Judged) -> Constraint:
    """Balanced accuracy against one over the number of judged classes; Dice against that of marking all signal.

    Classes with too few subjects are left out of balanced accuracy, and so of what chance would reach.
    """
    found = judged.headline
    if judged.segments:
        name, words, chance = "dice", "that of marking all signal", found["dice_by_chance"]
    else:
        left = judged.classes - len(found["classes_left_out"])
        name, words, chance = "balanced_accuracy", "chance", 1 / left if left else math.nan
    bound = chance + demand.margin
    return Constraint(
        kind=demand.kind,
        name=name,
        demand=f"above {words}, {chance:.3g}" + (f", by {demand.margin:g}" if demand.margin else ""),
        bound=bound,
        value=found[name],
        ci_low=found[f"{name}_ci_low"],
        ci_high=found[f"{name}_ci_high"],
        proof=demand.proof,
    )


def beats_controls(demand: BeatsControls, judged: Judged) -> list[Constraint]:
    """The best explainer's paired advantage over each control on the primary metric."""
    return _advantages(demand, judged, judged.metric, judged.baseline)


def localises(demand: Localises, judged: Judged) -> list[Constraint]:
    """The best explainer's paired advantage over each control on a localisation metric."""
    if judged.measures(demand.metric):
        return _advantages(demand, judged, demand.metric, "")
    reason = f"the job takes no {demand.metric}" if judged.has_evidence else "the cohort knows no evidence"
    words = f"a paired advantage above {demand.margin:g}"
    return [Constraint(demand.kind, demand.metric, words, demand.margin, proof=demand.proof, asked=False, note=reason)]


def _advantages(demand: BeatsControls | Localises, judged: Judged, metric: str, baseline: str) -> list[Constraint]:
    table = judged.comparisons
    rows = table[(table["metric"] == metric) & (table["baseline"] == baseline) & (table["family"] == "controls")]
    return [
        Constraint(
            kind=demand.kind,
            name=f"{metric}: {judged.best} against {control}",
            demand=f"a paired advantage above {demand.margin:g}, Holm-corrected",
            bound=demand.margin,
            **advantage(rows, judged.best, control),
            family=f"every explainer against every control, {len(rows)} pairs",
            proof=demand.proof,
        )
        for control in CONTROLS
    ]


def advantage(comparisons: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
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


def sane(demand: Sane, judged: Judged) -> Constraint:
    """How much of the best explainer's map survives, as a rank correlation."""
    survives = demand.proof == "must_not_show"
    say = _asked_by(
        demand,
        name=f"{demand.metric}: {judged.best}",
        demand=f"not shown to be above {demand.bound:g}" if survives else f"below {demand.bound:g}",
        bound=demand.bound,
        side="above" if survives else "below",
    )
    table = judged.explainers
    rows = table[table["metric"] == demand.metric]
    if rows.empty:
        return say(asked=False, note=f"the job takes no {demand.metric}")
    own = rows[rows["explainer"] == judged.best]
    if own.empty:
        return say()
    return say(**{name: float(own.iloc[0][column]) for name, column in _INTERVAL.items()})


_INTERVAL = {"value": "mean", "ci_low": "ci_low", "ci_high": "ci_high"}


def subgroup_gap(demand: SubgroupGap, judged: Judged) -> Constraint:
    """The gap between two groups that is most clearly above the bound; see `SCALES` for its unit."""
    say = _asked_by(
        demand,
        name=f"{demand.of} by {demand.factor}",
        demand=f"no gap between groups shown to be above {demand.bound:g}",
        bound=demand.bound,
    )
    values, groups = _by_subject(demand.of, judged), judged.groups[demand.factor]
    if values.dropna().empty:
        return say(asked=False, note=f"the job takes no {SCALES[demand.of]}")
    known = groups.reindex(values.dropna().index)
    small = groups_too_small(known, FEWEST_SUBJECTS_PER_CELL)
    left_out = f"fewer than {FEWEST_SUBJECTS_PER_CELL} {judged.subject_kind}s: {', '.join(small)}" if small else ""
    gap = widest_gap(values, groups, bound=demand.bound, fewest=FEWEST_SUBJECTS_PER_CELL)
    if gap is None:
        nobody = f"no {judged.subject_kind}'s {demand.factor} is known"
        reason = nobody if known.dropna().empty else f"there are no two groups to compare; {left_out or 'one group'}"
        return say(asked=False, note=reason)
    return say(
        value=gap.value,
        ci_low=gap.low,
        ci_high=gap.high,
        p_adjusted=gap.p_adjusted,
        family="every pair of groups",
        note=f"{gap.first} against {gap.second}" + (f"; not judged, {left_out}" if left_out else ""),
    )


def not_worse(demand: NotWorseThanChampion, judged: Judged, standing: Standing) -> Constraint:
    """The difference to the standing champion on the same subjects."""
    shown_worse = demand.proof == "must_not_show"
    say = _asked_by(
        demand,
        name=f"{demand.of} against the champion",
        demand=f"not shown to be below {-demand.margin:g}" if shown_worse else f"above {-demand.margin:g}",
        bound=-demand.margin,
        side="below" if shown_worse else "above",
    )
    champion = standing.judged
    if champion is None:
        return say(asked=standing.asked, note=standing.why)
    if demand.of == "faithfulness" and (champion.metric, champion.baseline) != (judged.metric, judged.baseline):
        return say(note=f"version {champion.version} was judged by {champion.metric}, this one by {judged.metric}")
    difference = _difference(demand.of, judged, champion)
    return say(
        value=difference.value,
        ci_low=difference.low,
        ci_high=difference.high,
        note=f"version {judged.version} - version {champion.version}, {SCALES[demand.of]}",
    )


def _difference(of: Quality, judged: Judged, champion: Judged) -> Difference:
    if of == "performance" and not judged.segments:
        return balanced_accuracy_difference(judged.predictions, champion.predictions, judged.classes)
    return mean_difference(_by_subject(of, judged), _by_subject(of, champion))


def _by_subject(of: Quality, judged: Judged) -> pd.Series:
    return judged.performance_by_subject() if of == "performance" else judged.faithfulness_by_subject()


def _asked_by(demand: Sane | SubgroupGap | NotWorseThanChampion, /, **known: Any) -> Callable[..., Constraint]:
    """A constraint of which the demand is known; called with what was found."""
    return lambda **found: Constraint(kind=demand.kind, proof=demand.proof, **known, **found)
