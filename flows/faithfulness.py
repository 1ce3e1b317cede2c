"""The flow `faithfulness`: which explanation method is true to the model, by how much, for whom."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.evaluating.evaluation import Evaluation
from tasks.evaluating.illustrating import illustrate
from tasks.evaluating.inspecting import inspect_version
from tasks.publishing.registry import VersionRef

from .evaluating import evaluate_once, explain_and_judge, show
from .study import Scale, Study


@flow(name="faithfulness", log_prints=False)
def faithfulness(
    study: str,
    version: str | None = None,
    data: str | None = None,
    scale: Scale = "quick",
    options: dict[str, str] | None = None,
) -> Any:
    """Explains the judged samples by every explainer, scores the maps and compares the explainers.

    ``version`` is a number; without it the champion is judged, else the challenger. An evaluation that
    is done already ends ``Unchanged`` after one random shard, computed again, gave the same scores.
    """
    return evaluate_once("faithfulness", study, version, data, scale, _evaluate, options)


def _evaluate(evaluation: Evaluation, model: VersionRef, study: Study) -> None:
    """Everything from the first shard to the page in MLflow; what a former run has done is kept."""
    explain_and_judge(evaluation)
    inspect_version(evaluation)
    illustrate(evaluation)
    show(evaluation, model, study)
