"""What is measured of every subject: performance, the primary faithfulness measure, shares of relevance.

The same code measures the baseline, from the evaluation that promoted a version, and what arrives later.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from prefect import task

from models.bundle import LESION, Bundle, load_bundle
from xai.methods.memory import parts, rows_through
from xai.quality.metric import METRICS
from xai.quality.shares import relevance_shares

from ..cohorts.parts import part_masks, part_names
from ..cohorts.store import Cohort
from ..evaluating.evaluation import Evaluation, select_samples, write_table
from ..evaluating.explaining import read_attributions
from ..evaluating.judges import MEAN_OF_MEMBERS, judging_members, network_of
from ..evaluating.judging import age_band
from ..evaluating.scoring import SCORES

FACTS = ("sex", "age_band")
COLUMNS = ("recording", "subject", "measure", "value", "n", *FACTS)
_UNIT = ["recording", "subject"]
AT_ONCE = 64
"""Samples answered in one batch, at most; of volumes fewer, as the network's activations take memory."""


def plan_of_arrivals(promoted: Evaluation, explainer: str, cohort: Cohort, root: Path) -> Evaluation:
    """The evaluation of a cohort of arrivals: as the one that promoted the version, one explainer and one measure.

    A known subject is judged by the member that never saw it, a new one by the members in turn. It
    stays out of the ledger's evaluations: it judges recordings, not the version. Raises PlumblineError
    where the arrivals have other classes, channels or grids than the version.
    """
    chosen = promoted.configuration
    metric, baseline = chosen["primary_metric"], chosen["primary_baseline"]
    measured = {"groups": [METRICS[metric].group], **({"baselines": [baseline]} if baseline else {})}
    configuration = {
        **chosen,
        "explainers": [explainer],
        "contrast": [],
        "quality": {**chosen["quality"], **measured},
        "thorough_quality": None,
        "across_folds": False,
        "shares": [],
        "inspections": [],
        "per_class": None,
    }
    evaluation = Evaluation.plan(
        job=promoted.job,
        study=promoted.study,
        mode=promoted.mode,
        model_name=promoted.model_name,
        model_version=promoted.model_version,
        bundle=promoted.bundle,
        cohort=cohort,
        configuration=configuration,
        root=root,
    )
    members = members_in_turn(judging_members(cohort, promoted.bundle), len(load_bundle(promoted.bundle).members))
    samples = select_samples(
        cohort,
        members,
        **{name: configuration[name] for name in ("per_cell", "per_class", "thorough_subjects", "shard_size")},
    )
    tested = evaluation.tested()
    write_table(tested.assign(member=tested["sample"].map(members)), evaluation.tested_file)
    write_table(samples, evaluation.samples_file)
    return evaluation


def members_in_turn(members: pd.Series, count: int) -> pd.Series:
    """The judging member of each sample where the mean of ``count`` members was meant: one of them, by its number.

    No member has seen a new subject, as the one that judged a subject of the baseline had not. Their mean would be
    another judge than the baseline's, and mostly a better one: on the phantom heartbeats it reads 0.86 points of
    percent more than its members do, more than one standard deviation of subjects, and would look like drift.
    """
    turns = pd.Series(members.index % count, index=members.index)
    return members.where(members != MEAN_OF_MEMBERS, turns)


@task
def measure_recordings(evaluation: Evaluation, explainer: str, left_out: Collection[int]) -> pd.DataFrame:
    """One row per recording, subject and measure, columns COLUMNS: ``subject`` is the pseudonym, ``n`` samples.

    `by_subject` averages what recordings say of a subject. ``value`` is NaN where undefined. Labels
    ``left_out`` had too few subjects to judge by at promotion. Measures:
    ``accuracy``, the mean over the subject's classes of the part read rightly (of a segmentation ``dice``, on the
    network's grid), on every tested sample; the primary faithfulness measure of ``explainer``; and
    ``share <part>``, percent of the relevance of the true class, on the judged samples.
    """
    cohort = Cohort.open(evaluation.cohort)
    tables = [_performance(evaluation, cohort, left_out), _faithfulness(evaluation, cohort, explainer, left_out)]
    tables.append(_shares(evaluation, cohort, explainer, left_out))
    facts = pd.DataFrame(
        {"sex": cohort.subjects["sex"], "age_band": cohort.subjects["age"].map(age_band)}, index=cohort.subjects.index
    )
    table = pd.concat(tables, ignore_index=True).join(facts, on="subject")
    return table.assign(subject=table["subject"].map(cohort.subjects["subject"]))[list(COLUMNS)]


def by_subject(measured: pd.DataFrame) -> pd.DataFrame:
    """One row per subject and measure, without recordings: means of the values, weighted by their samples."""
    defined = measured.assign(n=measured["n"].where(measured["value"].notna(), 0))
    sums = defined.assign(total=defined["value"] * defined["n"]).groupby(["subject", "measure"])
    table = sums.agg(total=("total", "sum"), n=("n", "sum"), sex=("sex", "first"), age_band=("age_band", "first"))
    table["value"] = (table["total"] / table["n"]).where(table["n"] > 0)
    return table.reset_index()[["subject", "measure", "value", "n", *FACTS]]


def _performance(evaluation: Evaluation, cohort: Cohort, left_out: Collection[int]) -> pd.DataFrame:
    rows = evaluation.tested().join(cohort.samples[[*_UNIT, "label"]], on="sample")
    rows = rows[(rows["label"] >= 0) & ~rows["label"].isin(left_out)]
    bundle = load_bundle(evaluation.bundle)
    tables = [_answered(bundle, cohort, own, int(str(member))) for member, own in rows.groupby("member")]
    answered = pd.concat([rows.head(0).assign(value=np.nan), *tables], ignore_index=True)
    by_class = answered.groupby([*_UNIT, "label"])["value"].agg(["mean", "count"]).reset_index()
    means = by_class.groupby(_UNIT).agg(value=("mean", "mean"), n=("count", "sum")).reset_index()
    return means.assign(measure="accuracy" if cohort.volume is None else "dice")


def _answered(bundle: Bundle, cohort: Cohort, rows: pd.DataFrame, member: int) -> pd.DataFrame:
    """The rows (sample, label, ...) of one member with ``value``: 1 where read rightly, else 0; of volumes Dice."""
    network = network_of(bundle, member)
    numbers = rows["sample"].to_numpy(np.int64)

    def inputs(index: np.ndarray) -> torch.Tensor:
        return bundle.normalise(torch.from_numpy(cohort.signals(index)))

    values = []
    for part in parts(len(numbers), rows_through(network, inputs(numbers[:1]), AT_ONCE)):
        with torch.no_grad():
            given = network(inputs(numbers[part])).argmax(dim=1).numpy()
        if cohort.volume is None:
            values.append((given == rows["label"].to_numpy()[part]).astype(np.float64))
        else:
            values.append(_dice(given == LESION, cohort.evidence(numbers[part])[:, 0]))
    return rows.assign(value=np.concatenate(values))


def _dice(found: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """2 |a b| / (|a| + |b|) of masks ``(sample, *grid)``; NaN where both are empty."""
    shared, both = ((each).reshape(len(found), -1).sum(axis=1) for each in (found & lesion, found * 1 + lesion))
    return np.divide(2.0 * shared, both, out=np.full(len(found), np.nan), where=both > 0)


def _faithfulness(evaluation: Evaluation, cohort: Cohort, explainer: str, left_out: Collection[int]) -> pd.DataFrame:
    chosen = evaluation.configuration
    wanted = {"explainer": explainer, "metric": chosen["primary_metric"], "baseline": chosen["primary_baseline"]}
    tables = []
    for shard in evaluation.shards():
        scores = pd.read_parquet(evaluation.shard_folder(shard) / SCORES)
        tables.append(scores[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1)])
    scores = pd.concat(tables).join(cohort.samples[[*_UNIT, "label"]], on="sample")
    means = scores[~scores["label"].isin(left_out)].groupby(_UNIT)["value"].agg(value="mean", n="count")
    return means.reset_index().assign(measure=chosen["primary_metric"])


def _shares(evaluation: Evaluation, cohort: Cohort, explainer: str, left_out: Collection[int]) -> pd.DataFrame:
    """From the maps that the evaluation keeps: nothing is explained twice."""
    names, tables = part_names(cohort), []
    for shard in evaluation.shards():
        maps = torch.from_numpy(read_attributions(evaluation, shard).sel(explainer=explainer).to_numpy())
        samples = evaluation.samples().query("shard == @shard").join(cohort.samples["recording"], on="sample")
        masks = part_masks(cohort, samples["sample"].to_numpy(np.int64))
        shares = relevance_shares(maps, None if masks is None else torch.from_numpy(masks)).numpy()
        tables.append(samples[[*_UNIT, "label"]].join(pd.DataFrame(shares, columns=names, index=samples.index)))
    table = pd.concat(tables)
    long = table[~table["label"].isin(left_out)].melt(_UNIT, list(names), "part", "share")
    means = long.groupby([*_UNIT, "part"])["share"].agg(value="mean", n="count").reset_index()
    return means.assign(measure="share " + means["part"]).drop(columns="part")


def as_records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows as plain values, None where unknown or undefined."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
