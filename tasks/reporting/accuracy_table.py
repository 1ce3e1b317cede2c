"""The paper's Table 1 with our own rows: mean accuracy over trials or folds with its standard deviation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import task

from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import write_csv
from ..training.fitting import REFERENCE, Training

COLUMNS = ["study", "source", "accuracy", "SD", "balanced accuracy", "members", "hidden units", "samples", "note"]
TABLE = "table1_accuracy"


def trained_accuracies(study: str, root: Path) -> Iterator[dict[str, Any]]:
    """The newest finished training of a study by cohort, mode and options: source, accuracy, SD and so on."""
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
        yield {
            "source": ", ".join([f"here, {training.mode} mode", *(f"{k} {v}" for k, v in training.options.items())]),
            "accuracy": numbers["accuracy_mean"],
            "SD": numbers["accuracy_sd"],
            "balanced accuracy": numbers["balanced_accuracy"],
            "members": training.members,
            "hidden units": " x ".join(map(str, training.network["arguments"].get("hidden", ()))),
            "samples": numbers["samples"],
            "note": training.subset,
        }


@task
def write_accuracy_table(evaluation: Evaluation, rows: list[dict[str, Any]]) -> None:
    """Writes Table 1 among the evaluation's tables, under the paper's number."""
    write_csv(evaluation, TABLE, pd.DataFrame(rows).reindex(columns=COLUMNS))
