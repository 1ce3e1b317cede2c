"""Building blocks of generated bedside signals: beats in time, waves that follow them, slow and loud disturbances.

A beat's wave is a Gaussian, as in McSharry et al. (2003, IEEE Trans Biomed Eng 50:289).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
EVIDENCE_LEVEL = 0.05
"""A wave counts as evidence where it is above this part of its height."""
REACH = float(np.sqrt(-2 * np.log(EVIDENCE_LEVEL)))
"""Half the width of that part, in standard deviations of the wave."""


@dataclass(frozen=True)
class Wave:
    """One Gaussian per beat: seconds after the R peak, standard deviation in seconds."""

    delay: float
    width: float


def beat_times(rng: np.random.Generator, seconds: float, periods: Values, shortest: float) -> Values:
    """R peaks (beat,) in seconds: the slowly varying period ``(second,)`` with 4 % of jitter."""
    times = [float(rng.uniform(0, shortest))]
    while times[-1] < seconds:
        period = periods[min(int(times[-1]), len(periods) - 1)]
        times.append(times[-1] + max(shortest, period * (1 + 0.04 * rng.standard_normal())))
    return np.array(times[:-1])


def slow_walk(rng: np.random.Generator, count: int, memory: float) -> Values:
    """A stationary walk (step,) of mean 0 and SD 1 that forgets itself in about ``memory`` steps."""
    keep = float(np.exp(-1 / memory))
    steps = rng.standard_normal(count)
    walk = np.empty(count)
    walk[0] = steps[0]
    for i in range(1, count):
        walk[i] = keep * walk[i - 1] + np.sqrt(1 - keep**2) * steps[i]
    return walk


def train(times: Values, heights: Values, width: Values | float, rate: float, count: int) -> Values:
    """The sum of Gaussians (time,) of the given centres (seconds), heights and width (each its own, or one for all)."""
    signal = np.zeros(count)
    widths = np.broadcast_to(width, times.shape)
    half = int(np.ceil(5 * widths.max(initial=0.0) * rate))
    places = np.rint(times * rate).astype(np.int64)[:, None] + np.arange(-half, half + 1)
    shapes = heights[:, None] * np.exp(-0.5 * ((places / rate - times[:, None]) / widths[:, None]) ** 2)
    inside = (places >= 0) & (places < count)
    np.add.at(signal, places[inside], shapes[inside])
    return signal


def electrocardiogram(rng: np.random.Generator, beats: Values, height: float, rate: float, count: int) -> Values:
    """P, QRS and T waves (time,) in millivolt: a loud distractor, each wave's height drawn for every beat.

    R peaks lie between nothing and twice ``height``, so that a network has seen beats without them. Delays and
    widths shrink with the heart's period, as they must to leave room.
    """
    scale = min(1.0, float(np.median(np.diff(beats))) / 0.8)
    shapes = (
        (-0.17, 0.020, 0.15),
        (-0.025, 0.008, -0.12),
        (0.0, 0.010, 1.0),
        (0.025, 0.008, -0.15),
        (0.24, 0.040, 0.3),
    )
    total = np.zeros(count)
    for delay, width, part in shapes:
        heights = height * part * rng.uniform(0, 2, len(beats))
        total += train(beats + delay * scale, heights, width * max(scale, 0.7), rate, count)
    return total


def disturbances(rng: np.random.Generator, seconds: float, every: float, height: float, rate: float) -> Values:
    """Loud bumps (time,) at random times, up or down, 0.15 to 0.5 s wide, one in ``every`` seconds on average."""
    count = round(seconds * rate)
    signal = np.zeros(count)
    for _ in range(rng.poisson(seconds / every)):
        centre, width = rng.uniform(0, seconds, 1), rng.uniform(0.05, 0.15)
        signal += train(centre, height * rng.choice([-1, 1]) * rng.uniform(0.5, 1.5, 1), width, rate, count)
    return signal


def breathing(rng: np.random.Generator, seconds: float, frequency: float, rate: float) -> Values:
    """A slow wave (time,) of amplitude 1 whose frequency (hertz) wanders by a tenth."""
    count = round(seconds * rate)
    walk = slow_walk(rng, int(seconds) + 2, 10.0)
    drift = np.interp(np.arange(count) / rate, np.arange(len(walk)), walk)
    return np.sin(2 * np.pi * (np.cumsum(frequency * (1 + 0.1 * drift)) / rate + rng.uniform()))


def spans(times: Values, wave: Wave, rate: float, count: int) -> NDArray[np.int64]:
    """First and last frame (beat, 2) in which each beat's wave is evidence; those that leave the record left out."""
    centres = times + wave.delay
    found = np.stack([centres - REACH * wave.width, centres + REACH * wave.width], axis=1) * rate
    marks = np.rint(found).astype(np.int64)
    return marks[(marks[:, 0] >= 0) & (marks[:, 1] < count)]
