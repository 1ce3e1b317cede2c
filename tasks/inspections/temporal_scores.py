"""When a version decides: what it says before it has seen anything, and how far behind the evidence it settles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods.temporal_scores import first_decision, first_stable_correct, margins, rise, running_mean
from xai.protocols import PrefixClassifier
from xai.quality.comparison import mean_table

from ..cohorts.store import Cohort
from ..drawing.geometry import Geometry
from ..drawing.interactive_temporal_scores import interactive_temporal_scores
from ..drawing.temporal_scores import TimedSample, temporal_scores
from ..evaluating.judges import MEAN_OF_MEMBERS
from .affordable import by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text

PRIOR_STEPS = 5
"""The first decisions that show the prior: long enough for one odd step to be outvoted, too short for a wave."""
TIMES_AS_MANY = 10
"""One forward pass tells all of a sample, so that many more samples are taken than an explainer could afford."""
AT_ONCE = 256
WITHIN = 3
"""Steps by which a change-point may miss where evidence begins and still count as having found it."""

TEXT = """After every step the signal so far is classified: the logits of all prefixes are the running mean of the
scores of the single steps, from one forward pass (van der Westhuizen & Lasenby, 2017, section 5.3). The prior is the
class decided on most often in the first {steps} steps; the paper's networks began with "normal" for heartbeats and
with "nine" for digits. A decision stands from the step after which it is right up to
the end; a sample that ends wrong has no such step and is counted.

Evidence sets in at the change-point of the single steps' margin, the score of the true class less that of the best
other one: the split into two means with the smallest squared error among those that rise; it is sought in samples that
are read rightly. The decision rests on the
mean of all steps so far and therefore comes later: this lag, in samples that were not right from the first step on,
belongs to the averaging and not to the network. Values are medians within a {kind}, then means over {kind}s with 95 %
intervals."""


def inspect(looked: Inspected) -> Finding:
    """Prior, time of decision, onset of evidence and the lag between them, by class; Figure 7 of paper 1."""
    geometry = Geometry.of(looked.cohort)
    timed = _timed(looked, replace(looked, per_class=TIMES_AS_MANY * looked.per_class).some())
    priors = _priors(timed, looked.classes)
    by_class = _by_class(timed, looked.classes)
    verdicts = [*_prior_words(priors, looked, geometry), *_decision_words(by_class, looked, geometry)]
    return Finding(
        title="When does the network decide?",
        text=TEXT.format(steps=PRIOR_STEPS, kind=looked.cohort.subject_kind),
        verdicts=tuple(verdicts),
        figures=_figures(looked, geometry),
        tables={"temporal_scores": by_class, "temporal_priors": priors},
    )


def _step_scores(looked: Inspected, rows: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, Tensor]]:
    """Rows of one member at a time, some at once, and the class scores of their steps ``(sample, time, class)``."""
    for network, part in by_judge(looked, rows):
        for first in range(0, len(part), AT_ONCE):
            some = part.iloc[first : first + AT_ONCE]
            with torch.inference_mode():
                yield some, cast(PrefixClassifier, network).step_scores(looked.inputs(some))


def _timed(looked: Inspected, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, timed in steps; NaN where there is none.

    ``prior``: the class named first. ``decided``: from where on the decision stays right. ``onset``: where evidence
    sets in, of samples read rightly. ``lag``: of decided behind onset, of samples that were not right throughout.
    ``late``: of onset behind the known evidence's first step, ``missed`` its size, ``within`` whether that is small.
    """
    tables = []
    for part, scores in _step_scores(looked, rows):
        targets = looked.targets(part)
        decisions = running_mean(scores).argmax(2)
        table = part[["sample", "member", "subject", "label"]].assign(
            prior=first_decision(decisions, min(PRIOR_STEPS, decisions.shape[1])).numpy(),
            decided=first_stable_correct(decisions, targets).numpy(),
            onset=rise(margins(scores, targets)).numpy(),
        )
        table["onset"] = table["onset"].where(table["decided"].notna())
        tables.append(table)
    timed = pd.concat(tables, ignore_index=True)
    lag = (timed["decided"] - timed["onset"]).where(timed["decided"] > 0)
    late = timed["onset"] - _first_evidence(looked.cohort, timed["sample"].to_numpy())
    within = (late.abs() <= WITHIN).astype(float).where(late.notna())
    return timed.assign(lag=lag, late=late, missed=late.abs(), within=within)


def _first_evidence(cohort: Cohort, samples: np.ndarray) -> np.ndarray:
    """First step of each sample's evidence; NaN where unknown, and for images: a stroke is not yet its digit."""
    if not cohort.has_evidence or cohort.image is not None:
        return np.full(len(samples), np.nan)
    seen = np.any(cohort.evidence(samples), axis=1)
    return np.where(np.any(seen, axis=1), np.argmax(seen, axis=1), np.nan)


def _priors(timed: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Per member and class the share of samples that it names first, with its interval over subjects."""
    tables = []
    for member, part in timed.groupby("member", sort=True):
        shares = pd.crosstab(part["subject"], part["prior"], normalize="index")
        shares = shares.reindex(columns=range(len(classes)), fill_value=0.0).set_axis(list(classes), axis=1)
        table = mean_table(shares).rename(columns={"explainer": "class"})
        tables.append(table.drop(columns="undefined").assign(member=member, samples=len(part)))
    columns = ["member", "class", "mean", "ci_low", "ci_high", "subjects", "samples"]
    return pd.concat(tables, ignore_index=True)[columns]


def _by_class(timed: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Per class, and last over all: each measure in steps with its interval over subjects, and the counts."""
    rows = []
    for name, part in [
        *((classes[int(str(label))], p) for label, p in timed.groupby("label", sort=True)),
        ("all", timed),
    ]:
        row = {
            "class": name,
            "samples": len(part),
            "ended_wrong": int(part["decided"].isna().sum()),
            "right_throughout": int((part["decided"] == 0).sum()),
            "without_onset": int((part["onset"].isna() & part["decided"].notna()).sum()),
            "with_lag": int(part["lag"].notna().sum()),
            "before_onset": int((part["lag"] < 0).sum()),
        }
        measures = ["decided", "onset", "lag", "late", "missed"]
        medians = part.groupby("subject")[measures].median()
        shares = part.groupby("subject")[["within"]].mean()
        for _, found in mean_table(medians.join(shares)).iterrows():
            measure = found["explainer"]
            row |= {
                measure: found["mean"],
                f"{measure}_ci_low": found["ci_low"],
                f"{measure}_ci_high": found["ci_high"],
            }
            row[f"{measure}_subjects"] = found["subjects"]
        rows.append(row)
    return pd.DataFrame(rows)


def _prior_words(priors: pd.DataFrame, looked: Inspected, geometry: Geometry) -> Iterator[str]:
    for member, part in priors.groupby("member", sort=True):
        first = part.iloc[int(part["mean"].argmax())]
        who = "all members together" if member == MEAN_OF_MEMBERS else f"member {member}"
        yield (
            f"prior of {who}: in the first {PRIOR_STEPS} steps ({_amount(PRIOR_STEPS, geometry)}) it reads "
            f"{interval_text(first, percent=True)} of the samples as {first['class']} "
            f"({first['subjects']} {looked.cohort.subject_kind}s, {first['samples']} samples)"
        )


def _decision_words(by_class: pd.DataFrame, looked: Inspected, geometry: Geometry) -> Iterator[str]:
    whole = by_class.iloc[-1]
    known = by_class.iloc[:-1].dropna(subset="decided").sort_values("decided", kind="stable")
    if len(known):
        soonest, latest = (
            f"{row['class']} (step {_of(row, 'decided')}{_moment(row['decided'], geometry)})"
            for row in (known.iloc[0], known.iloc[-1])
        )
        yield (
            f"the right decision stands soonest for {soonest} and latest for {latest}; "
            f"{whole['ended_wrong']} of {whole['samples']} samples end wrong, {whole['right_throughout']} are right "
            "from the first step on"
        )
    if np.isfinite(whole["lag"]):
        yield (
            f"the decision settles {_of(whole, 'lag')} steps ({_amount(whole['lag'], geometry)}) after the "
            f"change-point at which evidence sets in ({whole['lag_subjects']} {looked.cohort.subject_kind}s); in "
            f"{whole['before_onset']} of {whole['with_lag']} samples it settled before that"
        )
    if np.isfinite(whole["late"]):
        yield (
            f"that change-point comes {_of(whole, 'late')} steps ({_amount(whole['late'], geometry)}) after the first "
            f"step of the known evidence; it misses it by {_of(whole, 'missed')} steps either way, and by {WITHIN} at "
            f"most in {100 * whole['within']:.0f} % of the samples: it tells when the network uses the evidence, which "
            "may be well after it begins"
        )


def _of(row: pd.Series, measure: str) -> str:
    numbers = {"mean": row[measure], "ci_low": row[f"{measure}_ci_low"], "ci_high": row[f"{measure}_ci_high"]}
    return interval_text(pd.Series(numbers), 1)


def _amount(steps: float, geometry: Geometry) -> str:
    """So many steps as a time, or of a scan line as pixels."""
    if geometry.image:
        return f"{steps:.3g} pixels"
    return f"{2 * steps * geometry.half_step():.3g} {geometry.time_unit}"


def _moment(step: float, geometry: Geometry) -> str:
    """A step as a time from the window's point 0; a step of a scan line is its pixel."""
    return "" if geometry.image else f", at {_amount(step - geometry.origin, geometry)}"


def _figures(looked: Inspected, geometry: Geometry) -> dict[str, Drawn]:
    """One rightly read sample of each class; none where no class has any."""
    samples = sorted(_shown(looked), key=lambda sample: sample.label)
    if not samples:
        return {}
    title = "Temporal scores: how decisions form"
    still = temporal_scores(geometry, samples, looked.classes, title=title)
    caption = (
        "One rightly read sample of each class: probability of its class given the signal so far, and the class "
        "decided on (van der Westhuizen & Lasenby, 2017, Figure 7)."
    )
    interactive = interactive_temporal_scores(geometry, samples, looked.classes, title=title)
    return {"temporal-scores": Drawn(caption, still, interactive)}


def _shown(looked: Inspected) -> Iterator[TimedSample]:
    for part, scores in _step_scores(looked, looked.read_rightly()):
        targets = looked.targets(part)
        prefixes = running_mean(scores)
        decisions = prefixes.argmax(2)
        onsets, decided = rise(margins(scores, targets)), first_stable_correct(decisions, targets)
        signals = looked.signals(part)
        numbers = part["sample"].to_numpy()
        masks = looked.cohort.evidence(numbers) if looked.cohort.has_evidence else None
        for row, label in enumerate(targets.tolist()):
            yield TimedSample(
                label=label,
                signal=signals[row],
                probability=prefixes[row].softmax(1)[:, label].numpy(),
                decisions=decisions[row].numpy(),
                evidence_from=float(onsets[row]),
                decided_from=float(decided[row]),
                evidence=None if masks is None else np.any(masks[row], axis=0),
            )
