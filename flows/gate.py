"""The flow `gate`: does the version meet the study's constraints, and may it be called champion?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.alone import alone
from tasks.errors import PlumblineError
from tasks.gating.constraints import judge_version
from tasks.gating.deciding import previous_champion, promote, refuse, restore, standing
from tasks.gating.findings import constraints_of
from tasks.gating.finished import latest_evaluation
from tasks.gating.judged import judged_by
from tasks.publishing.prefect_artifacts import show_constraints
from tasks.publishing.registry import VersionRef, resolve_for_gate
from tasks.settings import Settings
from tasks.watching.baseline import write_baseline

from .catalogue import study_named


@flow(name="gate", log_prints=False)
def gate(study: str, version: str | None = None) -> dict[str, Any]:
    """Judges a version (default: the challenger) by its latest faithfulness evaluation.

    When no constraint of the study is broken, `champion` moves to it; else it stays where it is. Either way
    ``violations.json``, the version's tags and its model card name each constraint, its value, interval and verdict.
    """
    chosen, root = study_named(study), Settings().root
    model = resolve_for_gate(chosen.name, version)
    with alone(_lock(study), f"the gate of {study}"):
        evaluation = latest_evaluation(chosen.name, model, root)
        champion = standing(evaluation, model, root)
        verdict = judge_version(constraints_of(chosen.gate, judged_by(evaluation), champion))
        if verdict.passed:
            promote(evaluation, model, verdict, chosen.title)
            write_baseline(evaluation, model)
        else:
            refuse(evaluation, model, verdict, chosen.title)
    rows = [constraint.as_row() | {"found": constraint.found} for constraint in verdict.constraints]
    show_constraints(study, verdict.sentence, rows)
    return {"version": model.version, "passed": verdict.passed, "verdict": verdict.sentence, "constraints": rows}


def roll_back(study: str) -> tuple[str, str]:
    """Moves `champion` back to the champion before; returns (version left, version restored)."""
    chosen = study_named(study)
    with alone(_lock(study), f"the gate of {study}"):
        current, former = previous_champion(chosen.name, chosen.name)
        if current is None or former is None:
            raise PlumblineError(f"{study} has no champion before {current or 'the first'}; expected two promotions.")
        restore(chosen.name, VersionRef.of(chosen.name, former), VersionRef.of(chosen.name, current))
    return current, former


def _lock(study: str) -> str:
    """Two decisions about one study's champion must not cross."""
    return f"gate-{study}"
