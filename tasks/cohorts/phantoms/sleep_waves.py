"""The graphic elements of sleep (spindles, K-complexes, slow waves, eye movements) and the noise they lie in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 100
"""Hertz, of every wave here."""
Shape = Callable[[NDArray[np.float64], float], NDArray[np.float64]]


@dataclass(frozen=True)
class Element:
    """A wave that recurs in a stage.

    ``shape``: from seconds since its start and its duration to a form of height 1. ``height``: microvolt, its mean.
    ``seconds``: shortest and longest duration. ``per_minute``: how many there are.
    """

    name: str
    shape: Shape
    height: float
    seconds: tuple[float, float]
    per_minute: float


@dataclass(frozen=True)
class Event:
    """One element where it occurred: first sample, one after its last, and its wave (time,) in microvolt."""

    start: int
    stop: int
    wave: NDArray[np.float64]


def rhythm(frequency: float) -> Shape:
    """A train of waves of ``frequency`` hertz that swells and fades."""
    return lambda seconds, length: np.sin(np.pi * seconds / length) * np.sin(2 * np.pi * frequency * seconds)


def k_complex(seconds: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """A sharp negative wave, then a slower positive one."""
    phase = seconds / length
    return 0.6 * np.exp(-0.5 * ((phase - 0.7) / 0.12) ** 2) - np.exp(-0.5 * ((phase - 0.3) / 0.08) ** 2)


def blink(seconds: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """One hump."""
    return np.sin(np.pi * seconds / length) ** 2


def saccades(seconds: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """A rapid eye movement to one side and, half-way, back."""
    edge = 0.02
    return 0.5 * (np.tanh((seconds - 0.15 * length) / edge) - np.tanh((seconds - 0.85 * length) / edge))


def steady(seconds: NDArray[np.float64], _: float) -> NDArray[np.float64]:
    """One level throughout."""
    return np.ones_like(seconds)


def events_of(element: Element, rng: np.random.Generator, epoch: int, seconds: int, factor: float = 1.0) -> list[Event]:
    """The element's occurrences in one epoch of ``seconds``, none overlapping another of its kind.

    ``factor`` multiplies the heights.
    """
    wanted = element.per_minute * seconds / 60
    longest = element.seconds[1]
    count = min(int(wanted + rng.random()), int(seconds / longest))
    found = []
    for slot in range(count):
        length = rng.uniform(*element.seconds)
        first = epoch * seconds + slot * seconds / count + rng.uniform(0, seconds / count - length)
        start, points = round(first * RATE), round(length * RATE)
        sign = 1.0 if rng.random() < 0.5 else -1.0
        height = sign * factor * element.height * rng.uniform(0.7, 1.3)
        wave = height * element.shape(np.arange(points) / RATE, length)
        found.append(Event(start, start + points, wave))
    return found


def background(rng: np.random.Generator, points: int, size: float) -> NDArray[np.float64]:
    """Noise (time,) of SD ``size`` whose power falls as 1 / frequency from 1 Hz on, as the resting EEG's does."""
    spectrum = np.fft.rfft(rng.standard_normal(points))
    frequencies = np.fft.rfftfreq(points, 1 / RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 1.0)), points)
    return size * noise / noise.std()


def hum(rng: np.random.Generator, points: int, size: float) -> NDArray[np.float64]:
    """A distractor (time,): bursts of a 30-Hz sine, a third of the time, whatever the stage.

    Their height varies evenly from nothing to twice ``size`` microvolt, so that a network sees epochs without.
    """
    seconds = np.arange(points) / RATE
    block = 2 * RATE
    heights = rng.uniform(0, 2 * size, points // block + 1) * (rng.random(points // block + 1) < 1 / 3)
    swell = np.sin(np.pi * (np.arange(points) % block) / block) ** 2
    return np.repeat(heights, block)[:points] * swell * np.sin(2 * np.pi * 30 * seconds)


def heartbeat(rng: np.random.Generator, points: int, size: float) -> NDArray[np.float64]:
    """A distractor (time,): the ECG's QRS of ``size`` microvolt, about once a second, whatever the stage."""
    gaps = rng.normal(0.95, 0.04, points // RATE * 2 + 2)
    beats = (np.cumsum(gaps) * RATE).astype(np.int64)
    signal = np.zeros(points)
    for offset, height in zip(range(-2, 4), (-0.1, 0.4, 1.0, 0.3, -0.25, -0.1), strict=True):
        places = beats + offset
        signal[places[(places >= 0) & (places < points)]] += size * height
    return signal
