"""One recording as figure 3 of Ellis et al. (2021) shows it: stages, signals and shares of relevance over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Floats

_SPIKES = 0.002
"""Share of a signal's stretches, at either end, that may stick out of its panel, so that an artefact hides nothing."""
UNSCORED = -1
"""The stage of an epoch that nobody scored."""


@dataclass(frozen=True)
class Night:
    """A recording, or a part of it.

    ``starts (epoch,)``: seconds from the recording's beginning, growing; epochs may be missing between them, each
    is ``epoch_s`` long. ``true`` and ``predicted (epoch,)``: class indices, ``UNSCORED`` where unknown. ``shares
    (epoch, part)``: percent of absolute relevance. ``signals (channel, time)`` in ``units`` at ``rate`` hertz, the
    first point at ``signals_from`` seconds. ``levels``: the classes from the top of the hypnogram down; all of them
    in their own order if empty.

    Raises ValueError where a shape does not fit, starts do not grow, or ``levels`` are not the classes.
    """

    classes: tuple[str, ...]
    starts: Floats
    true: NDArray[np.integer[Any]]
    predicted: NDArray[np.integer[Any]]
    parts: tuple[str, ...]
    shares: Floats
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate: float
    signals: Floats
    epoch_s: float = 30.0
    signals_from: float = 0.0
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        epochs = len(self.starts)
        expected = {"true": (epochs,), "predicted": (epochs,), "shares": (epochs, len(self.parts))}
        for name, shape in expected.items():
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}; expected {shape}.")
        if not epochs:
            raise ValueError("starts is empty; expected at least one epoch.")
        if (np.diff(self.starts) <= 0).any():
            raise ValueError("starts do not grow; expected the epochs in their order.")
        if np.ndim(self.signals) != 2 or not len(self.signals) == len(self.channels) == len(self.units):
            raise ValueError(
                f"signals have shape {np.shape(self.signals)}; expected (channel, time) with a row, a name and a unit "
                f"for each of {len(self.channels)} channels."
            )
        if self.levels and sorted(self.levels) != sorted(self.classes):
            raise ValueError(f"levels are {self.levels}; expected the classes {self.classes} in any order.")

    @property
    def from_top(self) -> tuple[str, ...]:
        """The classes from the top of the hypnogram down."""
        return self.levels or self.classes

    def heights(self, stages: NDArray[np.integer[Any]]) -> Floats:
        """Row of the hypnogram, 0 on top, for each class index ``(epoch,)``; NaN where unscored."""
        rows = np.array([self.from_top.index(name) for name in self.classes], dtype=float)
        return np.where(stages == UNSCORED, np.nan, rows[stages])

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Scored epochs ``(epoch,)`` that the model put into another class."""
        return np.asarray((self.true != UNSCORED) & (self.true != self.predicted))

    def between(self, start: float, stop: float) -> Night:
        """The epochs that begin in ``[start, stop)`` seconds, and the signals of that time.

        ValueError where none begins there.
        """
        kept = (self.starts >= start) & (self.starts < stop)
        if not kept.any():
            raise ValueError(f"no epoch begins between {start:g} and {stop:g} s; expected at least one.")
        first = int(np.clip(round((start - self.signals_from) * self.rate), 0, None))
        last = int(np.clip(round((stop - self.signals_from) * self.rate), first, None))
        return replace(
            self, starts=self.starts[kept], true=self.true[kept], predicted=self.predicted[kept],
            shares=self.shares[kept], signals=self.signals[:, first:last],
            signals_from=self.signals_from + first / self.rate,
        )  # fmt: skip

    def steps(self, values: Floats) -> tuple[Floats, Floats]:
        """A line of flat steps, one per epoch: times (min) and ``values (epoch,)`` at both ends of each epoch.

        NaN parts epochs between which others are missing, so that no line crosses the gap.
        """
        times = np.stack([self.starts, self.starts + self.epoch_s], axis=1) / 60
        doubled = np.repeat(np.asarray(values, dtype=float)[:, None], 2, axis=1)
        gaps = np.flatnonzero(np.diff(self.starts) > 1.001 * self.epoch_s) + 1
        return np.insert(times.ravel(), 2 * gaps, np.nan), np.insert(doubled.ravel(), 2 * gaps, np.nan)


def visible_range(ends: Floats) -> tuple[float, float] | None:
    """The axis that shows all of an envelope ``(column, 2)`` but its outermost 0.2 %; None where nothing is known."""
    if not np.isfinite(ends).any():
        return None
    low, high = float(np.nanquantile(ends[:, 0], _SPIKES)), float(np.nanquantile(ends[:, 1], 1 - _SPIKES))
    room = 0.05 * ((high - low) or 1.0)
    return low - room, high + room
