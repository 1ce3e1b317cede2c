"""The report of an evaluation: one self-contained page with every verdict, figure and table."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from ..cohorts.store import Cohort
from ..evaluating.evaluation import Evaluation, Job
from ..evaluating.illustrating import written_figures
from ..evaluating.inspecting import findings
from ..evaluating.judging import judgement, primary_comparisons, ranks_explainers, read_csv
from .accuracy_table import TABLE, table_of
from .interactive import read_interactive
from .page import Picture, Report, Section, write_report

PAGE = "report.html"
ACCURACIES = "Accuracy beside the papers'"
LONGEST_TABLE = 30
"""Rows of an inspection's table on the page; all of them stand in tables/."""

RANKINGS: dict[Job, tuple[str, str]] = {
    "faithfulness": ("Which explainer is faithful", "It is taken of the logit of the labelled class."),
    "lrp-rules": (
        "Which rule is faithful, and do folds agree",
        "Rules differ in the linear head; LSTM layers always follow the epsilon rule with the gate convention. Fold "
        "agreement is the rank correlation between the maps of two members, the leak is what biases and stabilisers "
        "keep of the score.",
    ),
    "inclusivity": (
        "Does the map cover the evidence",
        "Inclusivity D(a, b) = |a and b| / |b| asks how much of b the marked points a cover, and a map that marks "
        "everything reaches 1; area-corrected, chance is 0. b is the evidence, and where none is known the signal "
        "itself, which says where a map lies but not whether it is right. Precision and Dice tell what D leaves out.",
    ),
}


@task
def write_evaluation_report(evaluation: Evaluation, title: str) -> None:
    """Writes ``report.html`` into the evaluation's folder."""
    write_report(evaluation.folder / PAGE, evaluation_report(evaluation, title))


def evaluation_report(evaluation: Evaluation, title: str) -> Report:
    """The content of the page, read from what the evaluation has written."""
    found = judgement(evaluation)
    judged = _judged(evaluation, found) if ranks_explainers(evaluation) else []
    sections = [
        _performance(evaluation),
        _accuracies(read_csv(evaluation, TABLE)),
        *judged[:3],
        *_inspections(evaluation),
        *judged[3:],
        _quarantine(evaluation),
    ]
    return Report(
        title=title,
        subtitle=f"{evaluation.job} of {evaluation.model_name} version {evaluation.model_version}, "
        f"trained in {evaluation.mode} mode",
        verdicts=list(dict.fromkeys(found["verdicts"])),
        facts=_facts(evaluation, found),
        sections=[section for section in sections if section is not None],
    )


def _judged(evaluation: Evaluation, found: dict[str, Any]) -> list[Section | None]:
    """The chapters of a job that ranks explainers: three before what the inspections found, the others after."""
    return [
        _ranking(evaluation, found),
        _heatmaps(evaluation),
        _comparisons(evaluation, found),
        _subgroups(evaluation),
        _metrics(evaluation, found),
    ]


def joined_report(
    evaluations: list[Evaluation], others: list[Evaluation], accuracies: list[dict[str, Any]], title: str
) -> Report:
    """The page of a study: the first evaluation whole, its twins beside it, then what the other jobs found.

    ``evaluations`` are of faithfulness, one per mode; ``others`` the newest of every other job; ``accuracies`` the
    rows of Table 1 as they stand now.
    """
    page = evaluation_report(evaluations[0], title)
    table = pd.DataFrame([_twin_row(evaluation) for evaluation in evaluations])
    twins = Section(
        title="The paper's way and the corrected way",
        text=_papers_split(evaluations[0]) + " The corrected split is by subject, unless the source brings its own. "
        "Accuracy, or Dice, is the mean over trials or folds with its standard deviation.",
        tables=[("By mode", table)],
    )
    kept = [section for section in page.sections if section.title != ACCURACIES]
    now = _accuracies(table_of(accuracies))
    return replace(page, sections=[twins, now, *kept, *itertools.chain(*map(_other_job, others))])


def _papers_split(evaluation: Evaluation) -> str:
    if "dice" in _summary(evaluation):
        return "In the paper's mode every net is trained, and tested, on all cases: its Dice says nothing of new ones."
    return "In the paper's mode samples or people are drawn at random, and may be on both sides, or never be tested."


def _other_job(evaluation: Evaluation) -> list[Section]:
    """What another job found, in short; everything stands on its own page."""
    found = judgement(evaluation)
    if not ranks_explainers(evaluation):
        return [replace(section, title=f"{evaluation.job}: {section.title}") for section in _inspections(evaluation)]
    ranking, comparisons = _ranking(evaluation, found), _comparisons(evaluation, found)
    head = f"{evaluation.job}: {ranking.title}"
    verdicts = "\n\n".join(found["verdicts"])
    return [
        replace(ranking, title=head, text=f"{ranking.text}\n\n{verdicts}"),
        replace(comparisons, title=f"{evaluation.job}: paired comparisons"),
        *_inspections(evaluation),
        replace(_metrics(evaluation, found), title=f"{evaluation.job}: every measure"),
    ]


def _twin_row(evaluation: Evaluation) -> dict[str, Any]:
    performance, found = _summary(evaluation), judgement(evaluation)
    return {
        "mode": evaluation.mode,
        "version": evaluation.model_version,
        **_merit(performance),
        "most faithful": found["best"],
        "verdict on the contrast": found["verdicts"][0],
    }


def _merit(performance: dict[str, Any]) -> dict[str, float]:
    if "dice" in performance:
        return {"Dice": performance["dice_mean"], "SD": performance["dice_sd"]}
    return {
        "accuracy": performance["accuracy_mean"],
        "SD": performance["accuracy_sd"],
        "balanced accuracy": performance["balanced_accuracy"],
    }


def _fact(performance: dict[str, Any]) -> tuple[str, str]:
    if "dice" in performance:
        return "Dice", _interval(performance, "dice", "dice")
    return "Balanced accuracy", _interval(performance, "balanced_accuracy", "balanced_accuracy")


def _facts(evaluation: Evaluation, found: dict[str, Any]) -> list[tuple[str, str]]:
    cohort = Cohort.open(evaluation.cohort)
    performance = _summary(evaluation)
    few = ", ".join(found["few_subject_classes"]) or "none"
    best = [f"{found['best']}: {found['metric']} {_interval(found, 'best_mean', 'best')}"] if "best" in found else []
    return [
        *(("Most faithful on the mean", words) for words in best),
        _fact(performance),
        ("Judged", f"{found['samples']} samples of {found['subjects']} {found['subject_kind']}s"),
        ("Cohort", f"{len(cohort)} samples, digest {evaluation.cohort_digest[:12]}"),
        ("Classes with fewer than 3 subjects, left out of inference", few),
        ("Evaluation key", evaluation.key),
    ]


def _interval(numbers: dict[str, Any], value: str, stem: str) -> str:
    return f"{numbers[value]:.3g} [{numbers[f'{stem}_ci_low']:.3g}, {numbers[f'{stem}_ci_high']:.3g}]"


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    return json.loads((evaluation.bundle / "performance.json").read_text())


def _performance(evaluation: Evaluation) -> Section:
    found = _summary(evaluation)
    tested = (
        "Members are tested on the cases that they were trained on, as the paper did."
        if found.get("tested_in_training")
        else "Every member is tested on samples that it never saw."
    )
    summary = pd.DataFrame([found])
    return Section(
        title="How well the model reads the recordings",
        text=f"{tested} Mean and standard deviation are over members; the interval is a bootstrap over subjects.",
        tables=[("Performance", summary.T.reset_index().set_axis(["measure", "value"], axis=1))],
    )


def _accuracies(table: pd.DataFrame) -> Section:
    return Section(
        title=ACCURACIES,
        text="Ours are means over trials (paper mode) or folds (corrected) with their standard deviation, as far as "
        "they were trained in this installation; the note says on what. The others the paper prints or quotes.",
        tables=[("The paper's Table 1 with our rows", table.astype(object).where(table.notna(), "–"))],
    )


def _ranking(evaluation: Evaluation, found: dict[str, Any]) -> Section:
    title, text = RANKINGS[evaluation.job]
    where = f" with the {found['baseline']} baseline" if found["baseline"] else ""
    return Section(
        title=title,
        text=f"The primary measure is {found['metric']}{where}. {text} "
        f"A {found['subject_kind']} is the unit: scores are averaged within it first. Random maps and the input's "
        "amplitude are controls: an explainer that does not beat them has not been shown to say anything about the "
        "model. The intervals are not adjusted for choosing the best; the paired tests are.",
        figures=_pictures(evaluation, {"figures/explainers.png": "Every explainer with its 95 % interval",
                                       "figures/curves.png": "Score while the input is removed"}),
    )  # fmt: skip


def _inspections(evaluation: Evaluation) -> list[Section]:
    """What each inspection has found, in the catalogue's order."""
    return [
        Section(
            title=kept.title,
            text="\n\n".join([kept.text, *kept.verdicts]),
            figures=_pictures(evaluation, {f"{stem}.png": caption for stem, caption in kept.figures.items()}),
            tables=[(name, read_csv(evaluation, name).head(LONGEST_TABLE)) for name in kept.tables],
        )
        for kept in findings(evaluation).values()
    ]


def _heatmaps(evaluation: Evaluation) -> Section:
    captions = {
        f"{evaluation.figure('heatmaps')}.png": "One sample of each class, the first that the model reads rightly",
        "figures/class-means.png": "Mean attribution of each class",
    }
    for name in written_figures(evaluation):
        if name.endswith("-all.png"):
            captions[name] = f"{name.split('/')[1]}: every explainer on one sample"
    scroll = "Of a volume one slice is shown; explored, the figure scrolls through all of them and through the maps. "
    return Section(
        title="The heatmaps",
        text="Each map is scaled by itself. Where the cohort knows its evidence, it is marked. "
        + (scroll if Cohort.open(evaluation.cohort).volume else "")
        + "An occlusion named -paper runs as printed in the paper: low values mark what matters.",
        figures=_pictures(evaluation, captions),
        tables=[],
    )


def _comparisons(evaluation: Evaluation, found: dict[str, Any]) -> Section:
    table = read_csv(evaluation, "comparisons")
    primary = primary_comparisons(evaluation, table).query("family != 'all'")
    columns = ["family", "first", "second", "difference", "ci_low", "ci_high", "p_adjusted", "effect_size",
               "in_favour", "subjects", "verdict"]  # fmt: skip
    return Section(
        title="Paired comparisons",
        text=f"Differences are paired by {found['subject_kind']}, with bootstrap intervals over these and sign-flip p. "
        "The families were declared before looking: the contrast of the study and all explainers against the "
        "controls, each corrected by Holm. Every pair, by Benjamini-Hochberg, stands in tables/comparisons.csv.",
        figures=_pictures(evaluation, {"figures/comparisons.png": "Paired differences with 95 % intervals"}),
        tables=[("The declared pairs on the primary measure", primary[columns])],
    )


def _subgroups(evaluation: Evaluation) -> Section | None:
    table = read_csv(evaluation, "subgroups")
    if table.empty:
        return None
    return Section(
        title="For whom",
        text="The primary measure by sex and age band. Groups under 3 subjects have no interval.",
        figures=_pictures(evaluation, {"figures/subgroups.png": "The primary measure by subgroup"}),
        tables=[("Subgroups", table)],
    )


def _metrics(evaluation: Evaluation, found: dict[str, Any]) -> Section:
    table = read_csv(evaluation, "explainers")
    table["measure"] = table["metric"].where(table["baseline"] == "", table["metric"] + " (" + table["baseline"] + ")")
    wide = table.pivot(index="measure", columns="explainer", values="mean").reset_index()
    undefined = table.groupby("measure")["undefined"].sum().rename("undefined subjects")
    return Section(
        title="Every measure",
        text=f"Means over {found['subject_kind']}s; intervals stand in tables/explainers.csv. Undefined values are "
        "counted, never zero. Measures that explain anew (max-sensitivity, randomisation, fold agreement) are taken "
        "on one sample of each of a bounded number of them.",
        tables=[("Mean of every measure", wide.merge(undefined, left_on="measure", right_index=True))],
    )


def _quarantine(evaluation: Evaluation) -> Section | None:
    quarantine = Cohort.open(evaluation.cohort).quarantine
    if quarantine.empty:
        return None
    return Section(
        title="Quarantined recordings",
        text="These recordings could not be used; the rest went on without them.",
        tables=[("Quarantine", quarantine)],
    )


def _pictures(evaluation: Evaluation, captions: dict[str, str]) -> list[Picture]:
    """The written figures of these names, in this order, each with its interactive twin if there is one."""
    written: dict[str, Path] = written_figures(evaluation)
    return [_picture(caption, written[name]) for name, caption in captions.items() if name in written]


def _picture(caption: str, still: Path) -> Picture:
    twin = still.with_suffix(".html")
    return Picture(caption, still.read_bytes(), read_interactive(twin) if twin.exists() else None)
