"""One look: what arrived is measured and, with all that arrived since promotion, held against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .. import ledger as books
from ..digests import digest_of
from ..evaluating.evaluation import Evaluation
from ..evaluating.ledgering import open_books
from ..ledger.watching import arrived_values, looks, record_look
from ..publishing.registry import VersionRef
from .arriving import Arrival
from .drift import EVERYONE, FEWEST_SUBJECTS, Finding, enough_arrived, look_for_drift
from .measuring import as_records, by_subject
from .reading import Batch

COMPLETED, VIOLATIONS, QUARANTINED = "Completed", "Completed with violations", "Quarantined some"
NOTHING_NEW, SKIPPED = "Nothing new", "Skipped"
END_STATES = (SKIPPED, NOTHING_NEW, COMPLETED, QUARANTINED, VIOLATIONS)
"""How a watch may end, in the order in which one hides another: violations hide quarantine, and so on."""
_SHOWN_VIOLATIONS = 4


@dataclass(frozen=True)
class Watched:
    """What a look needs to know of the champion: the version as it was resolved, its baseline, what promoted it."""

    model: VersionRef
    baseline: pd.DataFrame
    explainer: str
    promoted: Evaluation


def enter_look(
    watched: Watched, arrivals: Sequence[Arrival], batch: Batch, measured: pd.DataFrame, waiting: str = ""
) -> books.Look:
    """Compares, and writes the look with its arrivals and values to the ledger, all of it or nothing.

    ``measured``: of the batch, see `measure_recordings`.
    ``waiting``: said at the end of the message. A look at the same arrivals by the same version that is there
    already is returned as it is.
    """
    model = watched.model
    own = measured.assign(recording=measured["recording"].map(batch.recordings))
    before = looks(open_books(), model.name, model.version)
    arrived = pd.concat([_still_valid(model, arrivals), own], ignore_index=True)
    subjects = by_subject(arrived)
    tested = None
    if enough_arrived(subjects, watched.baseline):
        tested = 1 + max((look.tested or 0 for look in before), default=0)
    findings = look_for_drift(subjects, watched.baseline, tested or 1, by_subject(own))
    earlier = [look.number for look in before if look.state == VIOLATIONS]
    state, message = _verdict(findings, batch, subjects["subject"].nunique(), len(arrivals), earlier)
    look = books.Look(
        key=digest_of([model.name, model.version, sorted((each.id, each.digest) for each in arrivals)]),
        study=watched.promoted.study,
        model_name=model.name,
        model_version=model.version,
        number=len(before) + 1,
        tested=tested,
        state=state,
        message=message + waiting,
        findings=[finding.as_row() for finding in findings],
    )
    rows = [
        {"recording": each.id, "digest": each.digest, "reason": batch.quarantined.get(each.id, "")} for each in arrivals
    ]
    return record_look(open_books(), look, rows, as_records(own))


def _still_valid(model: VersionRef, arrivals: Sequence[Arrival]) -> pd.DataFrame:
    """What earlier looks measured, without the recordings that have arrived anew."""
    values = arrived_values(open_books(), model.name, model.version)
    return values[~values["recording"].isin([each.id for each in arrivals])]


def _verdict(
    findings: Sequence[Finding], batch: Batch, subjects: int, arrived: int, earlier: Sequence[int]
) -> tuple[str, str]:
    """The name of the end state and its message, which names both violations and quarantine where there are both.

    A violation stands for as long as the version is watched, as the intervals of all looks hold together: ``earlier``
    are the looks that ended with one.
    """
    violated = [finding for finding in findings if finding.violated]
    used = arrived - len(batch.quarantined)
    parts = [f"{used} new recordings, {subjects} subjects since promotion"]
    if subjects < FEWEST_SUBJECTS:
        parts.append(f"too few yet to compare ({subjects} of {FEWEST_SUBJECTS})")
    if violated:
        shown = "; ".join(finding.sentence for finding in violated[:_SHOWN_VIOLATIONS])
        more = len(violated) - _SHOWN_VIOLATIONS
        parts.append(f"{len(violated)} violations: {shown}{f'; and {more} more' if more > 0 else ''}")
    elif earlier:
        parts.append(f"what look {earlier[0]} has violated stands")
    unlabelled = _undefined_performance(findings, subjects)
    if unlabelled:
        parts.append(unlabelled)
    if batch.quarantined:
        reasons = "; ".join(f"{identity}: {reason}" for identity, reason in sorted(batch.quarantined.items())[:3])
        parts.append(f"{len(batch.quarantined)} quarantined ({reasons})")
    state = VIOLATIONS if violated or earlier else QUARANTINED if batch.quarantined else COMPLETED
    return state, ". ".join(parts)


def _undefined_performance(findings: Sequence[Finding], subjects: int) -> str:
    """Says where nothing that arrived has a label."""
    of_performance = [each for each in findings if each.measure in ("accuracy", "dice") and each.subgroup == EVERYONE]
    if subjects and any(each.n_new == 0 for each in of_performance):
        return "performance is undefined: no recording has labels"
    return ""
