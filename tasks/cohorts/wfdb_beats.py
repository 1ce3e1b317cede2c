"""Beats of WFDB recordings, cut as by van der Westhuizen & Lasenby (2017): 216 points about each annotation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .beat_symbols import BEAT_SYMBOLS, FLUTTER
from .delineation import WAVES, delineate
from .ecg_windows import BEATS, EcgWindows, evidence_mask, wave_columns
from .errors import UnusableRecording
from .leads import channel_of, shown_channel
from .resampling import moved, resampled
from .store import Cohort, write_cohort
from .subject_facts import Subject, combined, read_subject_table
from .wfdb_files import folder_of_records, read_annotations, read_header, read_lead, record_names
from .writer import CohortDescription, Quarantined, Recorded

Lead = Literal["MLII", "channel0"]
VClass = Literal["V", "!"]
RATE = 360
"""Hertz: MIT-BIH's own rate, to which every other one is resampled."""
BEAT_NAMES = {"N": "normal", "L": "LBBB", "R": "RBBB", "/": "paced"}
V_NAMES = {"V": "PVC", "!": "flutter"}
_BLOCK = 4096


@dataclass(frozen=True)
class BeatWindows:
    """How windows are cut: which lead, which symbols in order of their label, how many points."""

    lead: Lead
    symbols: tuple[str, ...]
    window: int


def read_beats(
    folder: Path | str,
    *,
    lead: Lead = "MLII",
    v_class: VClass = "V",
    window: int = 216,
    key: bytes,
    out: Path | str,
    study: str = "",
) -> Cohort:
    """Reads a folder of WFDB records into the cohort ``out``: (sample, 1, window) in millivolts at 360 Hz.

    A sample is the window from ``window / 2`` points before a beat's annotation to as many after. Classes are
    N, L, R, / and ``v_class``, which the paper leaves open: "V" (PVC) or "!" (flutter). ``lead`` is MLII by
    name, or whatever comes first. Windows that cross an end, or are flat, are dropped and counted. A record
    that cannot be used is quarantined with its reason. ``key``: of the subjects' pseudonyms. ``study``: the
    name that the manifest bears. Raises CohortError when nothing is usable, ValueError for an argument out of
    range.

    The sample table tells where the beat's own P, QRS and T lie, delineated in the whole record: ``p_start``,
    ``p_stop``, ``qrs_start``, ... are points from the window's first, clipped to the window, the stop not
    included; both are NaN where unknown.
    """
    _check_arguments(lead, v_class, window)
    root = folder_of_records(folder)
    names = BEAT_NAMES | {v_class: V_NAMES[v_class]}
    cut = BeatWindows(lead, tuple(names), window)
    description = CohortDescription(
        study=study,
        classes=tuple(names.values()),
        channels=(lead,),
        units=("mV",),
        sampling_rate=float(RATE),
        window=window,
        origin=window // 2,
        reader="wfdb_beats",
        parameters={"lead": lead, "v_class": v_class, "window": window},
    )
    records, table = record_names(root), read_subject_table(root)
    return write_cohort(out, description, _stream(root, records, table, cut), key=key)


def _check_arguments(lead: str, v_class: str, window: int) -> None:
    if lead not in get_args(Lead):
        raise ValueError(f"lead is {lead!r}; expected one of {get_args(Lead)}.")
    if v_class not in V_NAMES:
        raise ValueError(f"v_class is {v_class!r}; expected one of {tuple(V_NAMES)}.")
    if window < 2 or window % 2:
        raise ValueError(f"window is {window}; expected an even number of points, 2 or more.")


def _stream(
    root: Path, records: list[str], table: dict[str, Subject], cut: BeatWindows
) -> Iterator[Recorded | Quarantined]:
    for record in records:
        try:
            yield from _beats(root, record, table, cut)
        except UnusableRecording as reason:
            yield Quarantined(record, reason.marked)


def _beats(root: Path, record: str, table: dict[str, Subject], cut: BeatWindows) -> Iterator[Recorded]:
    """The record's beats in blocks; everything that can be wrong is found before the first one."""
    header = read_header(root, record)
    channel = channel_of(header.sig_name, cut.lead)
    samples, symbols = read_annotations(root, record, BEATS, header)
    signal, ratio = resampled(read_lead(root, record, header, channel), header.fs, RATE)
    wanted = np.array([symbol in cut.symbols for symbol in symbols], dtype=bool)
    labels = np.array([cut.symbols.index(s) for s in symbols if s in cut.symbols], dtype=np.int64)
    evidence = evidence_mask(root, record, header, ratio, len(signal))
    windows = EcgWindows(signal, cut.window)
    starts = moved(samples[wanted], ratio) - cut.window // 2
    kept, dropped = windows.usable(starts)
    waves = _waves(signal, moved(samples, ratio), symbols)[wanted] - starts[:, None, None]
    subject = combined(record, header.comments or [], table)
    for first in range(0, max(len(kept), 1), _BLOCK):
        block = kept[first : first + _BLOCK]
        yield Recorded(
            recording=record,
            identity=subject.identity,
            facts=subject.facts,
            signals=windows.signals(starts[block]),
            labels=labels[block],
            onsets=samples[wanted][block],
            evidence=None if evidence is None else windows.masks(evidence, starts[block]),
            columns={"lead": shown_channel(header.sig_name[channel])} | wave_columns(waves[block], cut.window),
            dropped=dropped if first == 0 else {},
        )


def _waves(signal: NDArray[np.float64], samples: NDArray[np.int64], symbols: list[str]) -> NDArray[np.float64]:
    """Start and stop of the waves of every annotation ``(annotation, wave, 2)``; NaN for one that is no heartbeat."""
    beats = np.array([symbol in BEAT_SYMBOLS and symbol != FLUTTER for symbol in symbols], dtype=bool)
    waves = np.full((len(samples), len(WAVES), 2), np.nan)
    waves[beats] = delineate(signal, RATE, samples[beats])
    return waves
