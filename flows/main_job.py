"""The main job of one study: train, judge by every job, gate, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.evaluating.evaluation import Mode
from tasks.evaluating.judging import judgement
from tasks.gating.finished import latest_evaluation
from tasks.publishing.registry import VersionRef
from tasks.settings import Settings

from .catalogue import study_named
from .gate import gate
from .jobs import JOBS
from .study import Scale
from .train import train


@dataclass(frozen=True)
class Outcome:
    """What one study's main job came to, for the closing table."""

    study: str
    version: str
    winner: str
    gate: str
    quarantined: int
    seconds: float
    lines: tuple[str, ...]


def run_study(
    study: str, data: str | None, scale: Scale, mode: Mode, options: Mapping[str, str] | None = None
) -> Outcome:
    """Runs the whole chain for one study, its companions first; versions of the paper's mode are judged but not gated.

    ``options``: of the study, by name; the version remembers them for the jobs.
    """
    started = time.monotonic()
    chosen = study_named(study)
    for companion in chosen.companions.values():
        _train_and_judge(companion, data, scale, mode, dict(options or {}))
    trained = _train_and_judge(study, data, scale, mode, dict(options or {}))
    decided = gate(study, trained["version"]) if mode == "corrected" else None
    version = VersionRef.of(trained["name"], trained["version"])
    evaluation = latest_evaluation(study, version, Settings().root)
    found = judgement(evaluation)
    return Outcome(
        study=study,
        version=f"{trained['version']} ({mode})",
        winner=f"{found['best']}: {found['metric']} "
        f"{found['best_mean']:.3g} [{found['best_ci_low']:.3g}, {found['best_ci_high']:.3g}]",
        gate="not asked (paper mode)" if decided is None else "passed" if decided["passed"] else "refused",
        quarantined=trained["quarantined"],
        seconds=time.monotonic() - started,
        lines=(
            *dict.fromkeys(found["verdicts"]),
            *([f"gate: {decided['verdict']}"] if decided else []),
            f"report: {evaluation.folder / 'report.html'}",
        ),
    )


def _train_and_judge(study: str, data: str | None, scale: Scale, mode: Mode, options: dict[str, str]) -> dict[str, Any]:
    """One version, judged by every job that is defined for its study; what `train` returns."""
    trained = train(study, data, scale, mode, options)
    for job in study_named(study).jobs:
        JOBS[job](study, version=trained["version"], data=data, scale=scale)
    return trained
