"""Nights of polysomnography in EDF, cut into scored epochs of 30 s as by Ellis et al. (2021)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .edf_files import EdfHeader, Mark, read_edf_channel, read_edf_header, read_edf_marks, read_edf_signals
from .errors import CohortError, UnusableRecording, private
from .hypnogram import CLASSES, EPOCH_SECONDS, Scoring, counted, score_epochs
from .sleep_table import HYPNOGRAM_ENDING, OF_RECORDING, PSG_ENDING, night_of
from .standardising import UNIT, standardised
from .store import Cohort, write_cohort
from .subject_facts import Subject, read_subject_table
from .wfdb_files import folder_of_records, inside
from .writer import CohortDescription, Quarantined, Recorded

CHANNELS = ("EEG Fpz-Cz", "EOG horizontal", "EMG submental")
RATE = 100
"""Hertz; a channel of another rate is resampled to it."""
MARKER = "Marker"
EVIDENCE_ENDING = "-Evidence.edf"
"""Of an EDF+ file whose annotations are the stretches that make the stage true; each text is the channel's name."""
_POINTS = RATE * EPOCH_SECONDS


def read_stages(
    folder: Path | str, *, channels: Sequence[str] = CHANNELS, key: bytes, out: Path | str, study: str = ""
) -> Cohort:
    """Reads ``NAME-PSG.edf`` files and their hypnograms into the cohort ``out``: (sample, channel, 3000) at 100 Hz.

    A sample is an epoch of 30 s; its label is its stage in ``NAME``'s hypnogram, the EDF+ file of the same name
    but for the last character (``ST7011J0-PSG.edf``, ``ST7011JP-Hypnogram.edf``). Stages 3 and 4 are one class.
    Each channel of each recording is standardised over the epochs that are kept: the unit is the SD of the
    recording. Dropped, and counted by reason: movement, unscored epochs, epochs without a stage or with an
    unknown one, flat ones, and those with a negative sample of the channel ``Marker``, where there is one (an
    error of the telemetry). Age, sex, drug and night are those of ``subjects.csv``, if the folder has it
    (columns recording, subject, age, sex, night, drug; see `subject_facts`), else of Sleep-EDF's own tables;
    night and drug are columns of the sample table, with ``epoch`` and ``start_second``.

    Sleep Cassette is read too; its EMG is the envelope, at 1 Hz, of what Telemetry records, and its nights begin
    and end with hours awake, which stay. A recording that cannot be used is quarantined with its reason.
    ``key``: of the subjects' pseudonyms. ``study``: the name that the manifest bears. Raises CohortError when
    nothing is usable, ValueError when ``channels`` is empty or names one twice.
    """
    wanted = tuple(channels)
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"channels is {wanted}; expected one name or more, none of them twice.")
    root = folder_of_records(folder, "EDF files")
    description = CohortDescription(
        study=study,
        classes=CLASSES,
        channels=wanted,
        units=(UNIT,) * len(wanted),
        sampling_rate=float(RATE),
        window=_POINTS,
        origin=0,
        reader="edf_stages",
        parameters={"channels": list(wanted)},
    )
    table = read_subject_table(root, of_recording=OF_RECORDING)
    return write_cohort(out, description, _stream(root, table, wanted), key=key)


def telemetry_errors(path: Path, header: EdfHeader, epochs: int, seconds: float = EPOCH_SECONDS) -> NDArray[np.bool_]:
    """Epochs (epoch,) with a negative sample of the telemetry's marker; none where there is no such channel."""
    wrong = np.zeros(epochs, dtype=bool)
    if MARKER in header.names:
        rate = header.rates[header.names.index(MARKER)]
        negative = np.flatnonzero(read_edf_channel(path, header, MARKER) < 0)
        found = (negative / (rate * seconds)).astype(np.int64)
        wrong[found[found < epochs]] = True
    return wrong


def stages_beside(psg: Path, header: EdfHeader) -> list[Mark]:
    """The scored stages of a recording, in seconds from its start; none where it has not exactly one hypnogram.

    ``psg``: resolved, as the hypnogram must not lie elsewhere.
    """
    name = psg.name.removesuffix(PSG_ENDING)
    found = [path for path in psg.parent.glob(f"*{HYPNOGRAM_ENDING}") if belongs(path.name, name)]
    return _on_clock(inside(psg.parent, found[0].name), header) if len(found) == 1 else []


@dataclass(frozen=True)
class _Files:
    """The files of one recording: ``psg``, ``hypnogram`` and, where it is known, ``evidence``."""

    name: str
    psg: Path
    hypnogram: Path
    evidence: Path


def _stream(root: Path, table: Mapping[str, Subject], channels: tuple[str, ...]) -> Iterator[Recorded | Quarantined]:
    hypnograms = {path.relative_to(root).as_posix() for path in root.rglob(f"*{HYPNOGRAM_ENDING}")}
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob(f"*{PSG_ENDING}"))
    if not names:
        raise CohortError(f"{private(root)} holds no recording; expected EDF files whose names end in {PSG_ENDING}.")
    used = set()
    for name in (name.removesuffix(PSG_ENDING) for name in names):
        matching = sorted(hypnogram for hypnogram in hypnograms if belongs(hypnogram, name))
        used |= set(matching)
        try:
            yield _recorded(_files(root, name, matching), table, channels)
        except UnusableRecording as reason:
            yield Quarantined(name, reason.marked)
    for orphan in sorted(hypnograms - used):
        yield Quarantined(orphan.removesuffix(HYPNOGRAM_ENDING), f"the hypnogram has no recording *{PSG_ENDING}.")


def belongs(hypnogram: str, name: str) -> bool:
    """Whether a hypnogram is a recording's: a PSG's name ends in its technician's letter, its own in its scorer's."""
    stem = hypnogram.removesuffix(HYPNOGRAM_ENDING)
    return len(stem) == len(name) and stem[:-1] == name[:-1]


def _files(root: Path, name: str, hypnograms: Sequence[str]) -> _Files:
    if len(hypnograms) != 1:
        found = private(", ".join(hypnograms)) if hypnograms else "none"
        raise UnusableRecording(f"the recording has {len(hypnograms)} hypnograms ({found}); expected one.")
    return _Files(
        name=name,
        psg=inside(root, name + PSG_ENDING),
        hypnogram=inside(root, hypnograms[0]),
        evidence=inside(root, name + EVIDENCE_ENDING),
    )


def _recorded(files: _Files, table: Mapping[str, Subject], channels: tuple[str, ...]) -> Recorded:
    """The recording's epochs, standardised; everything else is let go before the next one is opened."""
    night = night_of(Path(files.name).name, table)
    header = read_edf_header(files.psg)
    epochs = int(header.seconds // EPOCH_SECONDS)
    signals = _epochs_of(read_edf_signals(files.psg, header, channels, RATE), epochs)
    scoring = _judged(
        score_epochs(_on_clock(files.hypnogram, header), epochs), signals, telemetry_errors(files.psg, header, epochs)
    )
    kept = np.flatnonzero(scoring.labels >= 0)
    dropped = counted(scoring)
    if not len(kept):
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "it is shorter than one"
        raise UnusableRecording(f"the recording has no usable epoch of {EPOCH_SECONDS} s ({why}).")
    return Recorded(
        recording=files.name,
        identity=night.subject.identity,
        facts=night.subject.facts,
        signals=standardised(signals[kept], channels),
        labels=scoring.labels[kept],
        onsets=kept * _POINTS,
        evidence=_evidence(files.evidence, channels, epochs, kept),
        columns={"night": night.number, "drug": night.drug, "epoch": kept, "start_second": kept * EPOCH_SECONDS},
        dropped=dropped,
    )


def _epochs_of(values: NDArray[Any], epochs: int) -> NDArray[Any]:
    """Epochs (epoch, channel, time) of values (channel, time); what follows the last whole one is left out."""
    return values[:, : epochs * _POINTS].reshape(len(values), epochs, _POINTS).swapaxes(0, 1)


def _on_clock(hypnogram: Path, header: EdfHeader) -> list[Mark]:
    """The scored stages in seconds from the recording's start: by the clock, where both files say when they begin."""
    start = read_edf_header(hypnogram).start
    shift = (start - header.start).total_seconds() if start and header.start else 0.0
    return [replace(mark, onset=mark.onset + shift) for mark in read_edf_marks(hypnogram)]


def _judged(scoring: Scoring, signals: NDArray[np.float64], errors: NDArray[np.bool_]) -> Scoring:
    """The scoring without the epochs whose signals cannot be used."""
    labels, reasons = scoring.labels.copy(), scoring.reasons.copy()
    flat = (np.ptp(signals, axis=2) == 0).any(axis=1)
    for reason, found in (("telemetry error", errors), ("flat", flat)):
        wrong = found & (labels >= 0)
        labels[wrong], reasons[wrong] = -1, reason
    return Scoring(labels, reasons, scoring.beyond)


def _evidence(path: Path, channels: tuple[str, ...], epochs: int, kept: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Evidence (sample, channel, time), or None when the recording carries no such file."""
    if not path.exists():
        return None
    mask = np.zeros((len(channels), epochs * _POINTS), dtype=bool)
    for mark in read_edf_marks(path):
        if mark.text in channels:
            mask[channels.index(mark.text), _points(mark)] = True
    return _epochs_of(mask, epochs)[kept]


def _points(mark: Mark) -> slice:
    return slice(max(round(mark.onset * RATE), 0), max(round((mark.onset + mark.duration) * RATE), 0))
