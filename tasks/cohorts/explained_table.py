"""`summary.csv` of a folder that was explained: one row per recording, and the record of what is done."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import UsageError

SUMMARY = "summary.csv"
DONE, QUARANTINED = "done", "quarantined"


@dataclass(frozen=True)
class Row:
    """One recording: by which ``model`` (name/number) and ``method``, and what was found; ``reason``, why not.

    ``samples``: windows, patches or volumes; ``predicted``: how many of each class; ``mean_confidence``: mean
    probability of the predicted class.
    """

    recording: str
    model: str
    method: str
    status: str
    samples: str = ""
    predicted: str = ""
    mean_confidence: str = ""
    reason: str = ""


def read_summary(folder: Path, model: str, method: str) -> dict[str, Row]:
    """The rows of ``folder`` by recording, none where nothing was explained yet.

    Raises UsageError where they are of another model or method, or the file is none of ours.
    """
    path = folder / SUMMARY
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [Row(**row) for row in csv.DictReader(file)]
    except (TypeError, ValueError, csv.Error) as error:
        raise UsageError(f"{path} is no summary of explanations; expected another --out.") from error
    for row in rows:
        if (row.model, row.method) != (model, method):
            raise UsageError(
                f"{folder} holds answers of {row.model} by {row.method}, not of {model} by {method}; "
                "expected another --out."
            )
    return {row.recording: row for row in rows}


def write_summary(folder: Path, rows: dict[str, Row]) -> None:
    """Writes the rows, sorted by recording, whole or not at all."""
    partial = folder / f".{SUMMARY}.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(rows[name]) for name in sorted(rows))
    os.replace(partial, folder / SUMMARY)
