"""The flow `gate`: does the version meet the study's constraints, and may it be called champion?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.errors import PlumblineError
from tasks.gating.constraints import judge_version
from tasks.gating.deciding import constraints_of, latest_evaluation, previous_champion, promote, refuse, restore
from tasks.publishing.registry import VersionRef, resolve_for_gate
from tasks.settings import Settings
from tasks.watching.baseline import write_baseline

from .catalogue import study_named


@flow(name="gate", log_prints=False)
def gate(study: str, version: str | None = None) -> dict[str, Any]:
    """Judges a version (default: the challenger) by its latest faithfulness evaluation.

    When every constraint holds, `champion` moves to it; else it stays where it is. Either way
    ``violations.json`` names each constraint, its value, interval and verdict.
    """
    chosen = study_named(study)
    model = resolve_for_gate(chosen.name, version)
    evaluation = latest_evaluation(chosen.name, model, Settings().root)
    verdict = judge_version(constraints_of(evaluation))
    decide = promote if verdict.passed else refuse
    decide(evaluation, model, verdict)
    if verdict.passed:
        write_baseline(evaluation, model)
    return {"version": model.version, "passed": verdict.passed, "verdict": verdict.sentence}


def roll_back(study: str) -> tuple[str, str]:
    """Moves `champion` back to the champion before; returns (version left, version restored)."""
    chosen = study_named(study)
    current, former = previous_champion(chosen.name, chosen.name)
    if former is None:
        raise PlumblineError(f"{study} has no champion before {current or 'the first'}; expected two promotions.")
    restore(chosen.name, VersionRef.of(chosen.name, former))
    return str(current), former
