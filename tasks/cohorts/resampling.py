"""One common rate: signals by polyphase filtering, and marks that move with their waves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from .errors import UnusableRecording

MOST_POINTS = 1 << 27
"""Of a signal at the rate of the study: 1 GiB in double precision, four days at 360 Hz."""


def ratio_of(rate: float, wanted: float) -> Fraction:
    """By what the number of samples grows from ``rate`` to ``wanted`` hertz: 45/16 from 128 to 360."""
    return Fraction(wanted / rate).limit_denominator(1000)


def resampled(signal: NDArray[np.float64], rate: float, wanted: float) -> tuple[NDArray[np.float64], Fraction]:
    """The signal (time,) at ``wanted`` hertz, and the ratio by which its sample numbers have moved.

    Raises UnusableRecording where nothing, or more than MOST_POINTS, would come of it.
    """
    ratio = ratio_of(rate, wanted)
    if ratio == 1:
        return signal, ratio
    if not ratio or len(signal) * ratio > MOST_POINTS:
        raise UnusableRecording(
            f"a signal of {len(signal)} samples at {rate:g} Hz cannot be brought to {wanted:g} Hz; "
            f"expected at least one and at most {MOST_POINTS} samples then."
        )
    return resample_poly(signal, ratio.numerator, ratio.denominator, padtype="line"), ratio


def brought_back(values: NDArray[np.float64], ratio: Fraction, length: int) -> NDArray[np.float64]:
    """A map ``(channel, time)`` on the grid of ``length`` points that resampling by ``ratio`` made its own of.

    A point gets the mean of the map's points that lie nearest to it, where the map is finer; else the value of the one
    that it is nearest to. NaN is left out of a mean, and stays where there is nothing else.
    """
    if ratio == 1:
        return values
    nearest = np.minimum(moved(np.arange(values.shape[1]), 1 / ratio), length - 1)
    known = np.isfinite(values)
    total = np.stack([np.bincount(nearest, weights, length) for weights in np.where(known, values, 0.0)])
    count = np.stack([np.bincount(nearest, weights, length) for weights in known])
    met = np.bincount(nearest, minlength=length) > 0
    itself = np.minimum(moved(np.arange(length), ratio), values.shape[1] - 1)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.where(met, mean, values[:, itself])


def moved(samples: NDArray[np.int64], ratio: Fraction) -> NDArray[np.int64]:
    """Sample numbers at the new rate; the ratio is the signal's own, so that marks and waves stay together."""
    return np.rint(samples * float(ratio)).astype(np.int64)
