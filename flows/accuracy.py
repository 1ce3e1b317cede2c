"""Table 1: the accuracy, or Dice, of every study of a paper, beside what the paper prints and quotes."""

from __future__ import annotations

from typing import Any

from tasks.reporting.accuracy_table import trained_accuracies
from tasks.settings import Settings

from .catalogue import STUDIES


def accuracy_rows(paper: int) -> list[dict[str, Any]]:
    """One row per study and source: ours by mode, as far as trained here, then the published ones."""
    rows: list[dict[str, Any]] = []
    studies = [study for study in STUDIES.values() if study.paper == paper]
    averages = any(known.f1 is not None for study in studies for known in study.published)
    for study in studies:
        measure = "Dice in training mode" if study.task == "segmentation" else "accuracy"
        rows.extend({"study": study.name, **ours} for ours in trained_accuracies(study.name, Settings().root, averages))
        rows.extend(
            {
                "study": study.name,
                "source": known.source,
                measure: known.accuracy,
                "minutes": known.minutes,
                "precision": known.precision,
                "recall": known.recall,
                "F1": known.f1,
                "note": known.note,
            }
            for known in study.published
        )
    return rows
