"""The course of a generated night: which stage each epoch has, and what its scorer wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

EPOCH = 30
"""Seconds."""
_CYCLE = (("W", 0.12), ("1", 0.12), ("2", 0.2), ("3", 0.1), ("4", 0.08), ("2", 0.16), ("R", 0.22))
"""The stages of one cycle and their parts of it; a cycle takes about 90 minutes, or the whole of a shorter night."""
_CYCLE_MINUTES = 90
_UNSCORED, _MOVEMENT = "Sleep stage ?", "Movement time"


@dataclass(frozen=True)
class Scored:
    """``drawn``: the stage of every epoch. ``written``: what the hypnogram says. ``error``: the telemetry's epoch."""

    drawn: tuple[str, ...]
    written: tuple[str, ...]
    error: int

    def annotations(self) -> list[tuple[float, float, str]]:
        """The hypnogram: onset and duration in seconds, and text, one for each run of epochs."""
        found, epoch = [], 0
        for text, run in groupby(self.written):
            length = len(list(run))
            found.append((float(epoch * EPOCH), float(length * EPOCH), text))
            epoch += length
        return found

    def tone(self, difference: float) -> NDArray[np.float64]:
        """The muscle tone of every epoch (epoch,), 1 in NREM, ``difference`` higher awake than in REM."""
        steps = {"W": difference / 2, "R": -difference / 2}
        return np.array([1 + steps.get(stage, 0.0) for stage in self.drawn])

    def marker(self, rate: int) -> NDArray[np.float64]:
        """The telemetry's marker (time,): 1, the unit's number, and for two seconds -1, an error."""
        values = np.ones(len(self.drawn) * EPOCH * rate)
        first = (self.error * EPOCH + 10) * rate
        values[first : first + 2 * rate] = -1
        return values


def draw_night(rng: np.random.Generator, minutes: int) -> Scored:
    """A night of ``minutes``, ten or more: in cycles, so that all stages occur; three epochs are spoiled."""
    epochs = minutes * 60 // EPOCH
    cycles = max(1, round(minutes / _CYCLE_MINUTES))
    drawn = [stage for part in np.array_split(np.arange(epochs), cycles) for stage in _cycle(rng, len(part))]
    written = [f"Sleep stage {stage}" for stage in drawn]
    unscored, movement, error = _spoiled(rng, drawn)
    written[unscored], written[movement] = _UNSCORED, _MOVEMENT
    return Scored(tuple(drawn), tuple(written), error)


def _cycle(rng: np.random.Generator, epochs: int) -> list[str]:
    """The stages of one cycle, each run one epoch or more, their lengths 20 % about the mean."""
    parts = np.array([part for _, part in _CYCLE]) * rng.uniform(0.8, 1.2, len(_CYCLE))
    ends = np.rint(np.cumsum(parts) / parts.sum() * epochs).astype(int)
    stages = [stage for stage, _ in _CYCLE]
    return list(np.repeat(stages, np.diff(ends, prepend=0)))


def _spoiled(rng: np.random.Generator, drawn: Sequence[str]) -> tuple[int, int, int]:
    """Three different epochs of stage 2, of which there are most."""
    first, second, third = rng.choice(np.flatnonzero(np.array(drawn) == "2"), 3, replace=False)
    return int(first), int(second), int(third)
