"""Scores one shard of an evaluation: every quality metric of every explainer for every sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from prefect import task
from torch import Tensor

from xai.methods import explainer
from xai.quality.measure import Measurement, QualityPlan, measure
from xai.scores import ScoreOperator

from ..cohorts.store import Cohort
from .evaluation import Evaluation, write_table
from .explaining import Shard, open_shard, read_attributions
from .folds import fold_scores
from .native_scores import native_localisation

SCORES = "scores.parquet"
CURVES = "curves.parquet"


@task(retries=2, retry_delay_seconds=5)
def score_shard(evaluation: Evaluation, shard: int) -> None:
    """Writes the shard's score and curve tables, unless they are there; the scores last, as the seal."""
    folder = evaluation.shard_folder(shard)
    if (folder / SCORES).exists():
        return
    measured = compute_scores(evaluation, shard)
    write_table(mean_curves(measured.curves, evaluation.samples()), folder / CURVES)
    write_table(measured.scores, folder / SCORES)


def scored_shards(evaluation: Evaluation) -> list[int]:
    """Numbers of the shards whose maps are scored; none where the job scores no maps."""
    return evaluation.shards() if "quality" in evaluation.configuration else []


def is_scored(evaluation: Evaluation) -> bool:
    """Whether every shard has its scores."""
    return all((evaluation.shard_folder(shard) / SCORES).exists() for shard in scored_shards(evaluation))


def compute_scores(evaluation: Evaluation, shard: int) -> Measurement:
    """Scores of one shard; ``sample`` is the sample's number in the cohort.

    Where cases have grids of their own, localisation is taken on these.
    """
    opened = open_shard(evaluation, shard)
    stored = read_attributions(evaluation, shard)
    maps = {str(name): torch.from_numpy(stored.sel(explainer=name).to_numpy()) for name in stored["explainer"].values}
    plan = QualityPlan.from_dict(evaluation.configuration["quality"])
    tables = []
    if "localisation" in plan.groups and Cohort.open(evaluation.cohort).volume is not None:
        plan = replace(plan, groups=tuple(group for group in plan.groups if group != "localisation"))
        tables.append(_on_native_grids(evaluation, opened, maps))
    measured = _measure(evaluation, opened, maps, plan, opened.samples.index.to_numpy())
    tables.append(measured.scores)
    thorough = opened.samples.index[opened.samples["thorough"]].to_numpy()
    if len(thorough) and evaluation.configuration["thorough_quality"] is not None:
        costly = QualityPlan.from_dict(evaluation.configuration["thorough_quality"])
        tables.append(_measure(evaluation, opened, maps, costly, thorough).scores)
    if len(thorough) and evaluation.configuration["across_folds"]:
        tables.append(_renumbered(fold_scores(evaluation, opened, thorough), _numbers(opened, thorough)))
    scores = pd.concat([table for table in tables if len(table)], ignore_index=True)
    return Measurement(scores=scores, curves=measured.curves)


def _measure(
    evaluation: Evaluation, opened: Shard, maps: Mapping[str, Tensor], plan: QualityPlan, rows: np.ndarray
) -> Measurement:
    """Measures the given rows of a shard."""
    measured = measure(
        opened.model,
        opened.inputs[rows],
        opened.targets[rows],
        {name: values[rows] for name, values in maps.items()},
        plan,
        score=ScoreOperator(evaluation.configuration["score"]),
        seeds=opened.seeds[rows],
        explainers={name: explainer(name) for name in maps},
        evidence=None if opened.evidence is None else opened.evidence[rows],
    )
    numbers = _numbers(opened, rows)
    return Measurement(scores=_renumbered(measured.scores, numbers), curves=_renumbered(measured.curves, numbers))


def _on_native_grids(evaluation: Evaluation, opened: Shard, maps: Mapping[str, Tensor]) -> pd.DataFrame:
    cohort = Cohort.open(evaluation.cohort)
    tables = [
        native_localisation(cohort, sample, {name: values[row] for name, values in maps.items()}).assign(sample=sample)
        for row, sample in enumerate(opened.samples["sample"])
    ]
    return pd.concat(tables, ignore_index=True)


def _numbers(opened: Shard, rows: np.ndarray) -> np.ndarray:
    return opened.samples["sample"].to_numpy()[rows]


def _renumbered(table: pd.DataFrame, numbers: np.ndarray) -> pd.DataFrame:
    """The table with the cohort's sample numbers instead of positions in the shard."""
    return table.assign(sample=numbers[table["sample"].to_numpy(dtype=np.int64)])


def mean_curves(curves: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Mean curve of each subject and class with the number of samples ``n`` behind it."""
    named = curves.merge(samples[["sample", "subject", "label"]], on="sample", validate="many_to_one")
    grouped = named.groupby(["subject", "label", "explainer", "baseline", "order", "fraction"], observed=True)
    return grouped.agg(logit=("logit", "mean"), probability=("probability", "mean"), n=("sample", "size")).reset_index()


def subject_scores(evaluation: Evaluation) -> pd.DataFrame:
    """Mean score of each subject and class: columns subject, label, explainer, metric, baseline, value, n,
    n_undefined. Reads shard by shard, so that memory grows with subjects, not with samples.
    """
    samples = evaluation.samples()[["sample", "subject", "label"]]
    cells = ["subject", "label", "explainer", "metric", "baseline"]
    sums = []
    for shard in evaluation.shards():
        scores = pd.read_parquet(evaluation.shard_folder(shard) / SCORES)
        scores = scores.merge(samples, on="sample", validate="many_to_one")
        scores["undefined"] = scores["value"].isna()
        sums.append(
            scores.groupby(cells, observed=True).agg(
                total=("value", "sum"), n=("value", "count"), n_undefined=("undefined", "sum")
            )
        )
    total = pd.concat(sums).groupby(level=cells, observed=True).sum().reset_index()
    total["value"] = (total["total"] / total["n"]).where(total["n"] > 0)
    return total.drop(columns="total")


def subject_curves(evaluation: Evaluation) -> pd.DataFrame:
    """Mean perturbation curve of each subject and class, from all shards."""
    tables = [pd.read_parquet(evaluation.shard_folder(shard) / CURVES) for shard in evaluation.shards()]
    cells = ["subject", "label", "explainer", "baseline", "order", "fraction"]
    curves = pd.concat(tables, ignore_index=True)
    for value in ("logit", "probability"):
        curves[value] *= curves["n"]
    total = curves.groupby(cells, observed=True).sum().reset_index()
    return total.assign(logit=total["logit"] / total["n"], probability=total["probability"] / total["n"])
