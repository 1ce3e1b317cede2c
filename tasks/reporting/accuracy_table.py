"""The paper's Table 1 with our own rows: mean accuracy, or Dice, over trials or folds with its standard deviation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import write_csv
from ..training.averaged_scores import BALANCED
from ..training.fitting import REFERENCE, Training, performance_table

COLUMNS = ["study", "source", "accuracy", "SD", "balanced accuracy", "members", "hidden units", "samples", "note"]
DICE_COLUMNS = [
    "study", "source", "Dice", "SD", "Dice in training mode", "minutes", "members", "width", "samples", "note"
]  # fmt: skip
"""Of segmentations, as the Table Annex 1 of Tjoa et al. has them."""
AVERAGES_COLUMNS = [
    "study", "source", "precision", "recall", "F1", "accuracy", "SD", "members", "note"
]  # fmt: skip
"""Of classifiers whose paper prints averages over classes, as the Table II of Vijayarangan et al. has them."""
TABLE = "table1_accuracy"


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a table with the columns of what they tell."""
    table = pd.DataFrame(rows)
    if any(str(name).startswith("Dice") for name in table):
        return table.reindex(columns=DICE_COLUMNS)
    return table.reindex(columns=AVERAGES_COLUMNS if "F1" in table and table["F1"].notna().any() else COLUMNS)


def trained_accuracies(study: str, root: Path, averages: bool = False) -> Iterator[dict[str, Any]]:
    """The newest finished training of a study by cohort, mode and options: source, accuracy, SD and so on.

    ``averages``: instead of one row for each training a row for every way in which its rates may be averaged.
    """
    newest: dict[tuple[str, str, str], tuple[Training, Path]] = {}
    found = (root / "trainings").glob("*/tables/performance.json")
    # trainings of older versions have left no reference
    tested = [path for path in found if (path.parents[1] / REFERENCE).exists()]
    for done in sorted(tested, key=lambda path: path.stat().st_mtime):
        training = Training.model_validate_json((done.parents[1] / REFERENCE).read_text())
        if training.study == study:
            newest[(training.mode, str(training.cohort), str(training.options))] = (training, done)
    for training, done in newest.values():
        numbers = json.loads(done.read_text())
        source = ", ".join([f"here, {training.mode} mode", *(f"{k} {v}" for k, v in training.options.items())])
        if averages:
            yield from _averages(training, source)
            continue
        segments = training.task == "segmentation"
        yield {
            "source": source,
            **(_dice(training, numbers) if segments else _accuracy(training, numbers)),
            "members": training.members,
            "samples": numbers["samples"],
            "note": training.subset,
        }
        if segments:
            yield from _nets(training, source)


def _averages(training: Training, source: str) -> Iterator[dict[str, Any]]:
    """A row per basis and average, see `averaged_scores`."""
    for _, row in performance_table(training, "averaged_scores").iterrows():
        per_class = f", {row['per_class']:.0f} per class" if row["basis"] == BALANCED else ""
        yield {
            "source": source,
            "precision": row["precision"],
            "recall": row["recall"],
            "F1": row["f1"],
            "accuracy": row["accuracy"],
            "SD": row["accuracy_sd"],
            "members": training.members,
            "note": f"{row['average']}, {row['basis']}{per_class}",
        }


def _nets(training: Training, source: str) -> Iterator[dict[str, Any]]:
    """A row per net, as Table Annex 1 of Tjoa et al. has them."""
    for _, net in performance_table(training, "members").iterrows():
        yield {
            "source": f"{source}, net {net['member']:.0f}",
            "Dice": net["dice"],
            "Dice in training mode": net["dice_training_mode"],
            "minutes": net["minutes"],
            "width": training.network["arguments"]["width"],
            "samples": net["samples"],
        }


def _accuracy(training: Training, numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": numbers["accuracy_mean"],
        "SD": numbers["accuracy_sd"],
        "balanced accuracy": numbers["balanced_accuracy"],
        "hidden units": " x ".join(map(str, training.network["arguments"].get("hidden", ()))),
    }


def _dice(training: Training, numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Dice": numbers["dice_mean"],
        "SD": numbers["dice_sd"],
        "Dice in training mode": numbers["dice_training_mode"],
        "minutes": numbers["minutes_per_member"],
        "width": training.network["arguments"]["width"],
    }


@task
def write_accuracy_table(evaluation: Evaluation, rows: list[dict[str, Any]]) -> None:
    """Writes Table 1 among the evaluation's tables, under the paper's number."""
    write_csv(evaluation, TABLE, table_of(rows))
