"""What follows from the gate's verdict: alias, tags, model card, violations.json and the ledger's history.

The ledger is written before the alias moves and after everything else: a gate that was killed on the way is run again
and does the rest, and a rollback meanwhile finds the champion before it.
"""

from __future__ import annotations

import json
from pathlib import Path

from mlflow.tracking import MlflowClient
from prefect import task

from .. import ledger as books
from ..evaluating.evaluation import Evaluation
from ..evaluating.ledgering import open_books
from ..publishing.registry import (
    VersionRef,
    describe_version,
    description_of,
    replace_version_tags,
    set_alias,
    set_version_tags,
    standing_champion,
    tags_of,
)
from .constraints import Verdict
from .findings import Standing
from .finished import evaluation_on
from .judged import judged_by
from .model_card import card_of, status_of, with_status, write_card

GATE_TAG = "plumbline.gate"
REASON_TAG = "plumbline.gate_reason"
CONSTRAINT_TAGS = f"{GATE_TAG}."
"""Before the name of each constraint."""
VERDICT_TAG = "plumbline.gate_verdict"
"""What the gate said; the reason also tells what became of the version since."""
LONGEST_REASON = 4_000


def standing(evaluation: Evaluation, model: VersionRef, root: Path) -> Standing:
    """The champion that the version is compared with, as it was judged on the same cohort."""
    champion = standing_champion(model.name)
    if champion is None:
        return Standing(asked=False, why="there is no champion yet")
    if champion.version == model.version:
        return Standing(asked=False, why="it is the champion itself")
    former = evaluation_on(evaluation.study, champion, evaluation.cohort_digest, root)
    if former is None:
        return Standing(
            why=f"the champion, version {champion.version}, was never judged on this cohort, "
            f"{evaluation.cohort_digest[:8]}: plumbline evaluate faithfulness {evaluation.study} "
            f"--version {champion.version}, with the same data"
        )
    return Standing(judged_by(former))


@task(retries=3, retry_delay_seconds=10)
def promote(evaluation: Evaluation, model: VersionRef, verdict: Verdict, title: str) -> None:
    """Moves `champion` to the version."""
    _write_verdict(evaluation, model, verdict, "promoted", title)
    set_alias(model, "champion")


@task(retries=3, retry_delay_seconds=10)
def refuse(evaluation: Evaluation, model: VersionRef, verdict: Verdict, title: str) -> None:
    """Leaves `champion` where it is and writes down why."""
    _write_verdict(evaluation, model, verdict, "refused", title)


def _write_verdict(evaluation: Evaluation, model: VersionRef, verdict: Verdict, word: str, title: str) -> None:
    document = verdict.as_document()
    (evaluation.folder / "violations.json").write_text(json.dumps(document, indent=2))
    known = books.find(open_books(), evaluation.key)
    run = known.mlflow_run_id if known is not None else None
    card = card_of(evaluation, model, verdict, word, title)
    files = write_card(evaluation, card)
    if run:
        MlflowClient().log_dict(run, document, "violations.json")
        for file in files:
            MlflowClient().log_artifact(run, str(file))
        MlflowClient().set_tag(run, GATE_TAG, word)
    said = verdict.sentence[:LONGEST_REASON]
    tags = {GATE_TAG: word, REASON_TAG: said, VERDICT_TAG: said}
    of_each = {f"{CONSTRAINT_TAGS}{each.name}": f"{each.verdict}: {each.found}" for each in verdict.constraints}
    replace_version_tags(model, tags | of_each, under=CONSTRAINT_TAGS)
    describe_version(model, card.description(run))
    _enter(evaluation.study, model, evaluation.mode, word, document["violations"])


def _enter(study: str, model: VersionRef, mode: str, word: str, violations: list[object]) -> None:
    decision = books.GateDecision(
        study=study,
        model_name=model.name,
        model_version=model.version,
        mode=mode,
        verdict=word,
        violations=violations,
    )
    books.record_gate(open_books(), decision)


def previous_champion(study: str, model_name: str) -> tuple[str | None, str | None]:
    """The standing champion and the one before it, as the ledger tells."""
    standing = books.champions(open_books(), study, model_name)
    return (standing[-1] if standing else None), (standing[-2] if len(standing) > 1 else None)


def restore(study: str, model: VersionRef, left: VersionRef) -> None:
    """Makes a former champion the champion again, in place of ``left``; the ledger last.

    Both keep what the gate found of them: only their standing changes. Killed on the way, the ledger still names
    ``left``, and a second rollback ends at the same version.
    """
    set_alias(model, "champion")
    _say(left, "rolled back", f"rolled back to version {model.version}")
    _say(model, "restored", f"restored when version {left.version} was rolled back")
    _enter(study, model, "corrected", "restored", [])


def _say(version: VersionRef, word: str, reason: str) -> None:
    """Puts the version's standing now before what the gate once said of it."""
    gate_said = tags_of(version).get(VERDICT_TAG)
    whole = f"{reason}; the gate had said: {gate_said}" if gate_said else reason
    set_version_tags(version, {GATE_TAG: word, REASON_TAG: whole[:LONGEST_REASON]})
    describe_version(version, with_status(description_of(version), status_of(word, whole)))
