"""From scores to a judgement: means with intervals, paired comparisons, subgroups, verdict lines.

The subject is the unit throughout. Which pairs are compared and how p is corrected is declared here,
before any score is seen: the contrast of the study (Holm), every explainer against the controls (Holm),
and, as exploration, every explainer against every other (Benjamini-Hochberg).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from prefect import task

from xai.methods import VOLUME_CONTROLS
from xai.quality.comparison import (
    Pairs,
    against_controls,
    compare,
    every_pair,
    friedman,
    mean_table,
    subgroup_means,
    subject_table,
)
from xai.quality.metric import METRICS

from ..cohorts.store import Cohort
from ..training.splits import scarce_classes
from .evaluation import Evaluation, write_table
from .scoring import subject_curves, subject_scores

FEWEST_SUBJECTS_PER_CLASS = 3
FEWEST_SUBJECTS_PER_CELL = 5
"""Smaller subgroups are suppressed: their means could be traced to persons."""
PAPER_TWIN = "-paper"
"""Ends the names of explainers that do what a paper did, its defects included."""
RESAMPLES, OTHER_RESAMPLES = 10_000, 2_000
"""Of bootstraps and sign flips: for the primary metric, and for all the others, which decide nothing."""
AGE_BANDS = {"0 to 39": (0, 40), "40 to 59": (40, 60), "60 to 74": (60, 75), "75 and over": (75, np.inf)}


@task
def judge(evaluation: Evaluation) -> None:
    """Writes the tables of the judgement: explainers, comparisons, curves, subgroups, verdicts."""
    scores = inference_scores(evaluation)
    write_csv(evaluation, "explainers", explainer_table(evaluation, scores))
    comparisons = comparison_table(evaluation, scores)
    write_csv(evaluation, "comparisons", comparisons)
    write_csv(evaluation, "curves", curve_table(evaluation))
    write_csv(evaluation, "subgroups", subgroup_table(evaluation, scores))
    write_table(scores, evaluation.tables / "subject_scores.parquet")
    judgement = summary(evaluation, scores, comparisons)
    (evaluation.tables / "judgement.json").write_text(json.dumps(judgement, indent=2))


def inference_scores(evaluation: Evaluation) -> pd.DataFrame:
    """Subject means over the classes that have enough subjects: subject, explainer, metric, baseline, value."""
    scores = subject_scores(evaluation)
    scores = scores[~scores["label"].isin(labels_left_out(evaluation))].assign(
        total=lambda table: table["value"] * table["n"]
    )
    cells = ["subject", "explainer", "metric", "baseline"]
    sums = scores.groupby(cells, observed=True)[["total", "n", "n_undefined"]].sum().reset_index()
    return sums.assign(value=(sums["total"] / sums["n"]).where(sums["n"] > 0)).drop(columns="total")


def few_subject_classes(evaluation: Evaluation) -> list[str]:
    """Classes with fewer than 3 subjects: trained and shown, but left out of inference."""
    cohort = Cohort.open(evaluation.cohort)
    return list(scarce_classes(cohort.samples, cohort.classes, FEWEST_SUBJECTS_PER_CLASS))


def labels_left_out(evaluation: Evaluation) -> list[int]:
    """The same classes as labels; none where nothing else was judged: then means are shown, without intervals."""
    classes = Cohort.open(evaluation.cohort).classes
    few = [classes.index(name) for name in few_subject_classes(evaluation)]
    return few if set(evaluation.samples()["label"]) - set(few) else []


def subjects_by_explainer(scores: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Table subject x explainer of one metric and baseline."""
    return subject_table(scores.assign(class_name=""), metric, baseline)


def measured(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """The (metric, baseline) pairs that were measured, in a fixed order."""
    return sorted(scores[["metric", "baseline"]].drop_duplicates().itertuples(index=False, name=None))


def resamples(evaluation: Evaluation, metric: str) -> int:
    """How many draws a metric is worth."""
    return RESAMPLES if metric == evaluation.configuration["primary_metric"] else OTHER_RESAMPLES


def explainer_table(evaluation: Evaluation, scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over subjects with interval of every explainer, metric and baseline."""
    tables = [
        mean_table(subjects_by_explainer(scores, metric, baseline), resamples=resamples(evaluation, metric)).assign(
            metric=metric, baseline=baseline, direction=METRICS[metric].direction
        )
        for metric, baseline in measured(scores)
    ]
    order = [
        "metric", "baseline", "direction", "explainer", "mean", "ci_low", "ci_high", "subjects", "undefined",
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)[order]


def families(evaluation: Evaluation) -> dict[str, tuple[Pairs, str]]:
    """The declared families: pairs of explainers and the correction over them."""
    explainers = evaluation.configuration["explainers"]
    contrast = [(first, second) for first, second in evaluation.configuration["contrast"]]
    return {
        "contrast": (contrast, "holm"),
        "controls": (against_controls(explainers, controls_among(explainers)), "holm"),
        "all": (every_pair(explainers), "bh"),
    }


def controls_among(explainers: Sequence[str]) -> list[str]:
    """The controls that a job asked for: volumes have more of them than signals."""
    return [name for name in VOLUME_CONTROLS if name in explainers]


def comparison_table(evaluation: Evaluation, scores: pd.DataFrame) -> pd.DataFrame:
    """Every declared family on every metric and baseline; each (family, metric, baseline) is corrected alone."""
    tables = []
    unit = Cohort.open(evaluation.cohort).subject_kind
    for metric, baseline in measured(scores):
        table = subjects_by_explainer(scores, metric, baseline)
        for family, (pairs, correction) in families(evaluation).items():
            known = [pair for pair in pairs if set(pair) <= set(table.columns)]
            rows = compare(
                table,
                known,
                metric=metric,
                baseline=baseline,
                direction=METRICS[metric].direction,
                correction=correction,  # type: ignore[arg-type]
                resamples=resamples(evaluation, metric),
                unit=unit,
            )
            tables.append(rows.assign(family=family))
    return pd.concat(tables, ignore_index=True)


def primary_comparisons(evaluation: Evaluation, comparisons: pd.DataFrame) -> pd.DataFrame:
    """The rows of the primary metric at its primary baseline."""
    chosen = evaluation.configuration
    return comparisons[
        (comparisons["metric"] == chosen["primary_metric"]) & (comparisons["baseline"] == chosen["primary_baseline"])
    ]


def curve_table(evaluation: Evaluation) -> pd.DataFrame:
    """Mean perturbation curves over subjects with intervals, one row per point."""
    curves = subject_curves(evaluation)
    if curves.empty:
        return curves
    curves = curves[~curves["label"].isin(labels_left_out(evaluation))]
    cells = ["explainer", "baseline", "order", "fraction"]
    total = curves.assign(logit=curves["logit"] * curves["n"]).groupby([*cells, "subject"], observed=True)
    sums = total[["logit", "n"]].sum().reset_index()
    by_subject = sums.assign(logit=sums["logit"] / sums["n"])
    points = by_subject.pivot(index="subject", columns=cells, values="logit")
    names = points.columns
    means = mean_table(points.set_axis(range(len(names)), axis=1), resamples=2_000)
    table = means.drop(columns="explainer")
    return pd.concat([names.to_frame(index=False), table], axis=1)


def subgroup_table(evaluation: Evaluation, scores: pd.DataFrame) -> pd.DataFrame:
    """The primary metric by sex, age band and drug, with the number of subjects and intervals."""
    chosen = evaluation.configuration
    table = subjects_by_explainer(scores, chosen["primary_metric"], chosen["primary_baseline"])
    subjects = Cohort.open(evaluation.cohort).subjects
    factors = sex_and_age(subjects).join(drugs_taken(subjects["medication"]))
    return subgroup_means(table, factors, minimum=FEWEST_SUBJECTS_PER_CELL)


def sex_and_age(subjects: pd.DataFrame) -> pd.DataFrame:
    """The groups ``sex`` and ``age`` (a band) of every subject; nothing where it is unknown."""
    return pd.DataFrame({"sex": subjects["sex"], "age": subjects["age"].map(age_band)}, index=subjects.index)


def drugs_taken(medication: pd.Series) -> pd.DataFrame:
    """A yes/no column per drug that enough subjects take and enough known ones do not."""
    known = medication.dropna().astype(str)
    taken = known.str.lower().str.split(",").map(lambda names: {name.strip() for name in names})
    drugs = sorted(set().union(*taken) - {"", "none"})
    table = pd.DataFrame({drug: taken.map(lambda names, drug=drug: drug in names) for drug in drugs}, index=known.index)
    counts = table.sum()
    enough = counts.between(FEWEST_SUBJECTS_PER_CELL, len(known) - FEWEST_SUBJECTS_PER_CELL)
    return table.loc[:, enough].replace({True: "yes", False: "no"})


def age_band(age: float) -> str | None:
    """The band of an age in years; ``None`` where it is unknown."""
    for name, (low, high) in AGE_BANDS.items():
        if low <= age < high:
            return name
    return None


def summary(evaluation: Evaluation, scores: pd.DataFrame, comparisons: pd.DataFrame) -> dict[str, Any]:
    """The judgement in short: the most faithful explainer, its interval, and the verdict lines."""
    chosen = evaluation.configuration
    metric, baseline = chosen["primary_metric"], chosen["primary_baseline"]
    table = subjects_by_explainer(scores, metric, baseline)
    candidates = mean_table(table[[name for name in table if is_candidate(str(name))]])
    lower_is_better = METRICS[metric].direction == "lower"
    best = candidates.sort_values("mean", ascending=lower_is_better).iloc[0]
    difference = friedman(table, direction=METRICS[metric].direction)
    return {
        "metric": metric,
        "baseline": baseline,
        "best": best["explainer"],
        "best_mean": best["mean"],
        "best_ci_low": best["ci_low"],
        "best_ci_high": best["ci_high"],
        "subjects": len(table),
        "subject_kind": Cohort.open(evaluation.cohort).subject_kind,
        "samples": len(evaluation.samples()),
        "friedman_p": difference.p,
        "few_subject_classes": few_subject_classes(evaluation),
        "verdicts": verdict_lines(evaluation, comparisons, best["explainer"]),
    }


def is_candidate(explainer: str) -> bool:
    """Whether it may be called most faithful: no control, and no twin with a paper's defects."""
    return explainer not in VOLUME_CONTROLS and not explainer.endswith(PAPER_TWIN)


def reads_low(explainer: str) -> bool:
    """Whether low values of its maps mark what matters: occlusion in the direction of the paper."""
    return explainer.startswith("occlusion") and explainer.endswith(PAPER_TWIN)


def verdict_lines(evaluation: Evaluation, comparisons: pd.DataFrame, best: str) -> list[str]:
    """The contrast at every baseline, then how its sides and the best explainer stand against the controls."""
    chosen = evaluation.configuration
    rows = comparisons[comparisons["metric"] == chosen["primary_metric"]]
    is_primary = rows["baseline"] == chosen["primary_baseline"]
    contrast = rows[rows["family"] == "contrast"].sort_values("baseline", key=lambda b: b != chosen["primary_baseline"])
    sides = [best, *dict.fromkeys(side for pair in chosen["contrast"] for side in pair)]
    against = rows[is_primary & (rows["family"] == "controls")]
    lines = [against.loc[against["first"] == side, "verdict"] for side in sides]
    return list(dict.fromkeys([*contrast["verdict"], *pd.concat(lines)]))


def ranks_explainers(evaluation: Evaluation) -> bool:
    """Whether the job scores maps and compares explainers; a regression of shares does not."""
    return "quality" in evaluation.configuration


def judgement(evaluation: Evaluation) -> dict[str, Any]:
    """The summary that `judge` wrote."""
    return json.loads((evaluation.tables / "judgement.json").read_text())


def read_csv(evaluation: Evaluation, name: str) -> pd.DataFrame:
    """One of the tables that `judge` wrote; an empty baseline stays the empty string."""
    return pd.read_csv(evaluation.tables / f"{name}.csv", keep_default_na=True).fillna({"baseline": ""})


def write_csv(evaluation: Evaluation, name: str, table: pd.DataFrame) -> None:
    """Writes one table of the judgement."""
    table.to_csv(evaluation.tables / f"{name}.csv", index=False)
