"""Generated ECG recordings in native WFDB with eight rhythms, whose truth is known.

A beat is a sum of Gaussian waves, the form of McSharry et al. (2003, IEEE Trans Biomed Eng 50:289). What all
classes share is loud and says nothing: QRS, T and sinus P waves have heights between nothing and twice the mean,
which wander from beat to beat whatever the class. So a network has seen beats, and whole windows, without them and
is not moved when an explainer takes them away. Each class but N has one sign of its own, whose height hardly
varies, and that is its evidence:

======  ======  ===========  =====================================================  ====================
class   symbol  rhythm mark  sign (evidence)                                        about, ms from R
======  ======  ===========  =====================================================  ====================
N       N       ``(N``       none: the mask of its windows is empty
PVC     V                    broad QRS without P, and the opposite T                -65 to +350
PAC     A                    inverted P wave of the early beat (low amplitude)      -205 to -125
AFIB    N       ``(AFIB``    fibrillation, 4 to 9 Hz, between T and QRS (low)       the beats' baseline
SVTA    S       ``(SVTA``    retrograde P wave in the ST segment (low)              +75 to +145
SBR     N       ``(SBR``     U wave (low)                                           +470 to +590
LBBB    L                    late slur of the QRS and the sagging ST after it       +15 to +235
RBBB    R                    second R peak, r' (low against the QRS)                +45 to +105
======  ======  ===========  =====================================================  ====================

Rate and regularity cannot be marked as points. So SVTA and SBR have a wave that goes with them, as hearts do (the
retrograde P wave of re-entry, the U wave of slow beats), AFIB its fibrillation and PAC its P wave, and the rates of the
classes overlap (see `rhythm_process`): they tell something, the sign tells all. SVTA's beats are ``S`` so that no
rule takes them for isolated PACs.

Isolated ectopic beats occur in sinus rhythm only, where they show in the window of 2 s of a normal beat with their
annotation or not at all. The names are those of cardiology; heights and rates are of a textbook, not of a population.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from numpy.typing import NDArray

from .bedside_files import filled_at_once
from .bedside_waves import breathing
from .recorders import RECORDERS, Recorder, recorded
from .rhythm_process import RHYTHM_MARKS, Breathing, Rhythm, draw_rhythm
from .rhythm_settings import EcgRhythmSettings
from .rhythm_waves import Morphology, evidence, heart
from .settings import parse_settings

CLASSES = ("N", "PVC", "PAC", "AFIB", "SVTA", "SBR", "LBBB", "RBBB")
BOUND = {"LBBB": "rec-a", "RBBB": "rec-a", "SVTA": "rec-b", "SBR": "rec-b"}
"""Classes that ``confounding`` binds to a recorder, as real databases do with SBR and the blocks."""
_SYMBOLS = dict(zip(CLASSES, ("N", "V", "A", "N", "S", "N", "L", "R"), strict=True))


@dataclass(frozen=True)
class _Person:
    age: int
    sex: str
    breathing: Breathing
    morphology: Morphology


def write_phantom(folder: Path | str, *, subjects: int = 24, seed: int = 0, **settings: Any) -> None:
    """Writes ``subjects`` WFDB records of one lead, in turn by the recorders ``rec-a/`` and ``rec-b/``.

    Per record: ``.hea`` (age and sex as in MIT-BIH), ``.dat`` (``rec-a``: MLII, 360 Hz, format 212; ``rec-b``: ECG,
    128 Hz, format 16), ``.atr`` (beats, and rhythm marks ``+``) and ``.evd`` (evidence: "(" at the first and ")" at the
    last sample where the class's sign is more than 5 % of its height). Subject i is the same whatever their number.
    ``settings``: see EcgRhythmSettings. The folder appears complete or not at all. Raises ValueError for a bad
    setting or a folder that is not empty.
    """
    chosen = parse_settings(EcgRhythmSettings, settings)
    if not 1 <= subjects <= 10_000:
        raise ValueError(f"subjects is {subjects}; expected 1 to 10000.")
    with filled_at_once(folder) as draft:
        for number in range(1, subjects + 1):
            _write_record(draft, number, seed, chosen)


def _write_record(folder: Path, number: int, seed: int, settings: EcgRhythmSettings) -> None:
    rng = np.random.default_rng([seed, number])
    recorder = RECORDERS[(number - 1) % len(RECORDERS)]
    person = _draw_person(rng, settings)
    seconds = settings.minutes * 60
    rhythm = draw_rhythm(rng, person.breathing, _draw_classes(rng, recorder, settings), seconds)
    signal = heart(rng, person.morphology, settings, rhythm, recorder.rate, seconds * recorder.rate)
    signal += settings.wander * breathing(rng, seconds, person.breathing.rate, recorder.rate)
    signal += settings.noise * rng.standard_normal(len(signal))
    home = folder / recorder.name
    home.mkdir(exist_ok=True)
    name = f"p{number:04d}"
    wfdb.wrsamp(
        name,
        fs=recorder.rate,
        units=["mV"],
        sig_name=[recorder.lead],
        d_signal=recorded(rng, recorder, signal, settings.hum)[:, None],
        fmt=[recorder.format],
        adc_gain=[recorder.gain],
        baseline=[recorder.baseline],
        comments=[f"{person.age} {person.sex} {number} phantom x1", "None"],
        write_dir=str(home),
    )
    _write_annotations(home, name, recorder, rhythm)
    marks = np.rint(evidence(person.morphology, rhythm) * recorder.rate).astype(np.int64).ravel()
    wfdb.wrann(name, "evd", marks, symbol=["(", ")"] * (len(marks) // 2), write_dir=str(home))


def _draw_person(rng: np.random.Generator, settings: EcgRhythmSettings) -> _Person:
    age, sex = int(rng.integers(30, 90)), "M" if rng.random() < 0.5 else "F"
    planted = 1 + settings.age_effect * (age - 60) / 10 + settings.sex_effect * (0.5 if sex == "M" else -0.5)
    p, t, qrs, own = np.exp(settings.spread * rng.standard_normal(4))
    morphology = Morphology(
        p=p * planted,
        t=t,
        qrs=qrs,
        own=own,
        shift=rng.uniform(-0.005, 0.005),
        width=rng.uniform(0.95, 1.05),
        ectopic_sign=1.0 if rng.random() < 0.5 else -1.0,
        f_rate=rng.uniform(5.0, 7.5),
    )
    return _Person(age, sex, Breathing(rng.uniform(0.04, 0.15), rng.uniform(0.2, 0.33)), morphology)


def _draw_classes(rng: np.random.Generator, recorder: Recorder, settings: EcgRhythmSettings) -> list[str]:
    """N and, of the classes that the recorder may have, as many others as a subject brings."""
    others = rng.permutation(CLASSES[1:])
    kept = rng.random(len(others)) >= settings.confounding
    allowed = [
        str(name)
        for name, keep in zip(others, kept, strict=True)
        if keep or BOUND.get(str(name), recorder.name) == recorder.name
    ]
    return ["N", *allowed[: settings.classes_per_subject - 1]]


def _write_annotations(folder: Path, name: str, recorder: Recorder, rhythm: Rhythm) -> None:
    """Beats and the starts of rhythms, in order of time."""
    starts = np.array([start for start, _ in rhythm.marks])
    samples = np.rint(np.concatenate([rhythm.times, starts]) * recorder.rate).astype(np.int64)
    symbols = [_SYMBOLS[str(kind)] for kind in rhythm.classes] + ["+"] * len(starts)
    notes = [""] * len(rhythm.times) + [RHYTHM_MARKS[kind] for _, kind in rhythm.marks]
    order: NDArray[np.int64] = np.argsort(samples, kind="stable")
    wfdb.wrann(
        name,
        "atr",
        samples[order],
        symbol=[symbols[i] for i in order],
        aux_note=[notes[i] for i in order],
        write_dir=str(folder),
    )
