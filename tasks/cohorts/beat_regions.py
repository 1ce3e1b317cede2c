"""Named regions of an ECG window: waves of its own beat, its neighbours, and what lies between the beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_R_SPREAD = 36
"""Points: a tenth of a second at 360 Hz on either side of an R peak."""


def region(rows: pd.DataFrame, name: str, window: int) -> Mask:
    """The region of that name in every sample ``(sample, time)``, from the spans of the cohort's sample table.

    A sample in which the region is not known has no point in it. Names: see `REGIONS`. Raises ValueError for another
    name and where the table has no spans.
    """
    if name not in REGIONS:
        raise ValueError(f"region is {name!r}; expected one of {', '.join(REGIONS)}.")
    if "own_r" not in rows:
        raise ValueError("samples tell no own_r; expected a cohort whose windows know their beats.")
    return REGIONS[name](rows, np.arange(window))


def _span(rows: pd.DataFrame, start: str, stop: str, times: NDArray[np.int64]) -> Mask:
    """Points from ``start`` to before ``stop``; none where either is unknown."""
    low, high = (rows[column].to_numpy(np.float64)[:, None] for column in (start, stop))
    return np.asarray((times >= low) & (times < high))


def _wave(name: str) -> Callable[[pd.DataFrame, NDArray[np.int64]], Mask]:
    return lambda rows, times: _span(rows, f"{name}_start", f"{name}_stop", times)


def _st(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    return _span(rows, "qrs_stop", "t_start", times)


def _late_qrs(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """From the R peak to the end of the QRS, where a second R wave would be."""
    return _span(rows, "own_r", "qrs_stop", times)


def _qrs_of_all(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """The QRS complexes of the sample's own beat and of both neighbours."""
    own = _wave("qrs")(rows, times)
    return own | _wave("previous_qrs")(rows, times) | _wave("next_qrs")(rows, times)


def _near_r(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """A tenth of a second on either side of the three R peaks."""
    peaks = rows[["previous_r", "own_r", "next_r"]].to_numpy(np.float64)
    return np.asarray((np.abs(times - peaks[:, :, None]) <= _R_SPREAD).any(axis=1))


def _own_beat(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """From halfway to the beat before to halfway to the beat after; to the window's ends where there is none."""
    own = rows["own_r"].to_numpy(np.float64)[:, None]
    before, after = ((own + rows[name].to_numpy(np.float64)[:, None]) / 2 for name in ("previous_r", "next_r"))
    low, high = np.where(np.isnan(before), 0, before), np.where(np.isnan(after), len(times), after)
    return np.asarray(~np.isnan(own) & (times >= low) & (times < high))


def _other_beats(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    known = rows["own_r"].notna().to_numpy()[:, None]
    return np.asarray(known & ~_own_beat(rows, times))


def _last_beat(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """From halfway to the beat after the sample's own, to the window's end."""
    half = (rows["own_r"] + rows["next_r"]).to_numpy(np.float64)[:, None] / 2
    return np.asarray(times >= half)


def _between_beats(rows: pd.DataFrame, times: NDArray[np.int64]) -> Mask:
    """Between the waves of a beat and the QRS of the next, where an atrium that fibrillates is seen alone."""
    after = _span(rows, "t_stop", "next_qrs_start", times)
    before = _span(rows, "previous_qrs_stop", "qrs_start", times)
    return after | before


def _union(*names: str) -> Callable[[pd.DataFrame, NDArray[np.int64]], Mask]:
    return lambda rows, times: np.logical_or.reduce([REGIONS[name](rows, times) for name in names])


REGIONS: Mapping[str, Callable[[pd.DataFrame, NDArray[np.int64]], Mask]] = {
    "P": _wave("p"),
    "QRS": _wave("qrs"),
    "ST": _st,
    "T": _wave("t"),
    "late QRS": _late_qrs,
    "previous QRS": _wave("previous_qrs"),
    "next QRS": _wave("next_qrs"),
    "all QRS": _qrs_of_all,
    "around R peaks": _near_r,
    "own beat": _own_beat,
    "other beats": _other_beats,
    "last beat": _last_beat,
    "between beats": _between_beats,
    "P, QRS and T": _union("P", "QRS", "T"),
    "QRS and ST": _union("QRS", "ST"),
    "QRS and between beats": _union("all QRS", "between beats"),
}
"""By name, as tables and figures show them."""
