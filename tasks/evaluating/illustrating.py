"""Draws an evaluation: heatmaps of single samples, the paper's figure, curves, intervals, subgroups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from prefect import task

from models.bundle import Bundle, load_bundle
from xai.quality.metric import METRICS

from .. import drawing
from ..cohorts.store import Cohort
from ..reporting.interactive import write_interactive
from .evaluation import Evaluation, Job
from .explaining import read_attributions
from .judges import network_of
from .judging import primary_comparisons, read_csv, reads_low
from .reading import reads_rightly

PAPER_FIGURE = "What each explainer marks in one sample of each class"

QUESTIONS: dict[Job, str] = {
    "faithfulness": "How faithful is each explainer?",
    "lrp-rules": "How faithful is each rule?",
    "inclusivity": "How much of the evidence does each explainer cover?",
}


@dataclass(frozen=True)
class Shown:
    """One sample that is shown: its signal, its maps ``{explainer: (channel, time)}`` and its evidence."""

    sample: int
    class_name: str
    signal: np.ndarray
    maps: dict[str, np.ndarray]
    evidence: np.ndarray | None
    correct: bool

    @property
    def label(self) -> str:
        """The class, and a word where the model reads the sample wrongly."""
        return self.class_name if self.correct else f"{self.class_name} (misread)"


@task
def illustrate(evaluation: Evaluation) -> None:
    """Writes every figure under ``figures/`` and ``heatmaps/`` of the evaluation's folder, still and interactive."""
    cohort = Cohort.open(evaluation.cohort)
    shown = shown_samples(evaluation, cohort)
    for name, figure in figures(evaluation, cohort, shown):
        path = evaluation.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawing.png_bytes(figure))
    twin = drawing.interactive_heatmaps(*_by_label(shown), title=PAPER_FIGURE, **_marks(cohort, shown))
    write_interactive(evaluation.folder / f"{evaluation.figure('heatmaps')}.html", twin, PAPER_FIGURE)


def figures(evaluation: Evaluation, cohort: Cohort, shown: list[Shown]) -> Iterator[tuple[str, Figure]]:
    """Every still figure with the path it is kept under."""
    drawn = drawing.class_by_explainer(*_by_label(shown), title=PAPER_FIGURE, **_marks(cohort, shown))
    yield f"{evaluation.figure('heatmaps')}.png", drawn
    if cohort.volume is None:  # lesions lie elsewhere in every head: a mean of volumes shows nothing
        yield "figures/class-means.png", _class_means(evaluation, cohort)
    yield from _judgement_figures(evaluation)
    if evaluation.job == "faithfulness":
        yield from _heatmaps(drawing.Geometry.of(cohort), shown)


def _heatmaps(geometry: drawing.Geometry, shown: list[Shown]) -> Iterator[tuple[str, Figure]]:
    """Every explainer on every shown sample, one figure each and all in one."""
    for one in shown:
        yield f"heatmaps/{one.class_name}/{one.sample}-all.png", _all_explainers(geometry, one)
        for explainer, attribution in one.maps.items():
            yield (
                f"heatmaps/{one.class_name}/{one.sample}-{explainer}.png",
                drawing.sample_heatmap(
                    one.signal,
                    attribution,
                    geometry=geometry,
                    title=f"{one.label}, {explainer}",
                    evidence=one.evidence,
                    high_is_important=not reads_low(explainer),
                ),
            )


def shown_samples(evaluation: Evaluation, cohort: Cohort) -> list[Shown]:
    """One sample per class: the first correctly classified one, as the paper shows, else the first."""
    samples = evaluation.samples()
    bundle = load_bundle(evaluation.bundle)
    chosen = [_shown_one(bundle, cohort, rows) for _, rows in samples.groupby("label", sort=True)]
    return [_with_maps(evaluation, cohort, row, correct) for row, correct in chosen]


def _shown_one(bundle: Bundle, cohort: Cohort, rows: pd.DataFrame) -> tuple[pd.Series, bool]:
    for _, row in rows.iterrows():
        window = bundle.normalise(torch.from_numpy(cohort.signals(np.array([row["sample"]]))))
        with torch.inference_mode():
            logits = network_of(bundle, int(row["member"]))(window)
        if reads_rightly(logits, torch.tensor([row["label"]])).item():
            return row, True
    return rows.iloc[0], False


def _with_maps(evaluation: Evaluation, cohort: Cohort, row: pd.Series, correct: bool) -> Shown:
    stored = read_attributions(evaluation, int(row["shard"])).sel(sample=int(row["sample"]))
    index = np.array([row["sample"]])
    return Shown(
        sample=int(row["sample"]),
        class_name=cohort.classes[int(row["label"])],
        signal=cohort.signals(index)[0],
        maps={str(name): stored.sel(explainer=name).to_numpy() for name in stored["explainer"].values},
        evidence=_evidence(cohort, int(row["sample"])),
        correct=correct,
    )


def _evidence(cohort: Cohort, sample: int) -> np.ndarray | None:
    if not cohort.has_evidence:
        return None
    mask = cohort.evidence(np.array([sample]))[0]
    return mask if mask.any() else None


def _all_explainers(geometry: drawing.Geometry, one: Shown) -> Figure:
    return drawing.all_explainers(
        one.signal,
        one.maps,
        geometry=geometry,
        title=f"{one.label}: every explainer on one sample",
        evidence=one.evidence,
        low_is_important=_read_low(one.maps),
    )


def _by_label(shown: list[Shown]) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    return {one.label: one.signal for one in shown}, {one.label: one.maps for one in shown}


def _marks(cohort: Cohort, shown: list[Shown]) -> dict[str, Any]:
    """What the still and the interactive figure are told alike."""
    return {
        "geometry": drawing.Geometry.of(cohort),
        "evidence": {one.label: one.evidence for one in shown if one.evidence is not None},
        "low_is_important": _read_low(shown[0].maps),
    }


def _read_low(names: dict[str, np.ndarray]) -> list[str]:
    return [name for name in names if reads_low(name)]


def _class_means(evaluation: Evaluation, cohort: Cohort) -> Figure:
    signals, maps, counts = mean_by_class(evaluation, cohort)
    return drawing.class_mean_heatmaps(
        signals,
        maps,
        title="Mean attribution of each class",
        counts=counts,
        low_is_important=_read_low(next(iter(maps.values()))),
        geometry=drawing.Geometry.of(cohort),
    )


def mean_by_class(
    evaluation: Evaluation, cohort: Cohort
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]], dict[str, int]]:
    """Mean signal, mean maps and number of samples of each class, summed shard by shard."""
    signals: dict[str, np.ndarray] = {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    counts: dict[str, int] = {}
    for shard, rows in evaluation.samples().groupby("shard"):
        stored = read_attributions(evaluation, int(str(shard)))
        for label, part in rows.groupby("label"):
            name = cohort.classes[int(str(label))]
            index = part["sample"].to_numpy()
            counts[name] = counts.get(name, 0) + len(index)
            signals[name] = signals.get(name, 0.0) + cohort.signals(index).sum(axis=0)
            sums = stored.sel(sample=index).sum("sample")
            former = maps.setdefault(name, {})
            for explainer in sums["explainer"].values:
                former[str(explainer)] = former.get(str(explainer), 0.0) + sums.sel(explainer=explainer).to_numpy()
    return (
        {name: total / counts[name] for name, total in signals.items()},
        {name: {e: total / counts[name] for e, total in totals.items()} for name, totals in maps.items()},
        counts,
    )


def _judgement_figures(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    metric, score = evaluation.configuration["primary_metric"], evaluation.configuration["score"]
    look = {"metric": metric, "higher_is_better": METRICS[metric].direction == "higher"}
    table = read_csv(evaluation, "explainers")
    explainers = table[table["baseline"] == evaluation.configuration["primary_baseline"]]
    yield (
        "figures/explainers.png",
        drawing.metric_overview(explainers, title=QUESTIONS[evaluation.job], **look),
    )
    primary = primary_comparisons(evaluation, read_csv(evaluation, "comparisons"))
    decisive = primary[primary["family"].isin(["contrast", "controls"])]
    yield "figures/comparisons.png", drawing.forest(decisive, title="Paired differences by subject", **look)
    curves = read_csv(evaluation, "curves")
    if len(curves):
        drawn = drawing.perturbation_curves(curves, title="Perturbation curves", score=f"{score} of the labelled class")
        yield "figures/curves.png", drawn
    groups = read_csv(evaluation, "subgroups")
    if len(groups):
        yield (
            "figures/subgroups.png",
            drawing.subgroups(
                groups.rename(columns={"factor": "group", "group": "level", "subjects": "n"}),
                title="For whom: the same by subgroup",
                **look,
            ),
        )


def written_figures(evaluation: Evaluation) -> dict[str, Path]:
    """Every figure of the evaluation, still (PNG) and interactive (HTML), by its artifact path."""
    paths = sorted([*evaluation.folder.glob("figures/*.*"), *evaluation.folder.glob("heatmaps/*/*.png")])
    return {path.relative_to(evaluation.folder).as_posix(): path for path in paths}
