"""Writes generated signals and annotations as EDF and EDF+, with the header fields of Sleep-EDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Track:
    """One channel: ``values`` (time,) in ``unit`` at ``rate`` hertz, clipped at plus and minus ``limit``."""

    name: str
    values: NDArray[np.float64]
    rate: float
    unit: str
    limit: float


@dataclass(frozen=True)
class Header:
    """Who was recorded, and when: sex F or M, age in years, first instant."""

    sex: str
    age: int
    start: datetime


def write_signals(path: Path, header: Header, tracks: Sequence[Track]) -> None:
    """Writes the channels in data records of one second; each takes the format's 16 bits over its limits."""
    signals = [
        edfio.EdfSignal(
            np.clip(track.values, -track.limit, track.limit),
            track.rate,
            label=track.name,
            physical_dimension=track.unit,
            physical_range=(-track.limit, track.limit),
            digital_range=(-32767, 32767),
        )
        for track in tracks
    ]
    _file(signals, header, data_record_duration=1.0).write(path)


def write_marks(path: Path, header: Header, marks: Sequence[tuple[float, float, str]]) -> None:
    """Writes a file of annotations only: onset and duration in seconds, and text."""
    _file([], header, annotations=[edfio.EdfAnnotation(*mark) for mark in marks]).write(path)


def _file(signals: Sequence[edfio.EdfSignal], header: Header, **further: object) -> edfio.Edf:
    name = f"{'Female' if header.sex == 'F' else 'Male'}_{header.age}yr"
    return edfio.Edf(
        signals,
        patient=edfio.Patient(sex=header.sex, name=name),  # type: ignore[arg-type]
        recording=edfio.Recording(startdate=header.start.date()),
        starttime=header.start.time(),
        **further,  # type: ignore[arg-type]
    )
