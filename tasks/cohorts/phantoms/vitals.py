"""Generated bedside recordings in native WFDB whose truth is known: two studies, each with its evidence.

ICU (`write_icu_phantom`): ECG, ABP and ICP. The ICP wave of a beat has three peaks. The stiffer the brain, the
higher the second (P2): it stands below the first while pressure will be low, and above it while it will be
high. Inputs are z-scored by window, so that pressure itself is invisible, and the height of P2 against
its neighbours is all there is to see. Evidence: P2, in ICP alone. P2 foretells the mean pressure of the
interval to come, as compliance is lost before pressure rises.

NICU (`write_nicu_phantom`): ECG, ABP and PLETH at a newborn's heart rate. The class is the patient. Patient 2
has a deep dicrotic notch in ABP, patient 3 a late dip in PLETH, patient 1 neither. Rates, gains and baselines
wander likewise in all three, so that nothing else tells them apart. Both features lead away from the window's mean:
a wave that fills a valley would be imitated, not removed, by an occlusion with the mean.

These are signals to test explainers with, not physiology. Distractors are louder than the evidence: R peaks,
each beat's height drawn anew between nothing and twice the mean; bumps (a flush, a cough, a movement) at
random times; breathing. Record 2 has a dropout, a held and a saturated stretch; record 3 comes in two segments.
ECG has twice the rate of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bedside_files import FRAME_RATE, Track, damaged, filled_at_once, write_record
from .bedside_waves import (
    Values,
    Wave,
    beat_times,
    breathing,
    disturbances,
    electrocardiogram,
    slow_walk,
    spans,
    train,
)
from .settings import parse_settings, setting

_ECG_PER_FRAME = 2
_ECG_GAIN, _PRESSURE_GAIN, _PLETH_GAIN = 1000.0, 50.0, 5000.0
_LOW_LEVELS, _HIGH_LEVELS = (6.0, 13.0), (23.0, 32.0)
"""mmHg; well away from the labels' limits, 15 and 20."""
_PLATEAU = (70.0, 110.0)
"""Seconds for which pressure stays where it is."""


@dataclass(frozen=True)
class IcuSettings:
    """Settings of the ICU phantom, each with its range.

    ``seconds``: of every record. ``horizon``: seconds of the interval that P2 foretells; the reader must ask for
    the same. ``p2_low``, ``p2_high``: height of P2, P1 being 1 on average. ``p_spread``: the heights of P1 and P3
    vary from beat to beat, evenly, by this part of the mean; P2 by a third of it. ``qrs``: mean height (mV)
    of the R peaks. ``bumps``: height of the disturbances of ABP and ICP, the pulse being 1. ``noise``: SD of
    white noise, the pulse being 1.
    """

    seconds: int = setting(300, 60, 7200)
    horizon: float = setting(60.0, 1.0, 600.0)
    p2_low: float = setting(0.05, 0.0, 1.0)
    p2_high: float = setting(1.2, 0.0, 2.0)
    p_spread: float = setting(0.3, 0.0, 0.9)
    qrs: float = setting(0.8, 0.1, 3.0)
    bumps: float = setting(2.0, 0.0, 10.0)
    noise: float = setting(0.05, 0.0, 1.0)


@dataclass(frozen=True)
class NicuSettings:
    """Settings of the NICU phantom, each with its range.

    ``seconds``: of every patient. ``notch``: depth of patient 2's notch in ABP, ``dip``: of patient 3's late dip in
    PLETH, the pulse being 1. ``pulse_spread``: pulses vary from beat to beat, evenly, by this part of the mean;
    notch and dip by a third of it. ``gain_spread``: SD of the logarithm of each signal's wandering gain. ``qrs``,
    ``bumps``, ``noise``: as in the ICU, the bumps in ABP and PLETH.
    """

    seconds: int = setting(900, 120, 7200)
    notch: float = setting(0.5, 0.0, 1.0)
    dip: float = setting(0.5, 0.0, 1.0)
    pulse_spread: float = setting(0.3, 0.0, 0.9)
    gain_spread: float = setting(0.2, 0.0, 1.0)
    qrs: float = setting(0.6, 0.1, 3.0)
    bumps: float = setting(1.0, 0.0, 10.0)
    noise: float = setting(0.05, 0.0, 1.0)


def write_icu_phantom(folder: Path | str, *, subjects: int = 12, seed: int = 0, **settings: Any) -> None:
    """Writes ``subjects`` records (ECG 250 Hz in mV, ABP and ICP 125 Hz in mmHg) with evidence, age and sex.

    Every patient has stretches of low and of high pressure. Patient i is the same whatever their number.
    ``settings``: see IcuSettings. The folder appears complete or not at all. Raises ValueError for a bad
    setting or a folder that is not empty.
    """
    chosen = parse_settings(IcuSettings, settings)
    if not 1 <= subjects <= 10_000:
        raise ValueError(f"subjects is {subjects}; expected 1 to 10000.")
    with filled_at_once(folder) as draft:
        names = [_write_icu_record(draft, number, seed, chosen) for number in range(1, subjects + 1)]
        _list_records(draft, names)


def write_nicu_phantom(folder: Path | str, *, subjects: int = 3, seed: int = 0, **settings: Any) -> None:
    """Writes the records (ECG 250 Hz in mV, ABP in mmHg and PLETH at 125 Hz) of 2 or 3 newborns, with evidence.

    Patient 1 has two records, the others one. ``settings``: see NicuSettings. The folder appears complete or
    not at all. Raises ValueError for a bad setting or a folder that is not empty.
    """
    chosen = parse_settings(NicuSettings, settings)
    if not 2 <= subjects <= 3:
        raise ValueError(f"subjects is {subjects}; expected 2 or 3, as a patient is a class with evidence of its own.")
    with filled_at_once(folder) as draft:
        names = [name for number in range(1, subjects + 1) for name in _write_newborn(draft, number, seed, chosen)]
        _list_records(draft, names)


def _list_records(folder: Path, names: list[str]) -> None:
    """Without the list, segments would count as records."""
    (folder / "RECORDS").write_text("\n".join(names) + "\n", encoding="ascii")


# --- ICU


@dataclass(frozen=True)
class _Patient:
    """Age (years), sex, heart period (s), breaths (Hz), and the waves of a beat in ABP and ICP."""

    age: int
    sex: str
    period: float
    breaths: float
    systole: Wave
    dicrotic: Wave
    peaks: tuple[Wave, Wave, Wave]


def _draw_patient(rng: np.random.Generator) -> _Patient:
    transit, pace = rng.uniform(0.18, 0.22), rng.uniform(0.95, 1.05)
    return _Patient(
        age=int(rng.integers(20, 85)),
        sex="M" if rng.random() < 0.5 else "F",
        period=rng.uniform(0.75, 1.0),
        breaths=rng.uniform(0.2, 0.33),
        systole=Wave(transit, 0.07),
        dicrotic=Wave(transit + 0.24, 0.06),
        peaks=(Wave(0.17 * pace, 0.032 * pace), Wave(0.30 * pace, 0.034 * pace), Wave(0.43 * pace, 0.042 * pace)),
    )


def _write_icu_record(folder: Path, number: int, seed: int, settings: IcuSettings) -> str:
    rng = np.random.default_rng([seed, number])
    patient = _draw_patient(rng)
    seconds, count = settings.seconds, settings.seconds * FRAME_RATE
    periods = patient.period * (1 + 0.03 * slow_walk(rng, seconds, 30.0))
    beats = beat_times(rng, seconds, periods, 0.62)
    level = _pressure_level(rng, count)
    tracks = [
        _ecg(rng, beats, settings.qrs, seconds),
        Track("ABP", "mmHg", _arterial(rng, patient, settings, beats), 1, _PRESSURE_GAIN),
        Track("ICP", "mmHg", level + _intracranial(rng, patient, settings, beats, level), 1, _PRESSURE_GAIN),
    ]
    name = f"i{number:04d}"
    write_record(
        folder,
        name,
        damaged(tracks) if number == 2 else tracks,
        [f"{patient.age} {patient.sex} {number} phantom x1", "None"],
        {2: spans(beats, patient.peaks[1], FRAME_RATE, count)},
        in_segments=number == 3,
    )
    return name


def _ecg(rng: np.random.Generator, beats: Values, height: float, seconds: int) -> Track:
    rate = FRAME_RATE * _ECG_PER_FRAME
    heart = electrocardiogram(rng, beats, height, rate, seconds * rate)
    wander = 0.05 * breathing(rng, seconds, 0.25, rate)
    return Track("II", "mV", heart + wander + 0.02 * rng.standard_normal(len(heart)), _ECG_PER_FRAME, _ECG_GAIN)


def _pressure_level(rng: np.random.Generator, count: int) -> Values:
    """Mean ICP (time,) in mmHg: plateaus, low and high in turn."""
    level = np.empty(count)
    start, high = 0, bool(rng.random() < 0.5)
    while start < count:
        stop = start + round(rng.uniform(*_PLATEAU) * FRAME_RATE)
        level[start:stop] = rng.uniform(*(_HIGH_LEVELS if high else _LOW_LEVELS))
        start, high = stop, not high
    return level


def _following_mean(level: Values, horizon: float) -> Values:
    """Mean level (time,) of the ``horizon`` seconds after every frame, at the end of what is left."""
    sums = np.concatenate(([0.0], np.cumsum(level)))
    first = np.arange(len(level))
    last = np.minimum(first + round(horizon * FRAME_RATE), len(level))
    return (sums[last] - sums[first]) / (last - first)


def _arterial(rng: np.random.Generator, patient: _Patient, settings: IcuSettings, beats: Values) -> Values:
    count = settings.seconds * FRAME_RATE
    pulse = rng.uniform(35, 50)
    heights = rng.uniform(0.7, 1.3, (2, len(beats)))
    waves = _waves(beats, patient.systole, heights[0], count) + _waves(beats, patient.dicrotic, 0.4 * heights[1], count)
    bumps = disturbances(rng, settings.seconds, 8.0, settings.bumps, FRAME_RATE)
    breath = 0.1 * breathing(rng, settings.seconds, patient.breaths, FRAME_RATE)
    noise = settings.noise * rng.standard_normal(count)
    return rng.uniform(60, 80) + pulse * (waves + bumps + breath + noise)


def _intracranial(
    rng: np.random.Generator, patient: _Patient, settings: IcuSettings, beats: Values, level: Values
) -> Values:
    """What the heart, the breath and the cough add to ICP, (time,) in mmHg with mean 0."""
    count = len(level)
    ahead = _following_mean(level, settings.horizon)[np.minimum((beats * FRAME_RATE).astype(np.int64), count - 1)]
    stiffness = np.clip((ahead - 15) / 5, 0, 1)
    second = settings.p2_low + (settings.p2_high - settings.p2_low) * stiffness
    spread = settings.p_spread * rng.uniform(-1, 1, (3, len(beats)))
    heights = (1 + spread[0], second * (1 + spread[1] / 3), 0.6 * (1 + spread[2]))
    waves = sum(_waves(beats, wave, height, count) for wave, height in zip(patient.peaks, heights, strict=True))
    bumps = disturbances(rng, settings.seconds, 8.0, settings.bumps, FRAME_RATE)
    breath = 0.7 * breathing(rng, settings.seconds, patient.breaths, FRAME_RATE)
    total = waves + bumps + breath + settings.noise * rng.standard_normal(count)
    return rng.uniform(3, 6) * (total - total.mean())


def _waves(beats: Values, wave: Wave, heights: Values, count: int) -> Values:
    return train(beats + wave.delay, heights, wave.width, FRAME_RATE, count)


# --- NICU

_SYSTOLE, _NOTCH = Wave(0.10, 0.040), Wave(0.205, 0.016)
_PULSE, _DIP = Wave(0.14, 0.045), Wave(0.265, 0.018)
_MEMORY = 5.0
"""Seconds after which rate and gain have forgotten themselves; were it long, patients would differ by chance."""


def _write_newborn(folder: Path, number: int, seed: int, settings: NicuSettings) -> list[str]:
    """The patient's records: two of half the length for the first patient, one for the others."""
    parts = 2 if number == 1 else 1
    names = [f"n{number:04d}{'ab'[part] if parts > 1 else ''}" for part in range(parts)]
    for part, name in enumerate(names):
        rng = np.random.default_rng([seed, number, part])
        _write_newborn_record(rng, folder, name, number, settings, settings.seconds // parts)
    return names


def _write_newborn_record(
    rng: np.random.Generator, folder: Path, name: str, number: int, settings: NicuSettings, seconds: int
) -> None:
    count = seconds * FRAME_RATE
    beats = beat_times(rng, seconds, 0.43 * np.exp(0.06 * slow_walk(rng, seconds, _MEMORY)), 0.36)
    pressure = _newborn_pulse(rng, settings, beats, seconds, (_SYSTOLE, _NOTCH), settings.notch * (number == 2))
    pleth = _newborn_pulse(rng, settings, beats, seconds, (_PULSE, _DIP), settings.dip * (number == 3))
    tracks = [
        _ecg(rng, beats, settings.qrs, seconds),
        Track("ABP", "mmHg", 35 + 20 * pressure, 1, _PRESSURE_GAIN),
        Track("PLETH", "NU", pleth, 1, _PLETH_GAIN),
    ]
    evidence = {2: {1: spans(beats, _NOTCH, FRAME_RATE, count)}, 3: {2: spans(beats, _DIP, FRAME_RATE, count)}}
    write_record(
        folder,
        name,
        damaged(tracks) if number == 2 else tracks,
        [f"0 F {number} phantom x1", "None"],
        evidence.get(number, {}),
        in_segments=number == 3,
    )


def _newborn_pulse(
    rng: np.random.Generator,
    settings: NicuSettings,
    beats: Values,
    seconds: int,
    waves: tuple[Wave, Wave],
    depth: float,
) -> Values:
    """A pulse wave (time,) of height 1 on average, from which the patient's own wave, ``depth`` deep, is taken."""
    count = seconds * FRAME_RATE
    spread = settings.pulse_spread * rng.uniform(-1, 1, (2, len(beats)))
    main, own = waves
    pulses = _waves(beats, main, 1 + spread[0], count) - depth * _waves(beats, own, 1 + spread[1] / 3, count)
    gain = np.exp(settings.gain_spread * _smooth(rng, seconds, count))
    bumps = disturbances(rng, seconds, 4.0, settings.bumps, FRAME_RATE)
    breath = 0.3 * breathing(rng, seconds, 0.7, FRAME_RATE)
    return gain * pulses + bumps + breath + settings.noise * rng.standard_normal(count)


def _smooth(rng: np.random.Generator, seconds: int, count: int) -> Values:
    """A slow walk (time,) of SD 1."""
    return np.interp(np.arange(count) / FRAME_RATE, np.arange(seconds), slow_walk(rng, seconds, _MEMORY))
