"""The flow `lrp-rules`: which rule of relevance propagation is faithful, and do folds agree on its maps?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.evaluating.evaluation import Evaluation
from tasks.evaluating.illustrating import illustrate
from tasks.evaluating.inspecting import inspect_version
from tasks.publishing.registry import VersionRef

from .evaluating import evaluate_once, explain_and_judge, share_relevance, show
from .study import Scale, Study


@flow(name="lrp-rules", log_prints=False)
def lrp_rules(
    study: str,
    version: str | None = None,
    data: str | None = None,
    scale: Scale = "quick",
    options: dict[str, str] | None = None,
) -> Any:
    """Explains the judged samples by several LRP rules, and by every fold member, and compares them.

    ``version`` is a number; without it the champion is judged, else the challenger. Done before, it ends
    ``Unchanged`` after one random shard, computed again, gave the same scores.
    """
    return evaluate_once("lrp-rules", study, version, data, scale, _evaluate, options)


def _evaluate(evaluation: Evaluation, model: VersionRef, study: Study) -> None:
    """Besides faithfulness: do fold members' maps agree, what leaks, and on which modality does relevance fall?"""
    explain_and_judge(evaluation)
    share_relevance(evaluation)
    inspect_version(evaluation)
    illustrate(evaluation)
    show(evaluation, model, study)
