"""Windows of one ECG lead about its beats: which can be used, their signal, their evidence, the waves in them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .delineation import WAVES
from .errors import UnusableRecording, private
from .resampling import moved
from .wfdb_files import REMARK, inside, read_annotations

BEATS, EVIDENCE = "atr", "evd"
"""Extensions of the beat annotations and of the evidence marks, "(" to ")", both ends included."""
ENDS, FLAT = "crosses an end", "flat"
"""Why a window is dropped."""


class EcgWindows:
    """Windows of ``window`` points of one signal (time,), by their first point."""

    def __init__(self, signal: NDArray[np.float64], window: int) -> None:
        self._size = window
        self._signal = signal

    def usable(self, starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[str, int]]:
        """Positions of the windows that lie inside and are not flat, and how many do not."""
        within = np.flatnonzero((starts >= 0) & (starts + self._size <= len(self._signal)))
        steps = np.concatenate(([0], np.cumsum(np.diff(self._signal) != 0, dtype=np.int32)))
        moving = steps[starts[within] + self._size - 1] > steps[starts[within]]
        return within[moving], {ENDS: len(starts) - len(within), FLAT: int((~moving).sum())}

    def signals(self, starts: NDArray[np.int64]) -> NDArray[np.float32]:
        """The windows (sample, 1, window)."""
        return self._cut(self._signal, starts).astype(np.float32)

    def masks(self, mask: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The same windows (sample, 1, window) of a mask (time,) of the whole signal."""
        return self._cut(mask, starts)

    def _cut(self, values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
        if not len(starts):
            return np.empty((0, 1, self._size), dtype=values.dtype)
        return sliding_window_view(values, self._size)[starts][:, None, :]


def evidence_mask(root: Path, record: str, header: Any, ratio: Fraction, length: int) -> NDArray[np.bool_] | None:
    """The evidence (time,), ``length`` points after resampling by ``ratio``; None without an evidence file."""
    if not inside(root, f"{record}.{EVIDENCE}").exists():
        return None
    samples, symbols = read_annotations(root, record, EVIDENCE, header)
    marked = [place for place, symbol in enumerate(symbols) if symbol != REMARK]
    if [symbols[place] for place in marked] != ["(", ")"] * (len(marked) // 2):
        raise UnusableRecording(f"the evidence marks {private(record)}.{EVIDENCE} are not pairs of ( and ).")
    mask = np.zeros(length, dtype=bool)
    for onset, offset in moved(samples[marked].reshape(-1, 2), ratio):
        mask[onset : offset + 1] = True
    return mask


def span_columns(name: str, spans: NDArray[np.float64], window: int) -> dict[str, NDArray[np.float64]]:
    """Columns ``name_start`` and ``name_stop`` from spans (sample, 2) in points of the window, clipped to it."""
    start, stop = spans.clip(0, window).T
    return {f"{name}_start": start, f"{name}_stop": stop}


def wave_columns(waves: NDArray[np.float64], window: int) -> dict[str, NDArray[np.float64]]:
    """The columns of P, QRS and T from spans (sample, wave, 2), as `span_columns`."""
    columns: dict[str, NDArray[np.float64]] = {}
    for place, wave in enumerate(WAVES):
        columns |= span_columns(wave, waves[:, place], window)
    return columns
