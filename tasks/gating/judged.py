"""What is known of a version that was judged: read once from its evaluation, then asked by every demand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xai.methods import CONTROLS
from xai.quality.comparison import subject_table
from xai.quality.metric import METRICS, PROBABILITY_SUFFIX
from xai.quality.resampling import FEWEST_SUBJECTS

from ..cohorts.store import Cohort
from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import judgement, read_csv, sex_and_age
from ..evaluating.predicting import predictions

RANDOM = CONTROLS[0]


@dataclass(frozen=True)
class Judged:
    """A version's evaluation of faithfulness, as the gate reads it.

    ``headline``: the performance on all tested samples. ``best``: the most faithful explainer by the primary
    ``metric`` at its ``baseline``. ``explainers``, ``comparisons`` and ``scores`` are the tables of the judgement,
    ``predictions`` those of `predicting`, ``groups`` sex and age band of every subject.
    """

    version: str
    mode: str
    headline: Mapping[str, Any]
    classes: int
    has_evidence: bool
    subject_kind: str
    metric: str
    baseline: str
    best: str
    explainers: pd.DataFrame
    comparisons: pd.DataFrame
    scores: pd.DataFrame
    predictions: pd.DataFrame
    groups: pd.DataFrame

    @property
    def segments(self) -> bool:
        """Whether its performance is Dice, not balanced accuracy."""
        return "dice" in self.headline

    def measures(self, metric: str) -> bool:
        """Whether the job took this metric."""
        return bool((self.comparisons["metric"] == metric).any())

    def performance_by_subject(self) -> pd.Series:
        """Every subject's mean Dice, or the mean of its classes' recall; classes of too few subjects are left out."""
        if self.segments:
            return self.predictions.groupby("subject")["dice"].mean()
        table = self.predictions.assign(right=self.predictions["label"] == self.predictions["prediction"])
        subjects = table.groupby("label")["subject"].transform("nunique")
        recall = table[subjects >= FEWEST_SUBJECTS].groupby(["subject", "label"])["right"].mean()
        return recall.groupby(level="subject").mean()

    def faithfulness_by_subject(self) -> pd.Series:
        """By how much the best explainer beats random maps in every subject, in probability; empty if not measured.

        The primary metric is in logits, whose scale is each network's own. In probability, and as the advantage over
        random maps of the same network, two versions and two groups can be set side by side; above 0 is better.
        """
        name = self.metric + PROBABILITY_SUFFIX
        if not ((self.scores["metric"] == name) & (self.scores["baseline"] == self.baseline)).any():
            return pd.Series(dtype=float)
        table = subject_table(self.scores.assign(class_name=""), name, self.baseline)
        advantage = table[self.best] - table[RANDOM]
        return advantage if METRICS[name].direction == "higher" else -advantage


def judged_by(evaluation: Evaluation) -> Judged:
    """Reads a finished evaluation of faithfulness; predicts its samples unless that was done."""
    cohort, found = Cohort.open(evaluation.cohort), judgement(evaluation)
    return Judged(
        version=evaluation.model_version,
        mode=evaluation.mode,
        headline=headline(evaluation),
        classes=len(cohort.classes),
        has_evidence=cohort.has_evidence,
        subject_kind=cohort.subject_kind,
        metric=found["metric"],
        baseline=found["baseline"],
        best=found["best"],
        explainers=read_csv(evaluation, "explainers"),
        comparisons=read_csv(evaluation, "comparisons"),
        scores=pd.read_parquet(evaluation.tables / "subject_scores.parquet"),
        predictions=predictions(evaluation),
        groups=sex_and_age(cohort.subjects),
    )


def headline(evaluation: Evaluation) -> dict[str, Any]:
    """The version's performance on all that its members were tested on."""
    return json.loads((evaluation.bundle / "performance.json").read_text())
