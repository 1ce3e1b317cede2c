"""Shows a training in MLflow and registers its bundle as one version, once."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.entities import Run
from prefect import task

from .. import drawing
from ..cohorts.store import Cohort
from ..training.fitting import Training, performance, performance_table
from .registry import find_version, register_version, set_alias
from .tracking import cohort_dataset, experiment_id, find_run, is_published, keyed_run, log_table_once


@task(retries=3, retry_delay_seconds=10)
def publish_training(training: Training, model_name: str) -> dict[str, Any]:
    """Logs the training and registers the version; returns ``name``, ``version``, its MLflow ``run`` and ``new``.

    A training that has been published is found by its key and left alone. A ``corrected`` version becomes
    the challenger; a ``paper`` version never does.
    """
    tags = {
        "plumbline.study": training.study,
        "plumbline.job": "train",
        "plumbline.mode": training.mode,
        "plumbline.key": training.key,
    }
    former = find_run(experiment_id(training.study), {"plumbline.key": training.key})
    known = find_version(model_name, training.key)
    if former is not None and is_published(former) and known is not None:
        return {"name": known.name, "version": known.version, "run": known.run_id, "new": False}
    cohort = Cohort.open(training.cohort)
    tags["plumbline.cohort"] = cohort.digest
    with keyed_run(
        study=training.study, name=f"train {cohort.digest[:8]}", tags=tags, key_tags=("plumbline.key",)
    ) as run:
        _log_training(training, cohort, run)
        version = known or register_version(
            training.bundle,
            name=model_name,
            run_id=run.info.run_id,
            tags=_version_tags(training, cohort),
            input_example=None if cohort.volume else cohort.signals(slice(0, 1)),
        )
        dataset = cohort_dataset(cohort.study, cohort.digest, cohort.path)
        mlflow.log_metrics(
            _numbers(performance(training)),
            timestamp=run.info.start_time,
            model_id=version.model_id,
            dataset=dataset,
        )
        mlflow.set_tag("mlflow.runName", f"train v{version.version} {cohort.digest[:8]}")
        mlflow.set_tag("plumbline.model_version", version.version)
        if training.mode == "corrected":
            set_alias(version, "challenger")
    return {"name": version.name, "version": version.version, "run": version.run_id, "new": True}


def _log_training(training: Training, cohort: Cohort, run: Run) -> None:
    mlflow.log_input(cohort_dataset(cohort.study, cohort.digest, cohort.path), context="training")
    mlflow.log_params(
        {
            **training.recipe,
            **training.network["arguments"],
            **training.options,
            "members": training.members,
            "subset": training.subset,
        }
    )
    mlflow.log_artifacts(str(training.tables), "tables")
    if len(cohort.quarantine):
        log_table_once(run, cohort.quarantine, "quarantine.json")
    if training.task == "segmentation":
        mlflow.log_figure(drawing.dice_by_case(performance_table(training, "cases")), "figures/dice.png")
    else:
        counts = performance_table(training, "confusion").drop(columns="class").to_numpy()
        mlflow.log_figure(drawing.confusion(counts, cohort.classes), "figures/confusion.png")
    log_table_once(run, performance_table(training, "members"), "members.json")


def _version_tags(training: Training, cohort: Cohort) -> dict[str, str]:
    numbers = {name: f"{value:.4f}" for name, value in _numbers(performance(training)).items()}
    return {
        "plumbline.key": training.key,
        "plumbline.study": training.study,
        "plumbline.mode": training.mode,
        "plumbline.cohort": cohort.digest,
        **{f"plumbline.{name}": value for name, value in numbers.items()},
    }


def _numbers(summary: dict[str, Any]) -> dict[str, float]:
    """The defined numbers of the performance summary."""
    return {name: float(v) for name, v in summary.items() if isinstance(v, int | float) and v == v}
