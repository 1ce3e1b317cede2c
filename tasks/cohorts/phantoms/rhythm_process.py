"""When a generated heart beats: stretches of sinus rhythm with isolated ectopic beats, and episodes between them.

Rates overlap, so that a rate alone does not give a rhythm away: sinus rhythm goes from 60 to 133 beats per minute,
breathes up to 15 % about its mean and is slow for half the time; SVTA begins at 103; bundle branch block may be as
slow as SBR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bedside_waves import Values

EPISODES = {"AFIB": 1.3, "SVTA": 0.9, "SBR": 1.7, "LBBB": 1.1, "RBBB": 1.1}
"""Classes that last, with how long an episode is; a stretch of sinus rhythm is ``_SINUS`` long."""
RHYTHM_MARKS = {"N": "(N", "AFIB": "(AFIB", "SVTA": "(SVTA", "SBR": "(SBR"}
"""What a rhythm's start is annotated with; bundle branch block is sinus rhythm whose beats have their own symbol."""
_SINUS = 1.6
_CYCLE = 120.0
"""Seconds in which all episodes come once, at the least."""
_PACES = {"SVTA": ((0.40, 0.58),), "SBR": ((1.03, 1.18),), "AFIB": ((0.6, 1.0),)}
_SINUS_PACES = ((0.92, 1.0), (0.92, 1.0), (0.65, 0.92), (0.45, 0.65))
_BLOCK_PACES = (*_SINUS_PACES, (1.0, 1.18), (1.0, 1.18))
"""Mean seconds between beats, one range drawn for each stretch."""
_SHORTEST = {"AFIB": 0.45, "SBR": 1.01}
_GAMMA_SHAPE = 16.0
"""Of the intervals in atrial fibrillation: their SD is a quarter of their mean."""
_ECTOPIC_EVERY, _ECTOPIC_MARGIN = 3.2, 1.4
"""Seconds: the least between two ectopic beats, and between one and an end of its stretch."""
_TRIES = 30
_SEEN = 0.99
"""Seconds: a beat this near to another shows in its window of 2 s, whatever a reader does at the edge."""
_EDGE = 1.02
"""Seconds from a beat to the end of its window, and a little."""
_FADED = 0.05
"""Seconds before the record's end at which fibrillation fades, so that its mark lies inside."""
_GAP_CHANGES = sorted(np.linspace(-0.3, 0.4, 71), key=abs)
_EARLIEST = 0.42
"""Seconds: the least between a beat and a PVC after it."""
_FIRST_BEAT, _MARGIN = 0.3, 0.6
"""Seconds before the first beat, and after the last."""
_REACH = {"PVC": (-0.1, 0.38), "PAC": (-0.23, -0.1), "LBBB": (0.0, 0.26), "RBBB": (0.0, 0.12)}
"""Seconds about a beat in which its evidence may lie."""


@dataclass(frozen=True)
class Breathing:
    """How sinus rhythm breathes: relative depth and hertz."""

    depth: float
    rate: float


@dataclass(frozen=True)
class Rhythm:
    """Beats: ``times (beat,)`` in seconds, ``classes (beat,)``; ``marks``: start in seconds and class of each rhythm.

    ``fibrillation``: start and end in seconds of every episode of AFIB.
    """

    times: Values
    classes: NDArray[np.str_]
    marks: tuple[tuple[float, str], ...]
    fibrillation: tuple[tuple[float, float], ...]


def draw_rhythm(rng: np.random.Generator, breathing: Breathing, classes: Sequence[str], seconds: float) -> Rhythm:
    """A record of ``seconds`` with ``classes``: episodes in random order, sinus rhythm before, between and after."""
    ectopics = [name for name in ("PVC", "PAC") if name in classes]
    (_, length), *rest = _plan(rng, classes, seconds)
    beats = _draw_sinus(rng, breathing, length, ectopics).from_second(_FIRST_BEAT)
    marks = [(_FIRST_BEAT / 2, "N")]
    for name, length in rest:
        own = _draw_sinus(rng, breathing, length, ectopics) if name == "N" else _draw(rng, breathing, name, length)
        gap = _gap(beats, own)
        start = beats.times[-1] + max(0.55 * gap, gap - 0.25)  # after a T wave, before a P wave
        if name in RHYTHM_MARKS and name != marks[-1][1]:
            marks.append((start, name))
        beats = _joined(beats, own.from_second(beats.times[-1] + gap))
    kept = beats.times < seconds - _MARGIN
    marks = [mark for mark in marks if mark[0] < beats.times[kept][-1]]
    ends = [start for start, _ in marks[1:]] + [seconds - _FADED]
    fibrillation = tuple((start, end) for (start, name), end in zip(marks, ends, strict=True) if name == "AFIB")
    return Rhythm(beats.times[kept], beats.classes[kept], tuple(marks), fibrillation)


@dataclass(frozen=True)
class _Beats:
    times: Values
    classes: NDArray[np.str_]

    def from_second(self, start: float) -> _Beats:
        return _Beats(self.times - self.times[0] + start, self.classes)


def _joined(first: _Beats, second: _Beats) -> _Beats:
    return _Beats(np.concatenate([first.times, second.times]), np.concatenate([first.classes, second.classes]))


def _plan(rng: np.random.Generator, classes: Sequence[str], seconds: float) -> list[tuple[str, float]]:
    """Stretches, class and seconds: in every cycle each episode once, each after sinus rhythm, which is last too."""
    episodes = [name for name in EPISODES if name in classes]
    names = ["N"]
    for _ in range(max(1, int(seconds / _CYCLE))):
        for name in rng.permutation(episodes):
            names += [str(name), "N"]
    lengths = np.array([EPISODES.get(name, _SINUS) for name in names]) * rng.uniform(0.8, 1.2, len(names))
    lengths *= seconds / lengths.sum()
    lengths[-1] += _CYCLE  # whatever the gaps took; the record's end cuts it
    return list(zip(names, lengths.tolist(), strict=True))


def _draw(rng: np.random.Generator, breathing: Breathing, name: str, seconds: float) -> _Beats:
    """Beats of one rhythm from second 0 on."""
    paces = _PACES.get(name, _BLOCK_PACES if name in ("LBBB", "RBBB") else _SINUS_PACES)
    pace = rng.uniform(*paces[rng.integers(len(paces))])
    depth = {"SVTA": 0.0, "AFIB": 0.0, "SBR": 0.03}.get(name, breathing.depth)
    phase, shortest = rng.uniform(0, 2 * np.pi), _SHORTEST.get(name, 0.35)
    count = int(seconds / shortest) + 2
    if name == "AFIB":
        shares = rng.gamma(_GAMMA_SHAPE, 1 / _GAMMA_SHAPE, count)
    else:
        shares = 1 + 0.015 * rng.standard_normal(count)
    times = [0.0]
    for share in shares:
        breath = 1 + depth * np.sin(2 * np.pi * breathing.rate * times[-1] + phase)
        times.append(times[-1] + max(shortest, pace * breath * share))
    kept = np.array([time for time in times if time <= seconds])
    return _Beats(kept, np.full(len(kept), name, dtype="<U4"))


def _draw_sinus(rng: np.random.Generator, breathing: Breathing, seconds: float, kinds: Sequence[str]) -> _Beats:
    """Sinus rhythm with isolated ectopic beats of the kinds in turn, as many as leave room for normal beats."""
    beats = _draw(rng, breathing, "N", seconds)
    wanted = [str(kind) for kind in rng.permutation(kinds)]
    cursor, end = _ECTOPIC_MARGIN, beats.times[-1] - _ECTOPIC_MARGIN
    while wanted and cursor < end:
        tried = (_one_more(rng, beats, kind, cursor, min(cursor + 1.5, end)) for kind in wanted)
        found = next((one for one in tried if one is not None), None)
        if found is None:
            cursor += 1.0
            continue
        beats, at = found
        wanted.sort(key=[*beats.classes].count)
        cursor, end = at + _ECTOPIC_EVERY, beats.times[-1] - _ECTOPIC_MARGIN
    return beats


def _one_more(
    rng: np.random.Generator, beats: _Beats, kind: str, low: float, high: float
) -> tuple[_Beats, float] | None:
    """The beats with one ectopic between two seconds, and its time; None where every try shows in a normal window."""
    places = np.flatnonzero((beats.times >= low) & (beats.times <= high))
    places = places[(places >= 2) & (places < len(beats.times) - 2)]
    for _ in range(_TRIES if len(places) else 0):
        place = int(rng.choice(places))
        changed = (_ventricular if kind == "PVC" else _atrial)(rng, beats, place)
        if changed is not None and not _shown_elsewhere(changed):
            return changed, float(changed.times[place])
    return None


def _ventricular(rng: np.random.Generator, beats: _Beats, place: int) -> _Beats | None:
    """A PVC in place of a sinus beat. The sinus node does not notice: the pause is fully compensatory."""
    before, now = beats.times[place - 1], beats.times[place]
    latest = 0.85 * (now - before)
    if latest <= _EARLIEST:
        return None
    times, classes = beats.times.copy(), beats.classes.copy()
    times[place], classes[place] = before + rng.uniform(_EARLIEST, latest), "PVC"
    return _Beats(times, classes)


def _atrial(rng: np.random.Generator, beats: _Beats, place: int) -> _Beats | None:
    """A PAC in place of a sinus beat. It resets the sinus node: the next beat comes a little over a period later."""
    before, now, after = beats.times[place - 1 : place + 2]
    early = before + (now - before) * rng.uniform(0.65, 0.85)
    if early - before < _EARLIEST - 0.05:
        return None
    times, classes = beats.times.copy(), beats.classes.copy()
    times[place], classes[place] = early, "PAC"
    times[place + 1 :] += early + (after - now) * rng.uniform(1.0, 1.1) - after
    return _Beats(times, classes)


def _shown_elsewhere(beats: _Beats) -> bool:
    """Whether evidence shows in the window of a normal beat that no beat of its class lies in."""
    normal = beats.times[beats.classes == "N"][:, None]
    for name, (first, last) in _REACH.items():
        apart = beats.times[beats.classes == name] - normal
        shown = (apart + first < _EDGE) & (apart + last > -_EDGE) & (np.abs(apart) > _SEEN)
        if shown.any():
            return True
    return False


def _gap(before: _Beats, after: _Beats) -> float:
    """Seconds between two stretches: the mean of their periods, changed where a block's evidence would show in N.

    Not much less than the first one's period, so that a slow beat ends before the next rhythm begins.
    """
    period = before.times[-1] - before.times[-2]
    natural = max(0.85 * period, (period + after.times[1] - after.times[0]) / 2)
    last = _Beats(before.times[-1:], before.classes[-1:])
    for change in _GAP_CHANGES:
        gap = natural * (1 + change)
        if not _shown_elsewhere(_joined(last, after.from_second(last.times[0] + gap))):
            return gap
    return natural
