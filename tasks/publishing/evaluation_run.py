"""Shows an evaluation in MLflow: a parent run, a child run per explainer, links to model and dataset."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Run
from PIL import Image
from prefect import task

from ..cohorts.store import Cohort
from ..drawing.coefficients import SIGNIFICANT
from ..evaluating.evaluation import Evaluation
from ..evaluating.illustrating import written_figures
from ..evaluating.judging import judgement, ranks_explainers, read_csv
from .registry import VersionRef
from .tracking import artifacts_of, cohort_dataset, experiment_id, find_run, is_published, keyed_run, log_curves


@task(retries=3, retry_delay_seconds=10)
def publish_evaluation(evaluation: Evaluation, model: VersionRef) -> str:
    """Logs everything that people browse; returns the parent run's id.

    The run is found again by its key, so publishing twice leaves one run.
    """
    former = find_run(experiment_id(evaluation.study), _key_tags(evaluation, ""))
    if former is not None and is_published(former):
        return str(former.info.run_id)
    cohort = Cohort.open(evaluation.cohort)
    dataset = cohort_dataset(cohort.study, cohort.digest, cohort.path)
    with _run(evaluation, "", _run_name(evaluation)) as run:
        mlflow.log_params(_params(evaluation))
        mlflow.set_tag("mlflow.note.content", "\n".join(f"- {line}" for line in judgement(evaluation)["verdicts"]))
        mlflow.log_input(dataset, context=evaluation.job)
        headline = _primary_metrics(evaluation) if ranks_explainers(evaluation) else _effects(evaluation)
        mlflow.log_metrics(headline, timestamp=run.info.start_time, model_id=model.model_id, dataset=dataset)
        _log_artifacts(evaluation, run)
        for explainer in evaluation.configuration.get("explainers", ()):
            _publish_explainer(evaluation, explainer, run, model, dataset)
    return str(run.info.run_id)


def _run_name(evaluation: Evaluation) -> str:
    return f"{evaluation.job} v{evaluation.model_version} {evaluation.cohort_digest[:8]}"


def _key_tags(evaluation: Evaluation, explainer: str) -> dict[str, str]:
    return {"plumbline.key": evaluation.key, "plumbline.explainer": explainer or "all"}


def _run(evaluation: Evaluation, explainer: str, name: str, parent: Run | None = None):  # type: ignore[no-untyped-def]
    tags = {
        "plumbline.study": evaluation.study,
        "plumbline.job": evaluation.job,
        "plumbline.mode": evaluation.mode,
        "plumbline.cohort": evaluation.cohort_digest,
        "plumbline.model_version": evaluation.model_version,
        **_key_tags(evaluation, explainer),
    }
    return keyed_run(
        study=evaluation.study,
        name=name,
        tags=tags,
        key_tags=("plumbline.key", "plumbline.explainer"),
        parent=parent.info.run_id if parent else None,
    )


def _params(evaluation: Evaluation) -> dict[str, object]:
    chosen = evaluation.configuration
    plain = {name: value for name, value in chosen.items() if not isinstance(value, dict | list)}
    return {**plain, "model": f"{evaluation.model_name}/{evaluation.model_version}"}


def _primary_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The primary metric of every explainer with its interval: ``<metric>/<explainer>`` and so on."""
    chosen = evaluation.configuration
    rows = read_csv(evaluation, "explainers").query(
        "metric == @metric and baseline == @baseline",
        local_dict={"metric": chosen["primary_metric"], "baseline": chosen["primary_baseline"]},
    )
    columns = {"mean": "", "ci_low": "_ci_low", "ci_high": "_ci_high"}
    return {
        f"{chosen['primary_metric']}{suffix}/{explainer}": float(value)
        for column, suffix in columns.items()
        for explainer, value in rows.set_index("explainer")[column].dropna().items()
    }


def _effects(evaluation: Evaluation) -> dict[str, float]:
    """How many declared effects each model of the regression finds, and how often it finds one where none is.

    ``effects_found_<model>/<explainer>`` and ``false_positive_rate_<model>/<explainer>`` with its interval.
    """
    table = read_csv(evaluation, "coefficients").query("family == 'correct' and scale == 'percent'")
    found = table.assign(found=table["q"] < SIGNIFICANT).groupby(["model", "explainer"], as_index=False)["found"].sum()
    metrics = {f"effects_found_{row['model']}/{row['explainer']}": float(row["found"]) for _, row in found.iterrows()}
    for _, row in read_csv(evaluation, "false_positive_rates").iterrows():
        for column, suffix in {"false_positive_rate": "", "ci_low": "_ci_low", "ci_high": "_ci_high"}.items():
            metrics[f"false_positive_rate_{row['model']}{suffix}/{row['explainer']}"] = float(row[column])
    return {name: value for name, value in metrics.items() if not math.isnan(value)}


def _log_artifacts(evaluation: Evaluation, run: Run) -> None:
    """Tables, figures, heatmaps, the report, and the heatmaps once more as MLflow's image grid."""
    mlflow.log_artifacts(str(evaluation.tables), "tables")
    shown = artifacts_of(run, "images")
    for name, path in written_figures(evaluation).items():
        mlflow.log_artifact(str(path), name.rpartition("/")[0])
        if name.endswith("-all.png"):
            _log_image(name.split("/")[1], path, shown)
    mlflow.log_artifact(str(evaluation.folder / "report.html"))
    mlflow.log_dict(judgement(evaluation), "judgement.json")


def _log_image(group: str, path: Path, shown: Collection[str]) -> None:
    """Puts a figure into the image grid, unless it is there: MLflow gives every image a new name."""
    if not any(f"{group}+step+" in name for name in shown):
        mlflow.log_image(Image.open(path), key=f"heatmaps/{group}", step=0, synchronous=True)


def _publish_explainer(
    evaluation: Evaluation, explainer: str, parent: Run, model: VersionRef, dataset: MetaDataset
) -> None:
    with _run(evaluation, explainer, explainer, parent) as run:
        mlflow.log_metrics(
            _plain_metrics(evaluation, explainer),
            timestamp=run.info.start_time,
            model_id=model.model_id,
            dataset=dataset,
        )
        shown = artifacts_of(run, "images")
        for name, path in written_figures(evaluation).items():
            if name.startswith("heatmaps/") and name.endswith(f"-{explainer}.png"):
                _log_image(name.split("/")[1], path, shown)
        log_curves(run, _curves(evaluation, explainer))


def _curves(evaluation: Evaluation, explainer: str) -> dict[str, dict[int, float]]:
    """The mean curves of an explainer by order and baseline: the score at each percent of the points."""
    curves = read_csv(evaluation, "curves").query("explainer == @explainer")
    return {
        f"{order}_{baseline}": dict(zip((100 * points["fraction"]).round().astype(int), points["mean"], strict=True))
        for (order, baseline), points in curves.groupby(["order", "baseline"])
    }


def _plain_metrics(evaluation: Evaluation, explainer: str) -> dict[str, float]:
    """Every metric of one explainer: plain at the primary baseline, with the baseline's name elsewhere."""
    primary = evaluation.configuration["primary_baseline"]
    rows: pd.DataFrame = read_csv(evaluation, "explainers").query("explainer == @explainer").dropna(subset="mean")
    names = rows["metric"].where(rows["baseline"].isin(["", primary]), rows["metric"] + "_" + rows["baseline"])
    return dict(zip(names, rows["mean"], strict=True))
