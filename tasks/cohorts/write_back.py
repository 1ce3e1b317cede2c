"""Writes a map back beside its signal: WFDB or EDF with one more signal per channel, or a CSV table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

from .edf_relevance import write_relevance_edf
from .recording import EDF_SUFFIX, Recording
from .resampling import brought_back, ratio_of


def spread(
    maps: Sequence[NDArray[np.float32]], starts: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Maps of windows ``(channel, window)`` on the recording's grid; overlaps are averaged, gaps are NaN."""
    total, covered = np.zeros(shape), np.zeros(shape)
    for values, start in zip(maps, starts, strict=True):
        stop = start + values.shape[-1]
        total[:, start:stop] += values
        covered[:, start:stop] += 1
    return np.divide(total, covered, out=np.full(shape, np.nan), where=covered > 0)


def write_back(recording: Recording, attribution: NDArray[np.float64], method: str, out: Path) -> None:
    """Writes signal and map ``(channel, time)`` side by side, in the format that ``out`` ends in.

    A lead that was resampled for the model is written as it was measured, at its own rate, and the map with it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == EDF_SUFFIX:
        write_relevance_edf(out, recording, attribution, method)
        return
    names = [f"{method} {channel}" for channel in recording.channels]
    signal: NDArray[np.floating[Any]] = recording.signal
    rate = recording.rate
    if recording.native is not None and recording.native.rate != rate:
        signal, rate = recording.native.signal, recording.native.rate
        attribution = brought_back(attribution, ratio_of(rate, recording.rate), signal.shape[1])
    if out.suffix == ".csv":
        values = np.concatenate([signal, attribution]).T
        seconds = pd.Index(np.arange(len(values)) / rate, name="seconds")
        pd.DataFrame(values, index=seconds, columns=[*recording.channels, *names]).to_csv(out)
        return
    wfdb.wrsamp(
        out.stem,
        fs=rate,
        units=[*recording.units, *["NU"] * len(names)],
        sig_name=[*recording.channels, *names],
        p_signal=np.concatenate([signal, attribution]).T.astype(np.float64),
        fmt=["16"] * (2 * len(names)),
        write_dir=str(out.parent),
    )
