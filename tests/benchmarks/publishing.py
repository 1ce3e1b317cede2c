"""The table as an MLflow run of the experiment ``plumbline/bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mlflow

from tasks.publishing.tracking import experiment_id

from .running import Outcome


def publish(outcomes: Sequence[Outcome], machine: str, files: Sequence[Path]) -> str:
    """Logs every ratio with its interval, tables and figure; returns the run's id."""
    with mlflow.start_run(experiment_id=experiment_id("bench"), run_name="bench", tags={"machine": machine}) as run:
        for one in outcomes:
            place = f"{one.row}/{one.peer}"
            mlflow.log_metrics(
                {f"ratio/{place}": one.ratio, f"ratio_ci_low/{place}": one.ratio_low,
                 f"ratio_ci_high/{place}": one.ratio_high, f"goal/{place}": one.goal},
            )  # fmt: skip
        mlflow.log_metric("goals_missed", sum(not one.met for one in outcomes))
        for file in files:
            mlflow.log_artifact(str(file))
    return str(run.info.run_id)
