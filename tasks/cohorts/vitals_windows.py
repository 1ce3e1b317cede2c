"""Windows of bedside signals: which points of a record are looked at, and what each window is labelled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .channel_roles import Assigned, shown_signal
from .errors import UnusableRecording
from .signal_validity import REASONS, VALID, believable
from .subject_facts import Subject
from .wfdb_segments import WholeRecord, read_whole

LOW_ICP, HIGH_ICP = 15.0, 20.0
"""mmHg: a following interval is low up to the one, high above the other, and not labelled in between."""
_KNOWN_SHARE = 0.5
"""Of the following interval's points, the least that must be valid for its mean to be known."""


@dataclass(frozen=True)
class VitalsWindows:
    """How windows are cut and labelled: ``window`` points at ``rate`` hertz, the rest in seconds."""

    roles: tuple[str, ...]
    window: int
    rate: float
    block_seconds: float
    horizon_seconds: float


@dataclass(frozen=True)
class Source:
    """A record that has a signal for every role, and whose it is."""

    record: WholeRecord
    assigned: tuple[Assigned, ...]
    subject: Subject


@dataclass(frozen=True)
class Grid:
    """A record's roles on one grid: signals (role, time) in their units, validity (role, time)."""

    signals: NDArray[np.float32]
    states: NDArray[np.uint8]


@dataclass(frozen=True)
class Cut:
    """The windows of a record for one task: first points, labels, and how many were dropped by reason."""

    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    dropped: Mapping[str, int]


def read_grid(root: Path, source: Source, how: VitalsWindows) -> Grid:
    """All roles at the wanted rate. Raises UnusableRecording when one has no valid point."""
    signals, states = [], []
    for one in source.assigned:
        values = read_whole(root, source.record, one.number) * one.factor
        values, state = believable(values, one.signal.rate, how.rate, rests=one.rests)
        if not (state == VALID).any():
            raise UnusableRecording(
                f"signal {shown_signal(one.signal.name)} has no valid stretch, only {REASONS[int(state[0])]}."
            )
        signals.append(values.astype(np.float32))
        states.append(state)
    length = min(map(len, signals))
    return Grid(np.stack([one[:length] for one in signals]), np.stack([one[:length] for one in states]))


def cut_by_block(source: Source, grid: Grid, how: VitalsWindows) -> Cut:
    """The windows that lie within one block; their labels, the patient's number, are still all 0."""
    starts, dropped = _believable_windows(source, grid, how)
    points = how.block_seconds * how.rate
    whole = starts // points == (starts + how.window - 1) // points
    dropped["crosses a block edge"] = int((~whole).sum())
    return Cut(starts[whole], np.zeros(int(whole.sum()), dtype=np.int64), dropped)


def cut_by_pressure(source: Source, grid: Grid, how: VitalsWindows) -> Cut:
    """The windows whose following interval's mean ICP is low, label 0, or high, label 1."""
    starts, dropped = _believable_windows(source, grid, how)
    place = how.roles.index("ICP")
    means = _following_means(grid.signals[place], grid.states[place] == VALID, starts + how.window, how)
    low, high = means <= LOW_ICP, means > HIGH_ICP
    known = np.isfinite(means)
    dropped["following ICP unknown"] = int((~known).sum())
    dropped["following ICP between 15 and 20 mmHg"] = int((known & ~low & ~high).sum())
    return Cut(starts[low | high], high[low | high].astype(np.int64), dropped)


def _following_means(
    pressure: NDArray[np.float32], valid: NDArray[np.bool_], firsts: NDArray[np.int64], how: VitalsWindows
) -> NDArray[np.float64]:
    """Mean of the valid points of the interval from each of ``firsts`` on, (window,).

    NaN where the interval passes the record's end or is mostly invalid.
    """
    points = round(how.horizon_seconds * how.rate)
    sums = np.concatenate(([0.0], np.cumsum(np.where(valid, pressure, 0.0), dtype=np.float64)))
    counts = np.concatenate(([0], np.cumsum(valid)))
    lasts = np.minimum(firsts + points, len(pressure))
    found = counts[lasts] - counts[firsts]
    known = (firsts + points <= len(pressure)) & (found >= _KNOWN_SHARE * points)
    return np.where(known, (sums[lasts] - sums[firsts]) / np.maximum(found, 1), np.nan)


def _believable_windows(source: Source, grid: Grid, how: VitalsWindows) -> tuple[NDArray[np.int64], dict[str, int]]:
    """First points of the windows in which every role is valid and moves, and how many are not by reason."""
    count = grid.states.shape[1] // how.window
    starts = np.arange(count, dtype=np.int64) * how.window
    tiled = (len(grid.states), count, how.window)
    states = grid.states[:, : count * how.window].reshape(tiled)
    signals = grid.signals[:, : count * how.window].reshape(tiled)
    moving = np.array([not one.rests for one in source.assigned])
    still = (np.ptp(signals, axis=2) == 0)[moving].any(axis=0) if count else np.zeros(0, dtype=bool)
    kept = np.ones(count, dtype=bool)
    dropped = {"segments without samples": source.record.empty_segments}
    for state, reason in REASONS.items():
        bad = kept & (states == state).any(axis=(0, 2))
        dropped[reason] = int(bad.sum())
        kept &= ~bad
    dropped["flat window"] = int((kept & still).sum())
    return starts[kept & ~still], dropped
