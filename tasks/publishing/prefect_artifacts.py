"""What a flow run shows on Prefect's own pages: progress, the comparison, and the way to the MLflow run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from mlflow.tracking import MlflowClient
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import judgement, primary_comparisons, ranks_explainers, read_csv
from ..progress import track
from .tracking import ui_address

Item = TypeVar("Item")

RUN_HOLDS = "Figures, heatmaps, tables and the report"


def shown_progress(items: Iterable[Item], what: str, count: int) -> Iterator[Item]:
    """Yields the ``count`` ``items``; the terminal and Prefect's page both tell how far they are."""
    artifact = cast(UUID, create_progress_artifact(progress=0.0, description=what))
    for done, item in enumerate(track(items, what, count), 1):
        yield item
        update_progress_artifact(artifact, progress=100.0 * done / count)


def show_judgement(evaluation: Evaluation, mlflow_run_id: str) -> None:
    """Puts the verdicts, the primary comparisons and a link to the MLflow run on the flow run's page."""
    stem = f"{evaluation.job}-{evaluation.study}"
    verdicts = "\n".join(f"- {line}" for line in dict.fromkeys(judgement(evaluation)["verdicts"]))
    create_markdown_artifact(verdicts, key=f"{stem}-verdicts", description="What the evaluation found")
    if ranks_explainers(evaluation):
        _show_comparisons(evaluation, stem)
    show_mlflow_run(stem, mlflow_run_id)


def _show_comparisons(evaluation: Evaluation, stem: str) -> None:
    rows = primary_comparisons(evaluation, read_csv(evaluation, "comparisons")).query("family != 'all'")
    columns = ["first", "second", "difference", "ci_low", "ci_high", "p_adjusted", "in_favour", "subjects"]
    table = rows[columns].round(4).astype(object).where(rows[columns].notna(), None)
    create_table_artifact(
        cast(list[dict[str, Any]], table.to_dict("records")), key=f"{stem}-comparisons", description="Paired by subject"
    )


def show_constraints(study: str, verdict: str, rows: Sequence[dict[str, Any]]) -> None:
    """Puts the gate's table of constraints on the flow run's page; ``rows`` are plain values by column."""
    columns = ("verdict", "name", "found", "demand", "note")
    table = [{column: row[column] for column in columns} for row in rows]
    create_table_artifact(table, key=f"gate-{study}", description=verdict)


def show_mlflow_run(stem: str, mlflow_run_id: str) -> None:
    """Links to the MLflow run; without a server its number is shown instead."""
    address = ui_address(MlflowClient().get_run(mlflow_run_id))
    if address is None:
        create_markdown_artifact(f"MLflow run `{mlflow_run_id}`", key=f"{stem}-mlflow-run", description=RUN_HOLDS)
    else:
        create_link_artifact(address, link_text="the run in MLflow", key=f"{stem}-mlflow-run", description=RUN_HOLDS)
