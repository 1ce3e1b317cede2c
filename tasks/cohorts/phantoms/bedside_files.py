"""Writes generated bedside records in native WFDB: several rates in a file, gaps, damage, several segments."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

FRAME_RATE = 125
"""Frames per second; a signal has one value in each, or several."""
_INVALID = -32768
"""What format 16 writes where there is no value."""
_LARGEST = 32767
_GAP_FRAMES = 4 * FRAME_RATE


@dataclass(frozen=True)
class Track:
    """One signal of a record: ``values (time,)`` in ``unit``, so many per frame, so many steps per unit."""

    name: str
    unit: str
    values: NDArray[np.float64]
    per_frame: int
    gain: float


@contextmanager
def filled_at_once(folder: Path | str) -> Iterator[Path]:
    """A folder to write into that becomes ``folder`` when all went well, and vanishes else.

    Raises ValueError when ``folder`` is there already and not empty.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; expected a new or empty one.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir()
    try:
        yield draft
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_record(
    folder: Path,
    name: str,
    tracks: Sequence[Track],
    comments: Sequence[str],
    evidence: Mapping[int, NDArray[np.int64]],
    *,
    in_segments: bool = False,
) -> None:
    """One record: ``.hea``, ``.dat`` (format 16), and ``.evd`` with "(" and ")" on each signal's own number.

    ``evidence``: first and last frame (interval, 2) by signal number; empty where it is known that there is none.
    ``in_segments``: two segments, with a gap
    of 4 s between them in place of the signals.
    """
    frames = len(tracks[0].values) // tracks[0].per_frame
    if in_segments:
        _write_segments(folder, name, tracks, comments, frames)
    else:
        _write_samples(folder, name, tracks, comments)
    _write_evidence(folder, name, evidence)


def damaged(tracks: Sequence[Track]) -> list[Track]:
    """The tracks with what monitors do: a dropout, a signal held, an amplifier at its end, a lost packet."""
    seconds = len(tracks[0].values) / (tracks[0].per_frame * FRAME_RATE)
    first, second, third = (track.values.copy() for track in tracks)
    rates = [track.per_frame * FRAME_RATE for track in tracks]
    second[_stretch(rates[1], 0.25 * seconds, 6.0)] = np.nan
    third[_stretch(rates[2], 0.40 * seconds, 4.0)] = third[round(0.40 * seconds * rates[2])]
    first[_stretch(rates[0], 0.55 * seconds, 0.6)] = first.max() + 0.1
    third[_stretch(rates[2], 0.70 * seconds, 0.04)] = np.nan
    both = zip(tracks, (first, second, third), strict=True)
    return [Track(track.name, track.unit, values, track.per_frame, track.gain) for track, values in both]


def _stretch(rate: int, start: float, seconds: float) -> slice:
    return slice(round(start * rate), round((start + seconds) * rate))


def _write_samples(folder: Path, name: str, tracks: Sequence[Track], comments: Sequence[str]) -> None:
    wfdb.wrsamp(
        name,
        fs=FRAME_RATE,
        units=[track.unit for track in tracks],
        sig_name=[track.name for track in tracks],
        e_d_signal=[_digital(track) for track in tracks],
        samps_per_frame=[track.per_frame for track in tracks],
        fmt=["16"] * len(tracks),
        adc_gain=[track.gain for track in tracks],
        baseline=[0] * len(tracks),
        comments=list(comments),
        write_dir=str(folder),
    )


def _digital(track: Track) -> NDArray[np.int64]:
    steps = np.clip(np.rint(track.values * track.gain), -_LARGEST, _LARGEST)
    return np.where(np.isfinite(steps), steps, _INVALID).astype(np.int64)


def _write_evidence(folder: Path, name: str, evidence: Mapping[int, NDArray[np.int64]]) -> None:
    """Marks in order of time; without any a note says so, because a file without annotations is a broken one."""
    if not any(map(len, evidence.values())):
        wfdb.wrann(name, "evd", np.array([0]), symbol=['"'], aux_note=["no evidence"], write_dir=str(folder))
        return
    samples = np.concatenate([spans.ravel() for spans in evidence.values()])
    numbers = np.concatenate([np.full(spans.size, number) for number, spans in evidence.items()])
    symbols = np.tile(["(", ")"], len(samples) // 2)
    order = np.argsort(samples, kind="stable")
    wfdb.wrann(name, "evd", samples[order], symbol=list(symbols[order]), chan=numbers[order], write_dir=str(folder))


def _write_segments(folder: Path, name: str, tracks: Sequence[Track], comments: Sequence[str], frames: int) -> None:
    """The master header by hand: wfdb writes none of records that it has not read."""
    half = frames // 2
    parts = [(f"{name}_0001", 0, half), (f"{name}_0002", half + _GAP_FRAMES, frames)]
    for part, start, stop in parts:
        _write_samples(folder, part, [_between(track, start, stop) for track in tracks], [])
    lengths = [(parts[0][0], half), ("~", _GAP_FRAMES), (parts[1][0], frames - half - _GAP_FRAMES)]
    lines = [f"{name}/{len(lengths)} {len(tracks)} {FRAME_RATE} {frames}"]
    lines += [f"{part} {length}" for part, length in lengths]
    lines += [f"# {comment}" for comment in comments]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii")


def _between(track: Track, start: int, stop: int) -> Track:
    values = track.values[start * track.per_frame : stop * track.per_frame]
    return Track(track.name, track.unit, values, track.per_frame, track.gain)
