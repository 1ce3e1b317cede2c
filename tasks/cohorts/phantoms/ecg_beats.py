"""Generated ECG recordings in native WFDB whose truth is known.

A beat is a sum of Gaussian waves (P, Q, R, S, T), the form of McSharry et al. (2003, IEEE Trans Biomed Eng
50:289), with heights, widths and times of its subject. Each class but N deviates in one known interval:

======  =======  ===========================================  ====================
symbol  class    deviation from normal                        about, ms from R
======  =======  ===========================================  ====================
L       LBBB     late slur widens the QRS                     +30 to +90
R       RBBB     ST segment depressed (low amplitude)         +85 to +155
/       paced    spike with a short decay before the QRS      -85 to -40
V       PVC      P wave inverted (low amplitude)              -215 to -125
======  =======  ===========================================  ====================

The names are those of the file format's symbols; the deviations are not cardiology. Distractors are the QRS
and T waves (and P in all classes but V): louder than the evidence, their heights drawn for every beat between
nothing and twice the mean, whatever the class. That they may be absent matters: a network that has seen
beats without them does not change its mind when an explainer takes them away.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from .settings import parse_settings, setting

RATE = 360
HALF_WINDOW = 108
SYMBOLS = ("N", "L", "R", "/", "V")
_TIMES = np.arange(-HALF_WINDOW, HALF_WINDOW) * 1000.0 / RATE
_GAIN, _BASELINE = 200, 1024
_PAUSE = 250
"""Samples before the first and after the last beat's annotation."""
_SHORTEST_RR = 0.62
"""Seconds; above the window's 0.6, so that no wave of a neighbour enters it."""
_EVIDENCE_LEVEL = 0.05


@dataclass(frozen=True)
class EcgBeatSettings:
    """Settings of the phantom, each with its range.

    ``beats_per_class``: of every subject. ``p_wave``, ``t_wave``, ``qrs``: mean heights (millivolt) of the P,
    T and R waves; ``loud_spread``: they vary from beat to beat, evenly, by this part of the mean. The P wave of
    a V beat does not vary: it is the subject's mean, inverted. ``st_shift``, ``slur``, ``spike``: size (mV) of
    the deviations of R, L and /. ``noise``: SD (mV) of white noise; ``wander``: amplitude (mV) of the
    baseline's slow waves. ``spread``: SD of the logarithm of a subject's wave heights. ``age_effect``: relative
    change of the P wave's height per decade of age from 60, in every class; ``sex_effect``: relative difference
    of the P wave's height, men minus women.
    """

    beats_per_class: int = setting(30, 1, 2000)
    p_wave: float = setting(0.2, 0.01, 1.0)
    t_wave: float = setting(0.4, 0.01, 1.0)
    st_shift: float = setting(0.25, 0.01, 1.0)
    slur: float = setting(0.3, 0.01, 1.0)
    spike: float = setting(0.35, 0.01, 1.0)
    qrs: float = setting(0.8, 0.1, 3.0)
    loud_spread: float = setting(1.0, 0.0, 1.0)
    noise: float = setting(0.02, 0.0, 0.5)
    wander: float = setting(0.02, 0.0, 0.5)
    spread: float = setting(0.15, 0.0, 0.5)
    age_effect: float = setting(0.0, -0.2, 0.2)
    sex_effect: float = setting(0.0, -0.7, 0.7)


@dataclass(frozen=True)
class _Person:
    """One subject: age (years), sex, heart period (s), factors of the wave heights, shift (ms) and width."""

    age: int
    sex: str
    period: float
    p_factor: float
    t_factor: float
    qrs_factor: float
    shift: float
    width: float


def write_phantom(folder: Path | str, *, subjects: int = 20, seed: int = 0, **settings: Any) -> None:
    """Writes ``subjects`` WFDB records (leads MLII and V1, 360 Hz) with beats, evidence marks, age and sex.

    Per record: ``.hea``, ``.dat`` (format 212), ``.atr`` (beats) and ``.evd`` (evidence: "(" at the first and
    ")" at the last sample where the class's deviation is more than 5 % of its greatest). Subject i is the same
    whatever their number. ``settings``: see EcgBeatSettings. The folder appears complete or not at all. Raises
    ValueError for a bad setting or a folder that is not empty.
    """
    chosen = parse_settings(EcgBeatSettings, settings)
    if not 1 <= subjects <= 10_000:
        raise ValueError(f"subjects is {subjects}; expected 1 to 10000.")
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; expected a new or empty one.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir()
    try:
        names = [_write_record(draft, number, seed, chosen) for number in range(1, subjects + 1)]
        (draft / "RECORDS").write_text("\n".join(names) + "\n", encoding="ascii")
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_record(folder: Path, number: int, seed: int, settings: EcgBeatSettings) -> str:
    rng = np.random.default_rng([seed, number])
    person = _draw_person(rng, settings)
    symbols = rng.permutation(np.repeat(SYMBOLS, settings.beats_per_class))
    peaks = _peaks(rng, person, len(symbols))
    signals = _leads(rng, person, settings, symbols, peaks)
    name = f"p{number:04d}"
    wfdb.wrsamp(
        name,
        fs=RATE,
        units=["mV", "mV"],
        sig_name=["MLII", "V1"],
        d_signal=np.clip(np.rint(signals * _GAIN) + _BASELINE, -2047, 2047).astype(np.int64),
        fmt=["212", "212"],
        adc_gain=[_GAIN, _GAIN],
        baseline=[_BASELINE, _BASELINE],
        comments=[f"{person.age} {person.sex} {number} phantom x1", "None"],
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", peaks, symbol=list(symbols), write_dir=str(folder))
    marks = _evidence_marks(person, settings, symbols, peaks)
    wfdb.wrann(name, "evd", marks, symbol=["(", ")"] * (len(marks) // 2), write_dir=str(folder))
    return name


def _draw_person(rng: np.random.Generator, settings: EcgBeatSettings) -> _Person:
    age = int(rng.integers(30, 90))
    sex = "M" if rng.random() < 0.5 else "F"
    planted = 1 + settings.age_effect * (age - 60) / 10 + settings.sex_effect * (0.5 if sex == "M" else -0.5)
    p_factor, t_factor, qrs_factor = np.exp(settings.spread * rng.standard_normal(3))
    return _Person(
        age=age,
        sex=sex,
        period=rng.uniform(0.75, 1.0),
        p_factor=p_factor * planted,
        t_factor=t_factor,
        qrs_factor=qrs_factor,
        shift=rng.uniform(-5, 5),
        width=rng.uniform(0.95, 1.05),
    )


def _peaks(rng: np.random.Generator, person: _Person, beats: int) -> NDArray[np.int64]:
    """R peaks (beat,), in samples: the heart period with 5 % of jitter."""
    intervals = person.period * (1 + 0.05 * rng.standard_normal(beats - 1))
    steps = np.rint(np.maximum(intervals, _SHORTEST_RR) * RATE).astype(np.int64)
    return _PAUSE + np.concatenate(([0], np.cumsum(steps)))


def _wave(centre: float, sigma: float) -> NDArray[np.float64]:
    """A Gaussian of height 1 on the window, (time,); times in milliseconds from the R peak."""
    return np.exp(-0.5 * ((_TIMES - centre) / sigma) ** 2)


def _atrial(person: _Person, settings: EcgBeatSettings) -> NDArray[np.float64]:
    return settings.p_wave * person.p_factor * _wave(-170 + person.shift, 18 * person.width)


def _repolarisation(person: _Person, settings: EcgBeatSettings) -> NDArray[np.float64]:
    return settings.t_wave * person.t_factor * _wave(205 + person.shift, 28 * person.width)


def _ventricular(person: _Person, settings: EcgBeatSettings) -> NDArray[np.float64]:
    """The distractor: Q, R and S, of one height."""
    shape = _wave(0, 9 * person.width) - 0.1 * _wave(-22, 7) - 0.1 * _wave(22, 7)
    return settings.qrs * person.qrs_factor * shape


def _deviation(symbol: str, person: _Person, settings: EcgBeatSettings) -> NDArray[np.float64]:
    """What marks a class, (time,) in millivolt: added to the beat, in V instead of the P wave."""
    if symbol == "L":
        return settings.slur * _wave(58 + person.shift / 2, 12 * person.width)
    if symbol == "R":
        return -settings.st_shift * _wave(120 + person.shift / 2, 14 * person.width)
    if symbol == "/":
        decay = np.maximum(_TIMES + 85, 0) / 15
        return -settings.spike * np.where(_TIMES >= -85, np.exp(-decay), 0.0)
    if symbol == "V":
        return -_atrial(person, settings)
    return np.zeros_like(_TIMES)


def _leads(
    rng: np.random.Generator,
    person: _Person,
    settings: EcgBeatSettings,
    symbols: NDArray[np.str_],
    peaks: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The recording (time, lead) in millivolt: V1 sees the same heart smaller and upside down."""
    deviations = {symbol: _deviation(symbol, person, settings) for symbol in SYMBOLS}
    waves = np.stack([wave(person, settings) for wave in (_ventricular, _repolarisation, _atrial)])
    heights = 1 + settings.loud_spread * rng.uniform(-1, 1, (len(peaks), 3))
    heights[symbols == "V", 2] = 0  # its P wave, inverted, is its deviation
    heart = np.zeros(int(peaks[-1]) + _PAUSE)
    for symbol, peak, height in zip(symbols, peaks, heights, strict=True):
        heart[peak - HALF_WINDOW : peak + HALF_WINDOW] += deviations[str(symbol)] + height @ waves
    both = np.stack([heart, -0.5 * heart], axis=1)
    both += settings.noise * rng.standard_normal(both.shape)
    return both + settings.wander * _wander(rng, len(heart))[:, None]


def _wander(rng: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Breathing and movement, (time,): three slow sines with a mean square of 1/2 together."""
    seconds = np.arange(length) / RATE
    rates, phases = rng.uniform(0.1, 0.4, 3), rng.uniform(0, 2 * np.pi, 3)
    return np.sin(2 * np.pi * rates * seconds[:, None] + phases).sum(axis=1) / np.sqrt(3)


def _evidence_marks(
    person: _Person, settings: EcgBeatSettings, symbols: NDArray[np.str_], peaks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """First and last sample of every deviation, in turn, (2 * beats that deviate,)."""
    spans = {}
    for symbol in SYMBOLS[1:]:
        size = np.abs(_deviation(symbol, person, settings))
        inside = np.flatnonzero(size > _EVIDENCE_LEVEL * size.max())
        spans[symbol] = np.array([inside[0], inside[-1]]) - HALF_WINDOW
    marks = [peak + spans[str(symbol)] for symbol, peak in zip(symbols, peaks, strict=True) if symbol != "N"]
    return np.concatenate(marks)
