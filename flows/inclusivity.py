"""The flow `inclusivity`: do the maps lie on the points that make the label true?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.evaluating.evaluation import Evaluation
from tasks.evaluating.illustrating import illustrate
from tasks.evaluating.inspecting import inspect_version
from tasks.publishing.registry import VersionRef

from .evaluating import evaluate_once, explain_and_judge, show
from .study import Scale, Study


@flow(name="inclusivity", log_prints=False)
def inclusivity(
    study: str,
    version: str | None = None,
    data: str | None = None,
    scale: Scale = "quick",
    options: dict[str, str] | None = None,
) -> Any:
    """Measures how far each explainer's relevance covers the evidence, and how much else, against controls.

    ``version`` is a number; without it the champion is judged, else the challenger. Done before, it ends
    ``Unchanged`` after one random shard, computed again, gave the same scores.
    """
    return evaluate_once("inclusivity", study, version, data, scale, _evaluate, options)


def _evaluate(evaluation: Evaluation, model: VersionRef, study: Study) -> None:
    """Scores are shares of the evidence, or of the signal where no evidence is known, corrected for area."""
    explain_and_judge(evaluation)
    inspect_version(evaluation)
    illustrate(evaluation)
    show(evaluation, model, study)
