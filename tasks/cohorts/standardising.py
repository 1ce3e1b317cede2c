"""Signals in units of their own spread, so that recordings of other gains and electrodes can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableRecording, private

UNIT = "SD"
"""The unit of a standardised signal: the SD of its recording, over the samples that are kept."""


def moments(signals: NDArray[np.float64], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and SD (channel, 1) over samples and time of signals (sample, channel, time); a constant one is refused."""
    mean = signals.mean(axis=(0, 2))
    spread = signals.std(axis=(0, 2))
    for name, size in zip(names, spread, strict=True):
        if not size > 0:
            raise UnusableRecording(f"the channel {private(name)} is constant in what is kept.")
    return mean[:, None], spread[:, None]


def standardised(signals: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float32]:
    """Signals (sample, channel, time) with mean 0 and SD 1 over samples and time, each channel alone."""
    mean, spread = moments(signals, names)
    return ((signals - mean) / spread).astype(np.float32)
