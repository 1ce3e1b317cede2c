"""Scored stages brought onto the epochs of a recording: which label each has, or why it has none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .edf_files import Mark
from .errors import private

EPOCH_SECONDS = 30
CLASSES = ("Awake", "NREM1", "NREM2", "NREM3", "REM")
"""Of Ellis et al. (2021): stages 3 and 4 of Rechtschaffen & Kales are one class."""
LABELS = {
    "Sleep stage W": 0,
    "Sleep stage 1": 1,
    "Sleep stage 2": 2,
    "Sleep stage 3": 3,
    "Sleep stage 4": 3,
    "Sleep stage R": 4,
}
NO_STAGE = "no stage"
"""The reason of an epoch that no scored stage covers whole, as where a hypnogram is shorter than its recording."""
BEYOND = "stage beyond the signal"
_REASONS = {"Sleep stage ?": "unscored", "Movement time": "movement"}
_SLACK = 1e-6
_LONGEST_TEXT = 40


@dataclass(frozen=True)
class Scoring:
    """``labels`` (epoch,), -1 where there is none; ``reasons`` (epoch,), empty where there is a label.

    ``beyond``: epochs that were scored but lie after the recording's end.
    """

    labels: NDArray[np.int64]
    reasons: NDArray[np.str_]
    beyond: int


def score_epochs(marks: Sequence[Mark], epochs: int) -> Scoring:
    """Scores ``epochs`` epochs of 30 s; both they and the marks' onsets count from the recording's start."""
    labels = np.full(epochs, -1, dtype=np.int64)
    reasons = np.full(epochs, NO_STAGE, dtype=f"<U{_LONGEST_TEXT + 22}")
    beyond = 0
    for mark in marks:
        onset = mark.onset / EPOCH_SECONDS
        first = max(math.ceil(onset - _SLACK), 0)
        last = math.floor(onset + mark.duration / EPOCH_SECONDS + _SLACK)
        inside = slice(first, max(min(last, epochs), first))
        label = LABELS.get(mark.text, -1)
        labels[inside] = label
        reasons[inside] = "" if label >= 0 else _why_not(mark.text)
        beyond += max(last - max(first, epochs), 0) if label >= 0 else 0
    return Scoring(labels, reasons, beyond)


def counted(scoring: Scoring) -> dict[str, int]:
    """How many epochs are left out, by reason."""
    found = Counter(str(reason) for reason in scoring.reasons if reason)
    return dict(found) | ({BEYOND: scoring.beyond} if scoring.beyond else {})


def _why_not(text: str) -> str:
    return _REASONS.get(text, f"unknown stage {private(repr(text[:_LONGEST_TEXT]))}")
