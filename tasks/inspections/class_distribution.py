"""Table I: where the windows of each class come from, beside the paper's counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from .finding import Finding
from .inspected import Inspected

STRONGEST = 5
PAPERS = Path(__file__).parent / "vijayarangan_table1.csv"

TEXT = """A class that only one recorder wrote can be told by the recorder, and one that comes from a few people is
learned from them. The paper's counts are those of its Table I, by database; its AFIB, SVTA and SBR are marks of a
rhythm's onset, not beats, and its PAC and PVC of LTAFDB and LTDB are windows of nothing else."""


def inspect(looked: Inspected) -> Finding:
    """Windows and people by class and recorder, and how many of the windows the five strongest people bring."""
    table = distribution(looked.cohort.samples, looked.classes)
    papers = pd.read_csv(PAPERS, dtype={"recorder": str})
    return Finding(
        title="Where the classes come from",
        text=TEXT,
        verdicts=tuple(_words(table, looked.classes)),
        tables={"class_distribution": table, "class_distribution_paper": papers},
    )


def distribution(samples: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """One row per class and recorder: windows, people, and the share of the windows from the five strongest people.

    ``samples`` has the columns label, recorder and subject. A class without windows has one row, of zeros.
    """
    rows = []
    for label, name in enumerate(classes):
        own = samples[samples["label"] == label]
        for recorder, part in own.groupby("recorder"):
            people = part["subject"].value_counts()
            rows.append(
                {
                    "class": name,
                    "recorder": recorder,
                    "windows": len(part),
                    "people": len(people),
                    "share_of_strongest": people.head(STRONGEST).sum() / len(part),
                }
            )
        if own.empty:
            rows.append({"class": name, "recorder": "", "windows": 0, "people": 0})
    return pd.DataFrame(rows)


def _words(table: pd.DataFrame, classes: tuple[str, ...]) -> Iterator[str]:
    written = table[table["windows"] > 0]
    every = set(written["recorder"])
    for name in classes:
        own = written[written["class"] == name]
        if own.empty:
            yield f"{name}: no window"
        elif len(own) == 1 and len(every) > 1:
            yield f"{name}: {own['recorder'].iloc[0]} alone wrote it, {own['windows'].sum():,} windows"
