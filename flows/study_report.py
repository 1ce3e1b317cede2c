"""The page of a study: its latest evaluation by every job, the corrected mode beside the paper's, size by size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tasks.errors import PlumblineError
from tasks.gating.finished import newest_by_option, newest_evaluations
from tasks.reporting.across_sizes import across_sizes
from tasks.reporting.evaluation_report import joined_report
from tasks.reporting.page import Section, write_report
from tasks.settings import Settings

from .accuracy import accuracy_rows
from .catalogue import study_named
from .study import Study


def write_study_report(study: str, out: Path) -> None:
    """Writes one self-contained page to ``out``. Raises PlumblineError when nothing has been judged yet."""
    chosen = study_named(study)
    root = Settings().root
    found = newest_evaluations(chosen.name, root)
    if not found:
        raise PlumblineError(f"{study} has no finished evaluation; expected one: plumbline run --study {study}.")
    others = [newest_evaluations(chosen.name, root, job) for job in chosen.jobs if job != "faithfulness"]
    newest = [evaluations[0] for evaluations in others if evaluations]
    page = joined_report(found, newest, accuracy_rows(chosen.paper), chosen.title)
    write_report(out, replace(page, sections=[*page.sections, *_sizes(chosen, root)]))


def _sizes(study: Study, root: Path) -> list[Section]:
    """The versions of each mode by the size of their grid, where the study leaves it to choose."""
    if "size" not in study.options:
        return []
    by_mode = newest_by_option(study.name, root, "inclusivity", "size", study.defaults["size"])
    chapters = [across_sizes(evaluations) for evaluations in by_mode.values()]
    return [chapter for chapter in chapters if chapter is not None]
