"""The DREAMS sleep spindles (Devuyst et al. 2011): one EEG channel with two experts' marks, in windows of 3 s."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .constant import is_constant
from .edf_files import EdfHeader, check_channels, read_edf_channel, read_edf_header, shown_label
from .errors import CohortError, UnusableRecording, private
from .resampling import resampled
from .spindle_marks import AMBIGUOUS, CLASSES, SPINDLE, ExpertMarks, label_windows, mask_of, read_expert_marks, spans_in
from .standardising import UNIT, standardised
from .store import Cohort, write_cohort
from .subject_facts import Subject, read_subject_table
from .wfdb_files import folder_of_records, inside
from .writer import CohortDescription, Quarantined, Recorded

CHANNEL = "EEG"
RATE, WINDOW = 100, 300
DERIVATIONS = ("C3-A1", "CZ-A1")
EXPERTS = (1, 2)
TEXT_RATES = (50, 100, 200)
"""Hertz that a signal written as text may have; the file does not say, its hypnogram's length does."""
_HYPNOGRAM_SECONDS = 5
_NAME = re.compile(r"excerpt\d+")
_LARGEST_TEXT = 1 << 26


def read_spindles(folder: Path | str, *, key: bytes, out: Path | str, study: str = "") -> Cohort:
    """Reads the excerpts of DREAMS into the cohort ``out``: (sample, 1, 300) at 100 Hz.

    Of every ``excerptN.edf``, or ``excerptN.txt`` where there is none (one value a line; its rate follows from
    ``Hypnogram_excerptN.txt``, a stage every 5 s), the signal is the derivation that the marks
    ``Visual_scoring1_`` and ``Visual_scoring2_excerptN.txt`` name, C3-A1 or CZ-A1. A sample is a window of 3 s
    on a grid from the excerpt's start; `label_windows` says which are "spindle" and which "none"; the ambiguous
    and the flat are dropped and counted. The signal is standardised over the kept windows of its excerpt, so that
    the unit is the recording's SD and the file's own scale does not matter.

    Evidence is what both experts marked; where there is only one expert, what that one did (column ``experts``).
    For a spindle that only one of two marked it is unknown. ``marks_expert1`` and ``marks_expert2`` hold each
    one's stretches in the window (see `spans_in`; None for an absent expert), ``onset`` its first point at 100 Hz.
    Windows of unknown evidence follow the others of their excerpt. Every excerpt is another patient,
    unless ``subjects.csv`` says otherwise. An excerpt that cannot be used is quarantined with its reason.
    ``key``: of the subjects' pseudonyms. ``study``: the name that the manifest bears. Raises CohortError when
    nothing is usable.
    """
    root = folder_of_records(folder, "DREAMS excerpts")
    names = excerpt_names(root)
    description = CohortDescription(
        study=study,
        classes=CLASSES,
        channels=(CHANNEL,),
        units=(UNIT,),
        sampling_rate=float(RATE),
        window=WINDOW,
        origin=0,
        reader="dreams_spindles",
        parameters={},
    )
    return write_cohort(out, description, _stream(root, names, read_subject_table(root)), key=key)


def excerpt_names(root: Path) -> list[str]:
    """The excerpts of the folder, by number. Raises CohortError if there are none."""
    names = sorted({path.stem for path in root.iterdir() if _NAME.fullmatch(path.stem)}, key=lambda name: int(name[7:]))
    if not names:
        raise CohortError(f"{private(root)} holds no excerpt; expected files excerptN.edf or excerptN.txt.")
    return names


def derivation_in(header: EdfHeader) -> str:
    """The derivation that stands for the cohort's channel in a recording without marks."""
    found = [name for name in DERIVATIONS if name in header.names]
    if not found:
        wanted, there = " or ".join(DERIVATIONS), ", ".join(map(shown_label, header.names))
        raise UnusableRecording(f"the recording has no channel {wanted}, only {there}.")
    return found[0]


@dataclass(frozen=True)
class _Excerpt:
    """``signal`` (window, 1, time); by expert the marked points (window, time)."""

    name: str
    subject: Subject
    derivation: str
    signal: NDArray[np.float64]
    masks: Mapping[int, NDArray[np.bool_]]


def _stream(root: Path, names: list[str], table: Mapping[str, Subject]) -> Iterator[Recorded | Quarantined]:
    for name in names:
        try:
            excerpt = _read(root, name, table.get(name, Subject("")))
            yield from _recorded(excerpt)
        except UnusableRecording as reason:
            yield Quarantined(name, reason.marked)


def _read(root: Path, name: str, listed: Subject) -> _Excerpt:
    paths = {expert: inside(root, f"Visual_scoring{expert}_{name}.txt") for expert in EXPERTS}
    marks = {expert: read_expert_marks(path) for expert, path in paths.items() if path.is_file()}
    if not marks:
        raise UnusableRecording(
            f"the excerpt has no marks; expected {private(paths[1].name)} or {private(paths[2].name)}."
        )
    derivation = _one_derivation(marks)
    signal, rate = _signal(root, name, derivation)
    signal, _ = resampled(signal, rate, RATE)
    if is_constant(signal):
        raise UnusableRecording(f"the channel {shown_label(derivation)} is constant.")
    length = len(signal) // WINDOW * WINDOW
    masks = {expert: mask_of(one, length, RATE).reshape(-1, WINDOW) for expert, one in marks.items()}
    subject = Subject(listed.identity or f"excerpt:{name}", listed.facts)
    return _Excerpt(name, subject, derivation, signal[:length].reshape(-1, 1, WINDOW), masks)


def _one_derivation(marks: Mapping[int, ExpertMarks]) -> str:
    found = sorted({one.derivation for one in marks.values()})
    if len(found) > 1:
        raise UnusableRecording(
            f"the experts marked different derivations, {' and '.join(map(shown_label, found))}; expected one."
        )
    return found[0]


def _recorded(excerpt: _Excerpt) -> Iterator[Recorded]:
    """The excerpt's windows in two blocks: those whose evidence is known, and spindles of one expert of two."""
    masks = list(excerpt.masks.values())
    labels = label_windows(masks, RATE)
    flat = np.ptp(excerpt.signal, axis=(1, 2)) == 0
    kept = np.flatnonzero((labels != AMBIGUOUS) & ~flat)
    dropped = {"ambiguous": int((labels == AMBIGUOUS).sum()), "flat": int((flat & (labels != AMBIGUOUS)).sum())}
    if not len(kept):
        raise UnusableRecording(f"the excerpt has no usable window of {WINDOW // RATE} s ({dropped}).")
    signals = standardised(excerpt.signal[kept], [excerpt.derivation])
    agreement = np.logical_and.reduce(masks)[kept]
    known = (labels[kept] != SPINDLE) | agreement.any(axis=1)
    for rows, evidence in ((known, agreement[known, None]), (~known, None)):
        windows = kept[rows]
        yield Recorded(
            recording=excerpt.name,
            identity=excerpt.subject.identity,
            facts=excerpt.subject.facts,
            signals=signals[rows],
            labels=labels[windows],
            onsets=windows * WINDOW,
            evidence=evidence,
            columns=_columns(excerpt, windows),
            dropped=dropped if evidence is not None else {},
        )


def _columns(excerpt: _Excerpt, windows: NDArray[np.int64]) -> dict[str, object]:
    marks = {
        f"marks_expert{expert}": spans_in(excerpt.masks[expert][windows]) if expert in excerpt.masks else None
        for expert in EXPERTS
    }
    seconds = windows * (WINDOW // RATE)
    return {
        "derivation": shown_label(excerpt.derivation),
        "experts": len(excerpt.masks),
        "start_second": seconds,
        **marks,
    }


def _signal(root: Path, name: str, derivation: str) -> tuple[NDArray[np.float64], float]:
    """The signal (time,) and its rate in hertz."""
    path = inside(root, f"{name}.edf")
    if not path.is_file():
        return _text_signal(root, name, derivation)
    header = read_edf_header(path)
    check_channels(header, (derivation,))
    return read_edf_channel(path, header, derivation), header.rates[header.names.index(derivation)]


def _text_signal(root: Path, name: str, derivation: str) -> tuple[NDArray[np.float64], float]:
    path, hypnogram = inside(root, f"{name}.txt"), inside(root, f"Hypnogram_{name}.txt")
    if not path.is_file():
        raise UnusableRecording(f"the file {private(path.name)} is missing.")
    if not hypnogram.is_file():
        raise UnusableRecording(
            f"{private(path.name)} has no {private(hypnogram.name)}; expected it, as it tells the rate."
        )
    heading, values = _column(path)
    if heading != f"[{derivation}]":
        raise UnusableRecording(
            f"{private(path.name)} holds {private(heading[:40])}; "
            f"expected [{shown_label(derivation)}], as the marks do."
        )
    seconds = len(_column(hypnogram)[1]) * _HYPNOGRAM_SECONDS
    found = len(values) / seconds if seconds else 0.0
    rate = min(TEXT_RATES, key=lambda known: abs(known - found))
    if abs(rate - found) > 0.01 * rate:
        raise UnusableRecording(
            f"{private(path.name)} has {len(values)} values for {seconds} s of hypnogram; "
            "expected 50, 100 or 200 a second."
        )
    return values, float(rate)


def _column(path: Path) -> tuple[str, NDArray[np.float64]]:
    """The heading of a text file and the numbers below it, one a line."""
    if path.stat().st_size > _LARGEST_TEXT:
        raise UnusableRecording(f"{private(path.name)} is larger than 64 MiB.")
    try:
        table = pd.read_csv(path, encoding="latin-1", skipinitialspace=True)
        values = table.iloc[:, 0].to_numpy(dtype=np.float64)
    except (ValueError, IndexError):
        raise UnusableRecording(f"{private(path.name)} is not a heading with a number on every line below.") from None
    if not np.isfinite(values).all():
        raise UnusableRecording(f"{private(path.name)} has values that are not finite.")
    return str(table.columns[0]).strip(), values
