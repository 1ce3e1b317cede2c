"""What follows from the gate's verdict: alias, tags, violations.json and the ledger's history."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from mlflow.tracking import MlflowClient
from prefect import task

from .. import ledger as books
from ..cohorts.store import Cohort
from ..errors import PlumblineError
from ..evaluating.evaluation import Evaluation, Job, version_options
from ..evaluating.judging import judgement, primary_comparisons, read_csv
from ..evaluating.ledgering import open_books
from ..publishing.registry import VersionRef, set_alias, set_version_tags
from .constraints import (
    Constraint,
    Verdict,
    beats_controls,
    better_than_chance,
    overlaps_better_than_chance,
    trained_in_corrected_mode,
)


def latest_evaluation(study: str, model: VersionRef, root: Path) -> Evaluation:
    """The faithfulness evaluation of a version that was last finished or found unchanged.

    Raises PlumblineError where there is none.
    """
    of_version = (model.name, model.version)
    rows = [row for row in _finished(study) if (row.model_name, row.model_version) == of_version]
    if not rows:
        raise PlumblineError(
            f"{model.name} version {model.version} has no finished faithfulness evaluation; "
            f"expected one: plumbline evaluate faithfulness {study} --version {model.version}."
        )
    return _opened(rows[0].key, root)


def newest_evaluations(study: str, root: Path, job: Job = "faithfulness") -> list[Evaluation]:
    """The newest finished evaluation of a job in each mode, the corrected one first."""
    newest = {row.mode: row for row in reversed(_finished(study, job))}
    return [_opened(newest[mode].key, root) for mode in ("corrected", "paper") if mode in newest]


def newest_by_option(study: str, root: Path, job: Job, option: str, default: str) -> dict[str, dict[str, Evaluation]]:
    """By mode, the newest finished evaluation of a job for every value of a study's option, sorted by the value."""
    newest: dict[tuple[str, str], Evaluation] = {}
    for row in reversed(_finished(study, job)):
        evaluation = _opened(row.key, root)
        newest[row.mode, version_options(evaluation.bundle).get(option, default)] = evaluation
    return {
        mode: {value: newest[found, value] for found, value in sorted(newest) if found == mode}
        for mode in dict.fromkeys(mode for mode, _ in newest)
    }


def _finished(study: str, job: Job = "faithfulness") -> list[books.Evaluation]:
    rows = books.evaluations(open_books(), study)
    done = [row for row in rows if row.job == job and row.status == "done"]
    return sorted(done, key=_last_seen, reverse=True)


def _last_seen(row: books.Evaluation) -> datetime:
    return max(moment for moment in (row.started_at, row.finished_at, row.checked_at) if moment is not None)


def _opened(key: str, root: Path) -> Evaluation:
    path = root / "evaluations" / key / "evaluation.json"
    if not path.exists():
        raise PlumblineError(f"{path} is missing; expected the reference that the evaluation wrote there.")
    return Evaluation.model_validate_json(path.read_text())


def constraints_of(evaluation: Evaluation) -> list[Constraint]:
    """The constraints of a faithfulness evaluation: better than chance, better than both controls."""
    performance = json.loads((evaluation.bundle / "performance.json").read_text())
    classes = len(Cohort.open(evaluation.cohort).classes)
    primary = primary_comparisons(evaluation, read_csv(evaluation, "comparisons"))
    family = primary[primary["family"] == "controls"]
    best = judgement(evaluation)["best"]
    metric = evaluation.configuration["primary_metric"]
    return [
        trained_in_corrected_mode(evaluation.mode),
        overlaps_better_than_chance(performance) if "dice" in performance else better_than_chance(performance, classes),
        *beats_controls(family, best, metric),
    ]


@task(retries=3, retry_delay_seconds=10)
def promote(evaluation: Evaluation, model: VersionRef, verdict: Verdict) -> None:
    """Moves `champion` to the version."""
    _write_verdict(evaluation, model, verdict, "promoted")
    set_alias(model, "champion")


@task(retries=3, retry_delay_seconds=10)
def refuse(evaluation: Evaluation, model: VersionRef, verdict: Verdict) -> None:
    """Leaves `champion` where it is and writes down why."""
    _write_verdict(evaluation, model, verdict, "refused")


def _write_verdict(evaluation: Evaluation, model: VersionRef, verdict: Verdict, word: str) -> None:
    document = verdict.as_document()
    (evaluation.folder / "violations.json").write_text(json.dumps(document, indent=2))
    known = books.find(open_books(), evaluation.key)
    if known is not None and known.mlflow_run_id:
        MlflowClient().log_dict(known.mlflow_run_id, document, "violations.json")
        MlflowClient().set_tag(known.mlflow_run_id, "plumbline.gate", word)
    set_version_tags(model, {"plumbline.gate": word, "plumbline.gate_reason": verdict.sentence[:4_000]})
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


def restore(study: str, model: VersionRef) -> None:
    """Makes a former champion the champion again."""
    set_alias(model, "champion")
    set_version_tags(model, {"plumbline.gate": "restored"})
    _enter(study, model, "corrected", "restored", [])
