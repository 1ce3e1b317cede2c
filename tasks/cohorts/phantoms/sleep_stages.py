"""Generated nights in the files of Sleep-EDF Telemetry, whose truth is known.

Each stage has elements of its own, at known times; the background is the same in all of them:

=======  ============================  ===========================  =====================
stage    EEG Fpz-Cz                    EOG horizontal               EMG submental
=======  ============================  ===========================  =====================
Awake    alpha trains (10 Hz)          blinks                       bursts of activity
NREM1    theta trains (5 Hz)           slow rolling movements
NREM2    spindles, K-complexes
NREM3    slow waves (0.9 Hz)
REM                                    rapid eye movements          twitches
=======  ============================  ===========================  =====================

Evidence is where they are. What spreads over a whole epoch is not marked: the muscle tone, a little higher awake and
lower in REM. Distractors, louder than any of these and the same in all stages: bursts of hum in every
channel, and the heart's beat in EEG and EMG. Forms and rates are those of a textbook, not of a population.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .bedside_files import filled_at_once
from .edf_nights import Header, Track, write_marks, write_signals
from .settings import parse_settings, setting
from .sleep_cycle import EPOCH, Scored, draw_night
from .sleep_waves import (
    RATE,
    Element,
    Event,
    background,
    blink,
    events_of,
    heartbeat,
    hum,
    k_complex,
    rhythm,
    saccades,
    steady,
)

EEG, EOG, EMG = "EEG Fpz-Cz", "EOG horizontal", "EMG submental"
DRUGS = ("placebo", "temazepam")
_MARKER_RATE = 10
_SPINDLE = "spindle"
_ELEMENTS: dict[str, dict[str, tuple[Element, ...]]] = {
    "W": {
        EEG: (Element("alpha", rhythm(10), 28.0, (1.0, 3.0), 10),),
        EOG: (Element("blink", blink, 30.0, (0.3, 0.5), 12),),
        EMG: (Element("burst", steady, 10.0, (0.5, 1.5), 8),),
    },
    "1": {
        EEG: (Element("theta", rhythm(5), 28.0, (1.0, 2.0), 12),),
        EOG: (Element("rolling", rhythm(0.5), 25.0, (4.0, 6.0), 6),),
    },
    "2": {
        EEG: (Element(_SPINDLE, rhythm(13), 28.0, (0.6, 1.4), 10), Element("K-complex", k_complex, 50.0, (0.8, 1.2), 4))
    },
    "3": {EEG: (Element("slow waves", rhythm(0.9), 45.0, (3.0, 6.0), 6),)},
    "4": {EEG: (Element("slow waves", rhythm(0.9), 55.0, (3.0, 6.0), 7),)},
    "R": {
        EOG: (Element("saccades", saccades, 30.0, (0.4, 1.0), 16),),
        EMG: (Element("twitch", steady, 10.0, (0.1, 0.3), 10),),
    },
}
"""By the stage's letter. In the EMG the wave is the added SD of the muscle's noise."""


@dataclass(frozen=True)
class SleepStageSettings:
    """Settings of the phantom, each with its range.

    ``minutes``: of every night. ``noise``: SD (microvolt) of the EEG's background; the EOG's is 0.8 and the EMG's
    0.4 of it. ``hum``: mean height (microvolt) of the loud distractor. ``tone``: relative difference of the
    muscle tone, Awake minus REM. ``spread``: SD of the logarithm of a subject's heights, for each channel.
    ``age_effect``: relative change of the height of all eye movements per decade of age from 45. ``sex_effect``:
    relative difference of the height of muscle bursts and twitches, men minus women. ``temazepam_effect``:
    relative change of the height of spindles under temazepam. (Heights, because a network that takes the maximum
    over time sees the largest element of an epoch, not how many there are.)
    """

    minutes: int = setting(30, 10, 600)
    noise: float = setting(10.0, 1.0, 50.0)
    hum: float = setting(90.0, 0.0, 300.0)
    tone: float = setting(0.3, 0.0, 1.0)
    spread: float = setting(0.15, 0.0, 0.5)
    age_effect: float = setting(0.0, -0.2, 0.2)
    sex_effect: float = setting(0.0, -0.9, 0.9)
    temazepam_effect: float = setting(0.0, -0.9, 2.0)


@dataclass(frozen=True)
class _Person:
    """One subject: age (years), sex, factors of the heights by channel, whether temazepam is in the first night."""

    age: int
    sex: str
    factors: dict[str, float]
    drug_first: bool


def write_phantom(folder: Path | str, *, subjects: int = 6, seed: int = 0, **settings: Any) -> None:
    """Writes two nights (placebo and temazepam, in either order) of ``subjects`` persons, and ``subjects.csv``.

    Per night: ``ST7ssnJ0-PSG.edf`` (ss the subject, n the night; EEG Fpz-Cz, EEG Pz-Oz, EOG, EMG at 100 Hz in
    microvolt, Marker at 10 Hz), ``ST7ssnJP-Hypnogram.edf`` and ``ST7ssnJ0-Evidence.edf`` (EDF+ annotations whose
    text is the channel). One epoch is movement, one unscored, and one has a telemetry error. Subject i is the
    same whatever their number. ``settings``: see SleepStageSettings. The folder appears complete or not at all.
    Raises ValueError for a bad setting or a folder that is not empty.
    """
    chosen = parse_settings(SleepStageSettings, settings)
    if not 1 <= subjects <= 99:
        raise ValueError(f"subjects is {subjects}; expected 1 to 99.")
    with filled_at_once(folder) as draft:
        rows = [
            _write_night(draft, number, night, seed, chosen) for number in range(1, subjects + 1) for night in (1, 2)
        ]
        pd.DataFrame(rows).to_csv(draft / "subjects.csv", index=False)


def _draw_person(rng: np.random.Generator, settings: SleepStageSettings) -> _Person:
    age, sex = int(rng.integers(18, 81)), "M" if rng.random() < 0.5 else "F"
    factors = dict(zip((EEG, EOG, EMG), np.exp(settings.spread * rng.standard_normal(3)), strict=True))
    factors[EOG] *= 1 + settings.age_effect * (age - 45) / 10
    factors[EMG] *= 1 + settings.sex_effect * (0.5 if sex == "M" else -0.5)
    return _Person(age, sex, factors, drug_first=bool(rng.random() < 0.5))


def _write_night(folder: Path, number: int, night: int, seed: int, settings: SleepStageSettings) -> dict[str, Any]:
    """Writes one night's files; returns its row of the table of subjects."""
    person = _draw_person(np.random.default_rng([seed, number]), settings)
    rng = np.random.default_rng([seed, number, night])
    drugged = person.drug_first == (night == 1)
    scored = draw_night(rng, settings.minutes)
    signals, events = _signals(rng, person, settings, scored, 1 + settings.temazepam_effect * drugged)
    start = datetime(1994, 7, 1, 23, int(rng.integers(60))) + timedelta(days=7 * number + night)
    header = Header(person.sex, person.age, start)
    stem = f"ST7{number:02d}{night}J"
    tracks = [Track(name, values, RATE, "uV", 1000.0) for name, values in signals.items()]
    marker = Track("Marker", scored.marker(_MARKER_RATE), _MARKER_RATE, "ID+M-E", 2047.0)
    write_signals(folder / f"{stem}0-PSG.edf", header, [*tracks, marker])
    write_marks(folder / f"{stem}P-Hypnogram.edf", header, scored.annotations())
    write_marks(folder / f"{stem}0-Evidence.edf", header, _evidence(events))
    drug = DRUGS[drugged]
    return {
        "recording": f"{stem}0", "subject": number, "age": person.age, "sex": person.sex, "night": night, "drug": drug
    }  # fmt: skip


def _signals(
    rng: np.random.Generator, person: _Person, settings: SleepStageSettings, scored: Scored, spindles: float
) -> tuple[dict[str, NDArray[np.float64]], dict[str, list[Event]]]:
    """The channels (time,) in microvolt, and the events of each; ``spindles`` multiplies their height."""
    points = len(scored.drawn) * EPOCH * RATE
    events = {channel: _events(rng, person, scored, channel, spindles) for channel in (EEG, EOG, EMG)}
    heart = heartbeat(rng, points, 1.0)
    eeg = background(rng, points, settings.noise) + 15 * heart
    eog = background(rng, points, 0.8 * settings.noise)
    for signal, channel in ((eeg, EEG), (eog, EOG)):
        for event in events[channel]:
            signal[event.start : event.stop] += event.wave
    muscle = np.repeat(scored.tone(settings.tone), EPOCH * RATE) * 0.4 * settings.noise
    for event in events[EMG]:
        muscle[event.start : event.stop] += np.abs(event.wave)
    emg = muscle * rng.standard_normal(points) + 40 * heart
    loud = {name: hum(rng, points, settings.hum) for name in (EEG, EOG, EMG)}
    back = 0.6 * eeg + background(rng, points, 0.5 * settings.noise) + loud[EEG]
    return {EEG: eeg + loud[EEG], "EEG Pz-Oz": back, EOG: eog + loud[EOG], EMG: emg + loud[EMG]}, events


def _events(rng: np.random.Generator, person: _Person, scored: Scored, channel: str, spindles: float) -> list[Event]:
    found = []
    for epoch, stage in enumerate(scored.drawn):
        for element in _ELEMENTS[stage].get(channel, ()):
            drug = spindles if element.name == _SPINDLE else 1.0
            found += events_of(element, rng, epoch, EPOCH, person.factors[channel] * drug)
    return found


def _evidence(events: dict[str, list[Event]]) -> list[tuple[float, float, str]]:
    """Annotations of all events: onset, duration in seconds, channel."""
    marks = [
        (event.start / RATE, (event.stop - event.start) / RATE, channel)
        for channel, found in events.items()
        for event in found
    ]
    return sorted(marks)
