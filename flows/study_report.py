"""The page of a study: its latest evaluation by every job, and the corrected mode beside the paper's."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import PlumblineError
from tasks.gating.deciding import newest_evaluations
from tasks.reporting.evaluation_report import joined_report
from tasks.reporting.page import write_report
from tasks.settings import Settings

from .accuracy import accuracy_rows
from .catalogue import study_named


def write_study_report(study: str, out: Path) -> None:
    """Writes one self-contained page to ``out``. Raises PlumblineError when nothing has been judged yet."""
    chosen = study_named(study)
    root = Settings().root
    found = newest_evaluations(chosen.name, root)
    if not found:
        raise PlumblineError(f"{study} has no finished evaluation; expected one: plumbline run --study {study}.")
    others = [newest_evaluations(chosen.name, root, job) for job in chosen.jobs if job != "faithfulness"]
    newest = [evaluations[0] for evaluations in others if evaluations]
    write_report(out, joined_report(found, newest, accuracy_rows(chosen.paper), chosen.title))
