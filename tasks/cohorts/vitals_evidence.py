"""Evidence of bedside signals: marks in an annotation file, on each signal's own number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableRecording, private
from .vitals_windows import Source
from .wfdb_files import REMARK, inside, read_marks

EVIDENCE = "evd"
"""Extension of the evidence marks: "(" to ")", both ends included; nothing but remarks: there is no evidence."""


def read_evidence_marks(root: Path, source: Source) -> dict[int, NDArray[np.int64]] | None:
    """Intervals (interval, 2) of first and last frame by signal number, or None without an evidence file."""
    record = source.record
    if not inside(root, f"{record.name}.{EVIDENCE}").exists():
        return None
    samples, symbols, numbers, _ = read_marks(root, record.name, EVIDENCE, record.rate, record.frames)
    is_mark = np.array([symbol != REMARK for symbol in symbols], dtype=bool)
    marks = {}
    for number in np.unique(numbers[is_mark]):
        own = np.flatnonzero(is_mark & (numbers == number))
        if [symbols[i] for i in own] != ["(", ")"] * (len(own) // 2):
            raise UnusableRecording(
                f"the evidence marks {private(record.name)}.{EVIDENCE} of signal {number} are not pairs of ( and )."
            )
        marks[int(number)] = samples[own].reshape(-1, 2)
    return marks


def read_evidence(root: Path, source: Source, shape: tuple[int, ...], rate: float) -> NDArray[np.bool_] | None:
    """The evidence (role, time) at ``rate`` hertz, of the given shape, or None where it is unknown."""
    marks = read_evidence_marks(root, source)
    if marks is None:
        return None
    mask = np.zeros(shape, dtype=bool)
    ratio = rate / source.record.rate
    for role, one in enumerate(source.assigned):
        for onset, offset in np.rint(marks.get(one.number, np.empty((0, 2))) * ratio).astype(np.int64):
            mask[role, onset : offset + 1] = True
    return mask
