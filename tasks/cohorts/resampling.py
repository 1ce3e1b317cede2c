"""One common rate: signals by polyphase filtering, and marks that move with their waves."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly


def resampled(signal: NDArray[np.float64], rate: float, wanted: float) -> tuple[NDArray[np.float64], Fraction]:
    """The signal (time,) at ``wanted`` hertz, and the ratio by which its sample numbers have moved."""
    ratio = Fraction(wanted / rate).limit_denominator(1000)
    if ratio == 1:
        return signal, ratio
    return resample_poly(signal, ratio.numerator, ratio.denominator, padtype="line"), ratio


def moved(samples: NDArray[np.int64], ratio: Fraction) -> NDArray[np.int64]:
    """Sample numbers at the new rate; the ratio is the signal's own, so that marks and waves stay together."""
    return np.rint(samples * float(ratio)).astype(np.int64)
