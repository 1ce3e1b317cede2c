"""One recording as a model takes it: a WFDB record cut at beats or by role, an EDF file by channel name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb.processing
from numpy.typing import NDArray

from .beat_symbols import BEAT_SYMBOLS
from .channel_roles import ROLES, STAND_INS, assign
from .dreams_spindles import CHANNEL as UNNAMED_EEG
from .dreams_spindles import derivation_in
from .edf_files import Mark, read_edf_header, read_edf_signals
from .edf_stages import stages_beside, telemetry_errors
from .errors import CohortError, UnusableRecording, private
from .leads import channel_of
from .resampling import moved, ratio_of, resampled
from .signal_validity import VALID
from .standardising import UNIT, moments
from .subject_facts import Subject
from .vitals_windows import Source, VitalsWindows, cut_by_block, read_grid
from .wfdb_files import folder_of_records, inside, read_annotations, read_header, read_lead
from .wfdb_segments import open_record

EDF_SUFFIX = ".edf"


@dataclass(frozen=True)
class Native:
    """What a recording was before it was standardised, or resampled.

    ``signal`` (channel, time) in ``units`` as measured, at ``rate`` hertz; ``start``, its first instant; ``marks``, its
    scored stages.
    """

    signal: NDArray[np.float64]
    units: tuple[str, ...]
    rate: float
    start: datetime | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Recording:
    """A record's wanted channels ``signal (channel, time)`` in ``units`` at ``rate`` hertz.

    ``starts`` are the first points of the windows ``(sample,)`` that a model may look at. A channel that is a
    role is NaN wherever it cannot be believed; no window has such a point. ``native``: where ``signal`` is
    standardised, or a lead that was measured at another rate.
    """

    name: str
    signal: NDArray[np.float32]
    rate: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    starts: NDArray[np.int64]
    native: Native | None = None


def read_recording(file: Path, channels: tuple[str, ...], rate: float, window: int) -> Recording:
    """Reads an ``.edf`` file or the record of a ``.hea`` file, cut into windows of ``window`` points at ``rate`` hertz.

    Of an EDF file, channels are found by name (EEG, alone, by the derivations of `dreams_spindles`), cut into
    consecutive windows without an error of the telemetry or a flat channel, and standardised over those.

    Of a WFDB record, channels that are roles (see `channel_roles`) are found by role, in the role's unit, and cut
    as `read_vitals` does, without blocks and labels. Others are leads (see `leads`), in millivolts, and cut around
    beats: the annotated ones, else those of a detector (xqrs). Raises CohortError naming the file and what is wrong, as
    when no window remains.
    """
    by_role = all(channel in ROLES or channel in STAND_INS for channel in channels)
    try:
        if file.suffix.lower() == EDF_SUFFIX:
            return _read_edf(inside(folder_of_records(file.parent, "EDF files"), file.name), channels, rate, window)
        read = _read_roles if by_role else _read_leads
        return read(folder_of_records(file.parent), file.stem, channels, rate, window)
    except UnusableRecording as reason:
        raise CohortError(f"{private(file)} cannot be explained: {reason.marked}") from reason


def windows_at(recording: Recording, starts: NDArray[np.int64], window: int) -> NDArray[np.float32]:
    """Windows ``(sample, channel, window)`` in the recording's units."""
    return np.stack([recording.signal[:, start : start + window] for start in starts])


def _read_edf(file: Path, channels: tuple[str, ...], rate: float, window: int) -> Recording:
    header = read_edf_header(file)
    names = tuple(derivation_in(header) if channel == UNNAMED_EEG else channel for channel in channels)
    signal = read_edf_signals(file, header, names, rate)
    count = signal.shape[1] // window
    windows = signal[:, : count * window].reshape(len(names), count, window).swapaxes(0, 1)
    wrong = telemetry_errors(file, header, count, window / rate) | (np.ptp(windows, axis=2) == 0).any(axis=1)
    kept = np.flatnonzero(~wrong)
    if not len(kept):
        raise UnusableRecording(f"the recording has no usable window of {window} points at {rate:g} Hz.")
    mean, spread = moments(windows[kept], names)
    units = tuple(header.units[header.names.index(name)] for name in names)
    return Recording(
        name=file.stem,
        signal=((signal - mean) / spread).astype(np.float32),
        rate=rate,
        channels=channels,
        units=(UNIT,) * len(channels),
        starts=kept * window,
        native=Native(signal, units, rate, header.start, tuple(stages_beside(file, header))),
    )


def _read_roles(root: Path, name: str, roles: tuple[str, ...], rate: float, window: int) -> Recording:
    record = open_record(root, name)
    source = Source(record, assign(record.signals, roles), Subject(name))
    # One block without an end: blocks only part the subjects that a model is tested on.
    how = VitalsWindows(roles, window, rate, block_seconds=math.inf, horizon_seconds=0.0)
    grid = read_grid(root, source, how)
    cut = cut_by_block(source, grid, how)
    if not len(cut.starts):
        why = ", ".join(f"{count} {reason}" for reason, count in cut.dropped.items() if count) or "it is shorter"
        raise UnusableRecording(f"the record has no usable window of {window} points at {rate:g} Hz ({why}).")
    return Recording(
        name=name,
        signal=np.where(grid.states == VALID, grid.signals, np.float32(np.nan)),
        rate=rate,
        channels=roles,
        units=tuple(one.unit for one in source.assigned),
        starts=cut.starts,
    )


def _read_leads(root: Path, name: str, channels: tuple[str, ...], rate: float, window: int) -> Recording:
    header = read_header(root, name)
    numbers = [channel_of(header.sig_name, channel) for channel in channels]
    leads = [read_lead(root, name, header, number) for number in numbers]
    signal = np.stack([resampled(lead, header.fs, rate)[0] for lead in leads]).astype(np.float32)
    beats = _annotated_beats(root, name, header, rate)
    if beats is None:
        beats = wfdb.processing.xqrs_detect(signal[0].astype(float), fs=rate, verbose=False)
    starts = np.asarray(beats, dtype=np.int64) - window // 2
    whole = starts[(starts >= 0) & (starts + window <= signal.shape[1])]
    if not len(whole):
        raise UnusableRecording(f"the record has no beat with a whole window of {window} samples around it.")
    names, units = tuple(header.sig_name[number] for number in numbers), ("mV",) * len(channels)
    native = None if header.fs == rate else Native(np.stack(leads), units, float(header.fs))
    return Recording(name, signal, rate, names, units, whole, native)


def _annotated_beats(root: Path, name: str, header: Any, rate: float) -> NDArray[np.int64] | None:
    if not inside(root, f"{name}.atr").exists():
        return None
    samples, symbols = read_annotations(root, name, "atr", header)
    beats = np.array([symbol in BEAT_SYMBOLS for symbol in symbols], dtype=bool)
    return moved(samples[beats], ratio_of(header.fs, rate))
