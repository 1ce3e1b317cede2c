"""Which classes are left out of inference, and what is left where there are hardly any people."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.cohorts.store import CohortDescription, Recorded, write_cohort
from tasks.evaluating.judging import few_subject_classes, labels_left_out

DESCRIPTION = CohortDescription(
    study="few", classes=("N", "V"), channels=("MLII",), units=("mV",), sampling_rate=360.0, window=4, origin=2,
    reader="test", parameters={},
)  # fmt: skip


def evaluation(folder: Path, labels_of_people: list[list[int]]) -> Any:
    stream = [
        Recorded(str(person), str(person), {}, np.ones((len(labels), 1, 4)), np.array(labels), np.arange(len(labels)))
        for person, labels in enumerate(labels_of_people)
    ]
    cohort = write_cohort(folder / "cohort", DESCRIPTION, stream, key=b"0123456789abcdef")
    samples = pd.DataFrame({"label": [label for labels in labels_of_people for label in labels]})
    return SimpleNamespace(cohort=cohort.path, samples=lambda: samples)


@pytest.mark.parametrize(
    ("people", "few", "left_out"),
    [
        ([[0, 1], [0, 1], [0, 1]], [], []),
        ([[0, 1], [0, 1], [0]], ["V"], [1]),
        ([[0, 1], [0, 1]], ["N", "V"], []),
        ([[1], [1]], ["N", "V"], []),
    ],
    ids=["enough", "one class of two people", "two people", "one class alone"],
)
def test_classes_of_few_people_are_left_out_unless_nothing_else_was_judged(
    tmp_path: Path, people: list[list[int]], few: list[str], left_out: list[int]
) -> None:
    judged = evaluation(tmp_path, people)
    assert few_subject_classes(judged) == few
    assert labels_left_out(judged) == left_out
