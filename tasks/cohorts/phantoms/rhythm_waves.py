"""What a generated heart writes at each beat: loud waves that all classes share, and one quiet one of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from .bedside_waves import REACH, Values, slow_walk, train
from .rhythm_process import Rhythm
from .rhythm_settings import EcgRhythmSettings

_SINUS = ("N", "SBR", "LBBB", "RBBB")
"""Classes whose beats begin with a sinus P wave."""
_P, _T = (-0.17, 0.020), (0.29, 0.045)
"""Seconds after the R peak and SD, at a period of 0.8 s; both shrink with the square root of the period."""
_QRS = ((-0.024, 0.007, -0.12), (0.0, 0.009, 1.0), (0.026, 0.008, -0.2))
"""Q, R and S: seconds after the R peak, SD, height."""
_SIGNS = {
    "PVC": ((0.0, 0.026, 1.0), (0.05, 0.020, 0.4), (0.24, 0.045, -0.45)),
    "PAC": ((-0.165, 0.016, -1.0),),
    "SVTA": ((0.110, 0.014, -1.0),),
    "SBR": ((0.530, 0.024, 1.0),),
    "LBBB": ((0.055, 0.017, 1.0), (0.150, 0.035, -0.35)),
    "RBBB": ((0.075, 0.012, 1.0),),
}
"""The wave that makes a class true, as a sum of Gaussians: seconds after the R peak, SD, height."""
_MEMORY = 4.0
"""Beats after which a loud wave's height has forgotten itself; so there are windows whose R peaks are all small."""
_STEADY = 0.2
"""The height of such a wave varies from beat to beat, evenly, by this part."""
_BEFORE_QRS, _AFTER_T = 0.045, 2.2
"""Where fibrillation is seen: from so many SDs after a T wave's centre to so many seconds before the next R peak."""
_FADE = 0.04
"""Seconds in which it swells, and fades."""
_SHORTEST_VIEW = 0.08


@dataclass(frozen=True)
class Morphology:
    """One person's waves: factors of the heights of P, T, QRS and of the classes' own waves; the latter's timing.

    ``shift``: seconds. ``width``: factor. ``ectopic_sign``: PVCs point up (1) or down (-1). ``f_rate``: hertz.
    """

    p: float
    t: float
    qrs: float
    own: float
    shift: float
    width: float
    ectopic_sign: float
    f_rate: float


def heart(
    rng: np.random.Generator,
    person: Morphology,
    settings: EcgRhythmSettings,
    rhythm: Rhythm,
    rate: float,
    count: int,
) -> Values:
    """The heart's signal (time,) in millivolt at ``rate`` hertz, without noise."""
    walks = np.stack([slow_walk(rng, len(rhythm.times), _MEMORY) for _ in range(3)])
    spread = 1 + settings.loud_spread * (2 * ndtr(walks) - 1)  # evenly from 0 to 2
    total = _shared(person, settings, rhythm, spread, rate, count)
    steady = 1 + _STEADY * rng.uniform(-1, 1, len(rhythm.times))
    for name, waves in _SIGNS.items():
        chosen = rhythm.classes == name
        height = _height(name, person, settings) * steady[chosen]
        for delay, width, part in waves:
            centres = rhythm.times[chosen] + delay + person.shift
            total += train(centres, part * height, width * person.width, rate, count)
    return total + settings.f_wave * person.own * _fibrillation(rng, person, rhythm, rate, count)


def evidence(person: Morphology, rhythm: Rhythm) -> Values:
    """Start and end in seconds of what makes the classes true, in order of time, (interval, 2)."""
    spans = [_views(rhythm)]
    for name, waves in _SIGNS.items():
        delays, widths, _ = np.array(waves).T
        reach = np.array(
            [(delays - REACH * widths * person.width).min(), (delays + REACH * widths * person.width).max()]
        )
        spans.append(rhythm.times[rhythm.classes == name][:, None] + person.shift + reach)
    found = np.concatenate(spans)
    return found[np.argsort(found[:, 0])]


def _height(name: str, person: Morphology, settings: EcgRhythmSettings) -> float:
    heights = {
        "PVC": settings.ectopic_qrs * person.own * person.ectopic_sign,
        "PAC": settings.ectopic_p * person.p,
        "SVTA": settings.retrograde_p * person.p,
        "SBR": settings.u_wave * person.own,
        "LBBB": settings.slur * person.own,
        "RBBB": settings.r_prime * person.own,
    }
    return heights[name]


def _shared(
    person: Morphology, settings: EcgRhythmSettings, rhythm: Rhythm, spread: Values, rate: float, count: int
) -> Values:
    """P, QRS and T (time,); ``spread (wave, beat)`` are factors of their heights."""
    pace = _pace(rhythm)
    sinus = np.isin(rhythm.classes, _SINUS)
    narrow = rhythm.classes != "PVC"
    total = np.zeros(count)
    for (delay, width), chosen, height in (
        (_P, sinus, settings.p_wave * person.p * spread[0]),
        (_T, narrow, settings.t_wave * person.t * spread[2]),
    ):
        own = pace[chosen]
        total += train(rhythm.times[chosen] + delay * own, height[chosen], width * own, rate, count)
    height = settings.qrs * person.qrs * spread[1, narrow]
    for delay, width, part in _QRS:
        total += train(rhythm.times[narrow] + delay, part * height, width * person.width, rate, count)
    return total


def _pace(rhythm: Rhythm) -> Values:
    """By what P and T of each beat shrink or stretch in time: the square root of the period before it, relative."""
    periods = np.diff(rhythm.times, prepend=2 * rhythm.times[0] - rhythm.times[1])
    return np.sqrt(np.clip(periods, 0.36, 1.05) / 0.8)


def _views(rhythm: Rhythm) -> Values:
    """Start and end in seconds of every baseline in which fibrillation is seen, (interval, 2)."""
    pace = _pace(rhythm)
    starts = np.concatenate(([-np.inf], rhythm.times + (_T[0] + _AFTER_T * _T[1]) * pace))
    ends = np.concatenate((rhythm.times - _BEFORE_QRS, [np.inf]))
    views = [
        (max(start, first), min(end, last))
        for first, last in rhythm.fibrillation
        for start, end in zip(starts, ends, strict=True)
        if min(end, last) - max(start, first) > _SHORTEST_VIEW
    ]
    return np.array(views).reshape(-1, 2)


def _fibrillation(rng: np.random.Generator, person: Morphology, rhythm: Rhythm, rate: float, count: int) -> Values:
    """f waves (time,) of height 1 about nothing: a sawtooth's first two harmonics whose rate and size wander."""
    seconds = np.arange(count) / rate
    knots = np.arange(int(seconds[-1]) + 2)
    drift, swell = (np.interp(seconds, knots, slow_walk(rng, len(knots), memory)) for memory in (3.0, 2.0))
    phase = 2 * np.pi * np.cumsum(person.f_rate * np.clip(1 + 0.08 * drift, 0.8, 1.2)) / rate
    waves = (np.sin(phase) + 0.35 * np.sin(2 * phase + 0.5)) * np.clip(1 + 0.25 * swell, 0.5, 1.5)
    shown = np.zeros(count)
    for start, end in _views(rhythm):
        first, last = int(np.ceil(start * rate)), min(int(end * rate), count - 1)
        inside = seconds[first : last + 1]
        shown[first : last + 1] = (
            np.sin(np.pi / 2 * np.clip(np.minimum(inside - start, end - inside) / _FADE, 0, 1)) ** 2
        )
    return waves * shown
