"""Which windows of which records a cohort of rhythms takes, and how many there would be: no signal is read here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .ecg_windows import BEATS
from .errors import UnusableRecording, private
from .rhythm_labels import CLASSES, Annotations, Build, Labelled, label_marks
from .subject_facts import Subject, combined, read_subject_table
from .wfdb_files import (
    RATES,
    check_extent,
    folder_of_records,
    inside,
    read_header,
    read_layout,
    read_marks,
    record_names,
)
from .writer import Quarantined

_OF_PHANTOM = re.compile(r"rec-[a-z]")
MITDB, LTAFDB, LTDB, UNKNOWN = "mitdb", "ltafdb", "ltdb", "unknown"
_SIGNATURES = (
    (MITDB, 360.0, frozenset({"MLII", "V1", "V2", "V4", "V5"})),
    (LTAFDB, 128.0, frozenset({"ECG"})),
    (LTDB, 128.0, frozenset({"ECG1", "ECG2", "ECG3"})),
)
"""By database: the rate of its records in hertz and the names of all their signals."""
CAPPED = "beyond the most of a patient and class"


@dataclass(frozen=True)
class RhythmRecord:
    """A record without its signal: what its header and its annotations say, and from whom it is."""

    name: str
    recorder: str
    header: Any
    annotations: Annotations
    subject: Subject


@dataclass(frozen=True)
class Chosen:
    """The samples that a cohort takes of the record ``name``; ``labelled.dropped`` counts those that it leaves."""

    name: str
    recorder: str
    subject: Subject
    labelled: Labelled


def count_labels(folder: Path | str, build: Build) -> pd.DataFrame:
    """How many windows and patients of each class the annotations of a folder give, one row per recorder and class.

    Columns recorder, class, windows, patients. Needs headers and annotations, no signals: what flat or undefined
    stretches take away is not known. Windows are counted before any cap. ``attrs["quarantined"]`` lists the records
    that cannot be counted, (record, reason). Raises CohortError when the folder holds no record.
    """
    root = folder_of_records(folder)
    table, quarantined = read_subject_table(root), []
    counts: defaultdict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(len(CLASSES), dtype=np.int64))
    patients: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for name in record_names(root):
        try:
            record = open_record(root, name, table)
        except UnusableRecording as reason:
            quarantined.append((name, str(reason)))
            continue
        found = np.bincount(label_marks(record.annotations, build, record.recorder).labels, minlength=len(CLASSES))
        counts[record.recorder] += found
        for label in np.flatnonzero(found):
            patients[record.recorder, int(label)].add(record.subject.identity)
    rows = [
        (recorder, name, int(windows[label]), len(patients[recorder, label]))
        for recorder, windows in sorted(counts.items())
        for label, name in enumerate(CLASSES)
    ]
    counted = pd.DataFrame(rows, columns=["recorder", "class", "windows", "patients"])
    counted.attrs["quarantined"] = quarantined
    return counted


def open_record(root: Path, name: str, table: Mapping[str, Subject]) -> RhythmRecord:
    """The record, from its header and annotations alone. Raises UnusableRecording."""
    header = read_layout(root, name)
    check_extent(header.fs, header.sig_len, RATES)
    marks = read_marks(root, name, BEATS, header.fs, header.sig_len)
    annotations = Annotations(
        marks.samples, np.array(marks.symbols), np.array(marks.notes), float(header.fs), header.sig_len
    )
    subject = combined(name, header.comments or [], table)
    return RhythmRecord(name, recorder_of(name, header), header, annotations, subject)


def recorder_of(record: str, header: Any) -> str:
    """What wrote the record: the folder that holds it, else the database that it looks like, else "unknown"."""
    folders = PurePosixPath(record).parts[:-1]
    if folders:
        return folders[0]
    found = (
        database
        for database, rate, names in _SIGNATURES
        if header.fs == rate and header.sig_name and names.issuperset(header.sig_name)
    )
    return next(found, UNKNOWN)


def shown_recorder(recorder: str) -> str:
    """The recorder, marked as found (see `errors.private`) unless it is a database or of a phantom."""
    known = recorder in (MITDB, LTAFDB, LTDB, UNKNOWN) or _OF_PHANTOM.fullmatch(recorder)
    return recorder if known else private(recorder)


def plan_rhythms(root: Path, build: Build, per_patient: int | None) -> list[Chosen | Quarantined]:
    """What the cohort takes of every record, in order of their names.

    ``per_patient``: the most windows of one patient and class, spread evenly over the patient's records; None takes
    all. Records without signals are quarantined.
    """
    table = read_subject_table(root)
    planned = [_labelled(root, name, table, build) for name in record_names(root)]
    if per_patient is None:
        return planned
    chosen = [one for one in planned if isinstance(one, Chosen)]
    capped = dict(zip((one.name for one in chosen), _capped(chosen, per_patient), strict=True))
    return [one if isinstance(one, Quarantined) else capped[one.name] for one in planned]


def _labelled(root: Path, name: str, table: Mapping[str, Subject], build: Build) -> Chosen | Quarantined:
    try:
        record = open_record(root, name, table)
        _require_signals(root, record)
    except UnusableRecording as reason:
        return Quarantined(name, reason.marked)
    labelled = label_marks(record.annotations, build, record.recorder)
    return Chosen(name, record.recorder, record.subject, labelled)


def _require_signals(root: Path, record: RhythmRecord) -> None:
    home = Path(record.name).parent
    for file in record.header.file_name or ():
        if not inside(root, str(home / file)).is_file():
            raise UnusableRecording(
                f"the record has annotations and no signals: the file {private(home / file)} is missing."
            )
    read_header(root, record.name)


def _capped(records: Sequence[Chosen], most: int) -> list[Chosen]:
    """The records with at most ``most`` windows of each patient and class, evenly over the patient's windows."""
    shares: defaultdict[tuple[str, int], list[tuple[int, NDArray[np.int64]]]] = defaultdict(list)
    for number, record in enumerate(records):
        for label in np.unique(record.labelled.labels):
            places = np.flatnonzero(record.labelled.labels == label)
            shares[record.subject.identity, int(label)].append((number, places))
    taken: list[list[NDArray[np.int64]]] = [[np.empty(0, dtype=np.int64)] for _ in records]
    for parts in shares.values():
        first = np.cumsum([0, *(len(places) for _, places in parts)])
        picked = _evenly(int(first[-1]), most)
        for (number, places), start in zip(parts, first[:-1], strict=True):
            own = picked[(picked >= start) & (picked < start + len(places))]
            taken[number].append(places[own - start])
    return [_restricted(one, np.sort(np.concatenate(places))) for one, places in zip(records, taken, strict=True)]


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` places: of as many equal parts, the middle of each."""
    if count <= most:
        return np.arange(count)
    return (2 * np.arange(most) + 1) * count // (2 * most)


def _restricted(record: Chosen, places: NDArray[np.int64]) -> Chosen:
    whole = record.labelled
    dropped = {**whole.dropped, CAPPED: len(whole.labels) - len(places)}
    return replace(record, labelled=Labelled(whole.marks[places], whole.labels[places], dropped))
