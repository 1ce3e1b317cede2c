"""Experts' marks of sleep spindles, and what they say about a window: spindle, none, or too little to tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableRecording, private

NONE, SPINDLE, AMBIGUOUS = 0, 1, -1
CLASSES = ("none", "spindle")
SHORTEST = 0.5
"""Seconds of one expert's marks that make a window one with a spindle; the AASM's shortest spindle."""
_HEADING = re.compile(r"\[vis\d_Spindles/(?P<derivation>[\w.\- ]+)\]")
_LARGEST_FILE = 1 << 20
_LONGEST = 7 * 86_400.0


@dataclass(frozen=True)
class ExpertMarks:
    """What one expert marked: onsets and durations (mark, 2) in seconds, on the signal named ``derivation``."""

    derivation: str
    spans: NDArray[np.float64]


def read_expert_marks(path: Path) -> ExpertMarks:
    """Reads ``Visual_scoringE_NAME.txt`` of DREAMS: a heading, then onset and duration in seconds."""
    if path.stat().st_size > _LARGEST_FILE:
        raise UnusableRecording(f"{private(path.name)} is larger than 1 MiB.")
    heading, *lines = path.read_text(encoding="latin-1").splitlines() or [""]
    found = _HEADING.fullmatch(heading.strip())
    if found is None:
        raise UnusableRecording(
            f"{private(path.name)} begins with {private(repr(heading[:40]))}; expected [visN_Spindles/DERIVATION]."
        )
    try:
        rows = [[float(cell) for cell in line.split()] for line in lines if line.strip()]
        spans = np.array(rows, dtype=np.float64).reshape(-1, 2)
    except ValueError:
        raise UnusableRecording(
            f"{private(path.name)} has a line that is not an onset and a duration in seconds."
        ) from None
    if any(len(row) != 2 for row in rows) or not np.isfinite(spans).all() or (spans < 0).any():
        raise UnusableRecording(f"{private(path.name)} has a line that is not an onset and a duration in seconds.")
    if (spans > _LONGEST).any():
        raise UnusableRecording(f"{private(path.name)} has a mark later than {_LONGEST:g} s; expected a week at most.")
    return ExpertMarks(found["derivation"], spans)


def mask_of(marks: ExpertMarks, points: int, rate: float) -> NDArray[np.bool_]:
    """The marked points (time,) of a signal of ``points`` at ``rate`` hertz."""
    mask = np.zeros(points, dtype=bool)
    for onset, duration in marks.spans:
        mask[round(onset * rate) : round((onset + duration) * rate)] = True
    return mask


def label_windows(masks: Sequence[NDArray[np.bool_]], rate: float) -> NDArray[np.int64]:
    """Labels (window,) by the experts' masks, each (window, time).

    SPINDLE: some expert marked `SHORTEST` or more of the window. NONE: nobody marked anything. AMBIGUOUS
    otherwise: the end of a spindle that lies next door, mostly.
    """
    marked = np.stack([mask.sum(axis=1) for mask in masks]).max(axis=0)
    return np.where(marked >= SHORTEST * rate, SPINDLE, np.where(marked == 0, NONE, AMBIGUOUS))


def spans_in(mask: NDArray[np.bool_]) -> list[str]:
    """For each row of (window, time) its marked stretches, ``start stop start stop ...``: points, stop left out."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    return [" ".join(map(str, np.flatnonzero(row))) for row in edges]


def mask_from_spans(spans: Sequence[str | None], points: int) -> NDArray[np.bool_]:
    """What `spans_in` wrote, as (window, time) again; a window of an absent expert has no mark."""
    mask = np.zeros((len(spans), points), dtype=bool)
    for row, written in zip(mask, spans, strict=True):
        edges = [int(edge) for edge in (written or "").split()]
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            row[start:stop] = True
    return mask
