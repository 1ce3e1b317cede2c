"""Finished evaluations, found again in the ledger: of a version, on a cohort, by mode and option."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from .. import ledger as books
from ..errors import PlumblineError
from ..evaluating.evaluation import Evaluation, Job, version_options
from ..evaluating.ledgering import open_books
from ..publishing.registry import VersionRef


def latest_evaluation(study: str, model: VersionRef, root: Path) -> Evaluation:
    """The faithfulness evaluation of a version that was last finished or found unchanged.

    Raises PlumblineError where there is none.
    """
    rows = _of_version(study, model)
    if not rows:
        raise PlumblineError(
            f"{model.name} version {model.version} has no finished faithfulness evaluation; "
            f"expected one: plumbline evaluate faithfulness {study} --version {model.version}."
        )
    return _opened(rows[0].key, root)


def evaluation_on(study: str, model: VersionRef, cohort_digest: str, root: Path) -> Evaluation | None:
    """The faithfulness evaluation of a version on this very cohort that was last finished, if any."""
    rows = [row for row in _of_version(study, model) if row.cohort_digest == cohort_digest]
    return _opened(rows[0].key, root) if rows else None


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


def _of_version(study: str, model: VersionRef) -> list[books.Evaluation]:
    of_version = (model.name, model.version)
    return [row for row in _finished(study) if (row.model_name, row.model_version) == of_version]


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
