"""Which samples of a bedside signal can be believed, and the signal without those that cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .resampling import resampled

VALID, MISSING, FLAT, SATURATED = range(4)
REASONS = {MISSING: "missing values", FLAT: "flat stretch", SATURATED: "saturated stretch"}
BRIDGED_SECONDS = 0.1
"""The longest gap that is bridged by a straight line."""
FLAT_SECONDS = 1.0
"""One value for longer is no pulse and no heart."""
SATURATED_SECONDS = 0.2
"""The signal's own highest or lowest value for longer is an amplifier at its end."""


def believable(
    signal: NDArray[np.float64], rate: float, wanted: float, *, rests: bool
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The signal (time,) at ``wanted`` hertz, and for every point whether it is VALID, or why not.

    Gaps of at most ``BRIDGED_SECONDS`` are bridged by a line and count as valid. Longer ones, flat stretches
    and saturated ones are not; a line stands in for them, so that no filter carries them into their
    neighbourhood. ``rests``: the signal may be flat. A signal without any valid point comes back as zeros.
    """
    missing = _missing(signal, rate)
    bridged = _bridged(signal, np.isfinite(signal))
    state = np.where(missing, MISSING, VALID).astype(np.uint8)
    if not rests:
        _mark_stuck(state, np.where(missing, np.nan, bridged), rate)
    filled = _bridged(bridged, state == VALID)
    level = filled.mean()  # the filter ripples by a part of the level, which may be a hundred times the pulse
    values, ratio = resampled(filled - level, rate, wanted)
    first = np.minimum((np.arange(len(values)) / float(ratio)).astype(np.int64), len(signal) - 1)
    # A point answers for all samples from its own to the next point's.
    return values + level, np.maximum.reduceat(state, first)


def _bridged(signal: NDArray[np.float64], sound: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The signal with a line through whatever is not sound; zeros when nothing is."""
    if not sound.any():
        return np.zeros_like(signal)
    known = np.flatnonzero(sound)
    return np.interp(np.arange(len(signal)), known, signal[known])


def _missing(signal: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Where there is no value and no short bridge to one, (time,)."""
    missing = ~np.isfinite(signal)
    starts, lengths = _runs(missing)
    between = (starts > 0) & (starts + lengths < len(signal))
    short = between & (lengths <= BRIDGED_SECONDS * rate)
    return missing & ~np.repeat(short, lengths)


def _mark_stuck(state: NDArray[np.uint8], signal: NDArray[np.float64], rate: float) -> None:
    """Marks flat and saturated stretches; a signal (time,) has NaN where it is missing."""
    starts, lengths = _runs(signal)
    values = signal[starts]
    present = np.isfinite(values)
    extremes = (values[present].min(initial=np.inf), values[present].max(initial=-np.inf))
    flat = present & (lengths > FLAT_SECONDS * rate)
    saturated = present & ~flat & np.isin(values, extremes) & (lengths > SATURATED_SECONDS * rate)
    state[np.repeat(flat, lengths)] = FLAT
    state[np.repeat(saturated, lengths)] = SATURATED


def _runs(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First position and length of every stretch of equal values; each NaN is a stretch of its own."""
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    return starts, np.diff(np.concatenate((starts, [len(values)])))
