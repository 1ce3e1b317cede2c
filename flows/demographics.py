"""The flow `demographics`: does where the relevance falls depend on who the person is?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.evaluating.evaluation import Evaluation
from tasks.evaluating.inspecting import inspect_version
from tasks.evaluating.ledgering import record_shares
from tasks.evaluating.regressing import conclude
from tasks.publishing.registry import VersionRef

from .evaluating import evaluate_once, share_relevance, show
from .study import Scale, Study


@flow(name="demographics", log_prints=False)
def demographics(
    study: str,
    version: str | None = None,
    data: str | None = None,
    scale: Scale = "quick",
    options: dict[str, str] | None = None,
) -> Any:
    """Regresses each part's share of relevance on age, sex and what else is known, with the subject as the unit.

    ``version`` is a number; without it the champion is judged, else the challenger. Done before, it ends
    ``Unchanged`` after one random shard, computed again, gave the same shares.
    """
    return evaluate_once("demographics", study, version, data, scale, _evaluate, options)


def _evaluate(evaluation: Evaluation, model: VersionRef, study: Study) -> None:
    """Shares of every tested sample first; the paper's model and the corrected ones then see the same table."""
    share_relevance(evaluation)
    record_shares(evaluation)
    inspect_version(evaluation)
    conclude(evaluation)
    show(evaluation, model, study)
