"""Writes a recording and its relevance as EDF+, so that sleep software shows them one above the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray

from .recording import Native, Recording

PREFIX = "R "
"""Of a relevance channel's label; the rest is its channel's name, cut at the format's 16 characters."""
UNEXPLAINED = "not explained"
_LONGEST_LABEL, _LONGEST_TRANSDUCER = 16, 80
_DIGITAL = (-32767, 32767)


def write_relevance_edf(path: Path, recording: Recording, relevance: NDArray[np.float64], method: str) -> None:
    """Writes each channel of ``recording`` in its own unit and, below, its relevance (channel, time).

    EDF holds 16 bits a sample: each signal is rounded to 1/32767 of its greatest magnitude. Relevance is divided
    by the greatest magnitude in the recording, over all channels, so that they stay comparable; the field
    "transducer type" names the method and that magnitude. EDF has no NaN: points that no window covers are 0 and
    lie under an annotation "not explained". The recording's scored stages are annotations too.
    """
    native = recording.native or Native(recording.signal.astype(np.float64), recording.units, recording.rate)
    greatest = float(np.nanmax(np.abs(relevance), initial=0.0)) or 1.0
    missing: NDArray[np.bool_] = np.asarray(np.isnan(relevance).any(axis=0))
    note = f"{method}; 1 = {greatest:.6g}"[:_LONGEST_TRANSDUCER]
    signals = [
        _signal(name, values, recording.rate, unit, _limit(values))
        for name, values, unit in zip(recording.channels, native.signal, native.units, strict=True)
    ] + [
        _signal(PREFIX + name, np.where(missing, 0.0, values / greatest), recording.rate, "", 1.0, note)
        for name, values in zip(recording.channels, relevance, strict=True)
    ]
    marks = [edfio.EdfAnnotation(mark.onset, mark.duration, mark.text) for mark in native.marks]
    edfio.Edf(
        signals,
        recording=edfio.Recording(startdate=native.start.date()) if native.start else None,
        starttime=native.start.time() if native.start else None,
        annotations=sorted([*marks, *_gaps(missing, recording.rate)]),
    ).write(path)


def _signal(
    name: str, values: NDArray[np.float64], rate: float, unit: str, limit: float, transducer: str = ""
) -> edfio.EdfSignal:
    return edfio.EdfSignal(
        np.nan_to_num(values),
        rate,
        label=name[:_LONGEST_LABEL],
        transducer_type=transducer,
        physical_dimension=unit,
        physical_range=(-limit, limit),
        digital_range=_DIGITAL,
    )


def _limit(values: NDArray[np.float64]) -> float:
    """The least limit above the signal that the header can hold, in its eight characters with sign and point."""
    greatest = max(float(np.nanmax(np.abs(values), initial=0.0)), 1e-4)
    scale = 10.0 ** max(0, 5 - max(0, math.floor(math.log10(greatest))))
    return math.ceil(greatest * scale) / scale


def _gaps(missing: NDArray[np.bool_], rate: float) -> Sequence[edfio.EdfAnnotation]:
    edges = np.flatnonzero(np.diff(np.pad(missing.astype(np.int8), 1))).reshape(-1, 2)
    return [edfio.EdfAnnotation(start / rate, (stop - start) / rate, UNEXPLAINED) for start, stop in edges]
