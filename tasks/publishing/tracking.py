"""How a result appears in MLflow: experiments, runs found again by their key, datasets, model links."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient
from prefect.runtime import flow_run

from ..settings import Settings

PUBLISHED = "plumbline.published"
MODEL_TRAINING_PAGES = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow shows the experiment in its pages for language models."""


def experiment_id(study: str) -> str:
    """The experiment ``plumbline/<study>``, made when missing.

    Without a tracking server the artifacts go under `Settings.artifact_root`; a server decides itself.
    """
    name = f"plumbline/{study}"
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    served = mlflow.get_tracking_uri().startswith("http")
    location = None if served else f"{Settings().artifact_root}/{study}"
    return str(mlflow.create_experiment(name, artifact_location=location, tags=MODEL_TRAINING_PAGES))


def find_run(experiment: str, tags: Mapping[str, str]) -> Run | None:
    """The newest run with all these tags."""
    runs = _runs_with(experiment, tags, 1)
    return runs[0] if runs else None


def _runs_with(experiment: str, tags: Mapping[str, str], most: int) -> list[Run]:
    query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    return list(MlflowClient().search_runs([experiment], filter_string=query, max_results=most))


def is_published(run: Run) -> bool:
    """Whether everything of this run has been logged."""
    return run.data.tags.get(PUBLISHED) == "true"


@contextmanager
def keyed_run(
    *, study: str, name: str, tags: Mapping[str, str], key_tags: tuple[str, ...], parent: str | None = None
) -> Iterator[Run]:
    """Opens the run that carries the same ``key_tags``, or a new one; seals it when the block ends well.

    A block that fails leaves the run FAILED and unsealed, to be found and completed by the next attempt.
    """
    experiment = experiment_id(study)
    key = {tag: tags[tag] for tag in key_tags}
    former = find_run(experiment, key)
    more = {"mlflow.parentRunId": parent} if parent else {}
    flow = flow_run.id
    if flow:
        more["prefect.flow_run_id"] = str(flow)
    with mlflow.start_run(
        run_id=former.info.run_id if former else None,
        experiment_id=None if former else experiment,
        run_name=name,
        nested=True,
        tags={**tags, **more},
    ) as run:
        if former is None:
            _delete_twins(experiment, key, run)
        yield run
        mlflow.set_tag(PUBLISHED, "true")


def _delete_twins(experiment: str, key: Mapping[str, str], run: Run) -> None:
    """The client asks again when the answer to its request for a new run is lost: then there are two of them."""
    for other in _runs_with(experiment, key, 10):
        if other.info.run_id != run.info.run_id:
            MlflowClient().delete_run(other.info.run_id)


def cohort_dataset(name: str, digest: str, folder: Path) -> MetaDataset:
    """The cohort as MLflow knows a dataset: its identity is the cohort's digest (36 digits at most)."""
    return MetaDataset(  # type: ignore[abstract]  # MLflow itself makes instances of it
        resolve_dataset_source(str(folder)), name=name, digest=digest[:36]
    )


def log_curves(run: Run, curves: Mapping[str, Mapping[int, float]]) -> None:
    """Logs curves as stepped metrics, by name and step, in one call.

    Points bear the time when the run began: MLflow keeps a point that is logged again once.
    """
    began = run.info.start_time
    points = [
        Metric(name, float(value), began, int(step)) for name, curve in curves.items() for step, value in curve.items()
    ]
    MlflowClient().log_batch(run.info.run_id, metrics=points)


def log_table_once(run: Run, table: pd.DataFrame, name: str) -> None:
    """Logs a table unless it is there: MLflow would append the same rows to it."""
    if name not in artifacts_of(run):
        mlflow.log_table(table, name)


def artifacts_of(run: Run, folder: str | None = None) -> set[str]:
    """Paths of the run's artifacts in one folder, by default the top one."""
    return {file.path for file in MlflowClient().list_artifacts(run.info.run_id, folder)}


def ui_address(run: Run) -> str | None:
    """Where a browser finds the run; ``None`` without a tracking server."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri.startswith("http"):
        return None
    return f"{uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
