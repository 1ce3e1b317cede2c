"""Generated excerpts of sleep in the files of the DREAMS spindles, whose truth is known.

Spindles (13 Hz, 0.6 to 1.5 s) lie in a resting EEG. Distractors, louder than they are: slow waves, K-complexes and
bursts of hum, all independent of the spindles. Two experts mark them, each wrong in a way of their own: the first
misses some and is some hundredths of a second off; the second misses others, marks every spindle as one second
long, and marks some stretches in which there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..resampling import resampled
from .bedside_files import filled_at_once
from .edf_nights import Header, Track, write_signals
from .settings import parse_settings, setting
from .sleep_waves import RATE, Element, background, events_of, hum, k_complex, rhythm

_FILE_RATES, _DERIVATIONS = (100, 200, 50, 200, 200, 200), ("C3-A1", "CZ-A1", "C3-A1", "CZ-A1", "CZ-A1", "CZ-A1")
"""Hertz and derivation of the real excerpts, in turn."""
_SLOT = 6
"""Seconds: each has at most one spindle."""
_HYPNOGRAM_SECONDS = 5
_STAGE_2 = 2
_SPINDLE = rhythm(13)
_LOUD = (Element("slow wave", rhythm(0.9), 80.0, (2.0, 4.0), 3), Element("K-complex", k_complex, 70.0, (0.8, 1.2), 3))
_FALSE_MARKS = 0.1
"""Of the second expert's marks."""


@dataclass(frozen=True)
class SpindleSettings:
    """Settings of the phantom, each with its range.

    ``minutes``: of every excerpt. ``per_minute``: mean number of spindles. ``height``: their mean (microvolt).
    ``noise``: SD (microvolt) of the background. ``hum``: mean height (microvolt) of the loud distractor.
    ``spread``: SD of the logarithm of a subject's spindle heights. ``sensitivity``: part of the spindles that
    each expert marks, independently.
    """

    minutes: int = setting(5, 1, 120)
    per_minute: float = setting(7.0, 0.5, 9.0)
    height: float = setting(30.0, 1.0, 200.0)
    noise: float = setting(10.0, 0.1, 50.0)
    hum: float = setting(70.0, 0.0, 300.0)
    spread: float = setting(0.15, 0.0, 0.5)
    sensitivity: float = setting(0.85, 0.1, 1.0)


def write_phantom(folder: Path | str, *, subjects: int = 6, seed: int = 0, **settings: Any) -> None:
    """Writes one excerpt for each of ``subjects`` persons, with two experts' marks, and ``subjects.csv``.

    Per excerpt N: ``excerptN.edf`` (one derivation in microvolt at 50, 100 or 200 Hz), ``Hypnogram_excerptN.txt``
    (stage 2 throughout), ``Visual_scoring1_`` and ``Visual_scoring2_excerptN.txt``, and, which DREAMS does not
    have, ``True_spindles_excerptN.txt`` of the same form. Subject i is the same whatever their number.
    ``settings``: see SpindleSettings. The folder appears complete or not at all. Raises ValueError for a bad
    setting or a folder that is not empty.
    """
    chosen = parse_settings(SpindleSettings, settings)
    if not 1 <= subjects <= 999:
        raise ValueError(f"subjects is {subjects}; expected 1 to 999.")
    with filled_at_once(folder) as draft:
        rows = [_write_excerpt(draft, number, seed, chosen) for number in range(1, subjects + 1)]
        pd.DataFrame(rows).to_csv(draft / "subjects.csv", index=False)


def _write_excerpt(folder: Path, number: int, seed: int, settings: SpindleSettings) -> dict[str, Any]:
    """Writes one excerpt's files; returns its row of the table of subjects."""
    rng = np.random.default_rng([seed, number])
    name = f"excerpt{number}"
    rate = _FILE_RATES[(number - 1) % len(_FILE_RATES)]
    derivation = _DERIVATIONS[(number - 1) % len(_DERIVATIONS)]
    age, sex = int(rng.integers(20, 70)), "M" if rng.random() < 0.5 else "F"
    signal, spindles = _signal(rng, settings)
    at_rate, _ = resampled(signal, RATE, rate)
    track = Track(derivation, at_rate, rate, "uV", 500.0)
    write_signals(folder / f"{name}.edf", Header(sex, age, datetime(2003, 1, 1, 2, 0)), [track])
    stages = [_STAGE_2] * (settings.minutes * 60 // _HYPNOGRAM_SECONDS)
    lines = ["[Hypnogram]", *map(str, stages)]
    (folder / f"Hypnogram_{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    _write_marks(folder / f"True_spindles_{name}.txt", f"vis0_Spindles/{derivation}", spindles)
    experts = (_careful(rng, spindles, settings), _schematic(rng, spindles, settings))
    for expert, marks in enumerate(experts, 1):
        _write_marks(folder / f"Visual_scoring{expert}_{name}.txt", f"vis{expert}_Spindles/{derivation}", marks)
    return {"recording": name, "subject": number, "age": age, "sex": sex}


def _signal(rng: np.random.Generator, settings: SpindleSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The EEG (time,) in microvolt at 100 Hz; its spindles (spindle, 2), onset and duration in seconds."""
    seconds = settings.minutes * 60
    signal = background(rng, seconds * RATE, settings.noise) + hum(rng, seconds * RATE, settings.hum)
    spindle = Element("spindle", _SPINDLE, settings.height, (0.6, 1.5), settings.per_minute)
    factor = float(np.exp(settings.spread * rng.standard_normal()))
    found = []
    for slot in range(seconds // _SLOT):
        for event in events_of(spindle, rng, slot, _SLOT, factor):
            signal[event.start : event.stop] += event.wave
            found.append((event.start / RATE, (event.stop - event.start) / RATE))
        for element in _LOUD:
            for event in events_of(element, rng, slot, _SLOT):
                signal[event.start : event.stop] += event.wave
    return signal, np.array(found).reshape(-1, 2)


def _careful(rng: np.random.Generator, spindles: NDArray[np.float64], settings: SpindleSettings) -> NDArray[np.float64]:
    """The first expert's marks: those seen, both ends up to 0.05 s off."""
    seen = spindles[rng.random(len(spindles)) < settings.sensitivity]
    ends = np.stack([seen[:, 0], seen.sum(axis=1)], axis=1) + rng.uniform(-0.05, 0.05, seen.shape)
    ends = np.clip(ends, 0, settings.minutes * 60)
    return np.stack([ends[:, 0], ends[:, 1] - ends[:, 0]], axis=1)


def _schematic(
    rng: np.random.Generator, spindles: NDArray[np.float64], settings: SpindleSettings
) -> NDArray[np.float64]:
    """The second expert's marks: one second about the middle of those seen, and some of nothing."""
    seen = spindles[rng.random(len(spindles)) < settings.sensitivity]
    onsets = seen[:, 0] + seen[:, 1] / 2 - 0.5 + rng.uniform(-0.1, 0.1, len(seen))
    invented = rng.uniform(0, settings.minutes * 60 - 1, round(_FALSE_MARKS * len(seen)))
    onsets = np.sort(np.clip(np.concatenate([onsets, invented]), 0, settings.minutes * 60 - 1))
    return np.stack([onsets, np.ones_like(onsets)], axis=1)


def _write_marks(path: Path, heading: str, spans: NDArray[np.float64]) -> None:
    lines = [f"[{heading}]", *(f"{onset:10.4f}\t{duration:10.4f}" for onset, duration in spans)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
