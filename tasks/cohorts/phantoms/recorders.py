"""What a recorder makes of a heart's signal: its rate, lead, gain, filter and the hum of its mains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from .bedside_waves import Values


@dataclass(frozen=True)
class Recorder:
    """A device: ``lead`` as its header says, ``rate`` and filter ``band`` and ``mains`` in hertz, ``gain`` per mV.

    ``format``: of the WFDB signal file, which holds values up to ``largest`` about ``baseline``.
    """

    name: str
    lead: str
    rate: int
    format: str
    gain: float
    baseline: int
    largest: int
    band: tuple[float, float]
    mains: float


RECORDERS = (
    Recorder("rec-a", "MLII", 360, "212", 200.0, 1024, 2047, (0.05, 100.0), 60.0),
    Recorder("rec-b", "ECG", 128, "16", 170.0, 0, 32767, (0.5, 40.0), 50.0),
)


def recorded(rng: np.random.Generator, recorder: Recorder, signal: Values, hum: float) -> NDArray[np.int64]:
    """The digital values (time,) of a ``signal`` (time,) in millivolt at the recorder's rate; ``hum`` in millivolt.

    The filter, of second order at both ends of the band, has no delay.
    """
    low, high = recorder.band
    passed = sosfiltfilt(butter(1, low, "highpass", fs=recorder.rate, output="sos"), signal)
    passed = sosfiltfilt(butter(1, high, "lowpass", fs=recorder.rate, output="sos"), passed)
    seconds = np.arange(len(signal)) / recorder.rate
    passed = passed + hum * np.sin(2 * np.pi * (recorder.mains * seconds + rng.uniform()))
    steps = np.rint(passed * recorder.gain) + recorder.baseline
    return np.clip(steps, -recorder.largest, recorder.largest).astype(np.int64)
