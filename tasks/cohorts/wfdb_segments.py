"""One WFDB record whole, whether it lies in one segment or in many, each signal at its own rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .channel_roles import Signal, shown_signal
from .errors import UnusableRecording, private
from .wfdb_files import (
    FRAME_RATES,
    check_extent,
    header_lines,
    inside,
    parse_header,
    read_header,
    read_layout,
    read_signal,
)

_GAP = "~"


@dataclass(frozen=True)
class Segment:
    """A stretch of a record in files of its own: their name, the checked header, the first frame."""

    name: str
    header: Any
    start: int


@dataclass(frozen=True)
class WholeRecord:
    """A record with the signals of all its segments.

    ``rate``: frames per second; ``frames``: how many, gaps between segments included. ``signals``: by number,
    as annotations count them. ``empty_segments``: how many hold no samples.
    """

    name: str
    rate: float
    frames: int
    signals: tuple[Signal, ...]
    comments: tuple[str, ...]
    segments: tuple[Segment, ...]
    empty_segments: int = 0


def open_record(root: Path, record: str) -> WholeRecord:
    """The record of ``record.hea``, every file of every segment checked as `read_header` does; no signal is read.

    Raises UnusableRecording when a segment is missing, lies outside the folder, or disagrees with the record.
    """
    lines = header_lines(root, record)
    if "/" in lines[0].split()[0]:
        return _joined(root, record, lines)
    header = read_header(root, record, FRAME_RATES)
    return _whole(record, header, (Segment(record, header, 0),), None, 0, header.sig_len)


def read_whole(root: Path, record: WholeRecord, number: int) -> NDArray[np.float64]:
    """The ``number``-th signal (time,) in its unit at its own rate; NaN where invalid and between segments."""
    signal = record.signals[number]
    per_frame = round(signal.rate / record.rate)
    check_extent(signal.rate, record.frames * per_frame, FRAME_RATES)
    values = np.full(record.frames * per_frame, np.nan)
    for segment in record.segments:
        channel = _place(segment.header, record.signals, number)
        if channel is not None:
            part = read_signal(root, segment.name, segment.header, channel)
            start = segment.start * per_frame
            values[start : start + len(part)] = part
    return values


def segment_names(root: Path, records: Sequence[str]) -> set[str]:
    """Those of the records that are only segments of another one."""
    found: set[str] = set()
    for record in records:
        try:
            lines = header_lines(root, record)
        except UnusableRecording:
            continue
        if "/" in lines[0].split()[0]:
            found |= {str(Path(record).parent / line.split()[0]) for line in lines[1:]}
    return found & set(records)


def _joined(root: Path, record: str, lines: Sequence[str]) -> WholeRecord:
    listed = _listed_segments(root, record, lines)
    master = parse_header(root, record)
    frames = sum(length for _, length in listed)
    if master.sig_len is not None and master.sig_len != frames:
        raise UnusableRecording(f"the record declares {master.sig_len} samples, its segments {frames}.")
    check_extent(master.fs, frames, FRAME_RATES)
    layout, segments, empty, start = None, [], 0, 0
    for place, (path, length) in enumerate(listed):
        if path is not None and length:
            segments.append(Segment(path, _segment_header(root, path, length, master.fs), start))
        elif path is not None and place == 0:
            layout = read_layout(root, path)
        else:
            empty += path is not None
        start += length
    if not segments:
        raise UnusableRecording(f"the record's {len(listed)} segments hold no samples.")
    return _whole(record, master, tuple(segments), layout, empty, frames)


def _listed_segments(root: Path, record: str, lines: Sequence[str]) -> list[tuple[str | None, int]]:
    """Path in the folder and length (frames) of each segment, None being a gap."""
    declared = lines[0].split()[0].rpartition("/")[2]
    if not declared.isdecimal() or int(declared) != len(lines) - 1:
        raise UnusableRecording(
            f"{private(record)}.hea declares {private(declared)} segments and lists {len(lines) - 1}."
        )
    listed: list[tuple[str | None, int]] = []
    for line in lines[1:]:
        fields = line.split()
        if len(fields) < 2 or not fields[1].isdecimal():
            raise UnusableRecording(
                f"{private(record)}.hea lists a segment as {private(repr(line))}; expected a name and a length."
            )
        path = None if fields[0] == _GAP else str(Path(record).parent / fields[0])
        if path is not None:
            inside(root, path)
        listed.append((path, int(fields[1])))
    return listed


def _segment_header(root: Path, name: str, length: int, rate: float) -> Any:
    try:
        header = read_header(root, name, FRAME_RATES)
    except UnusableRecording as reason:
        raise UnusableRecording(f"segment {private(name)} cannot be used: {reason.marked}") from None
    if header.sig_len != length or header.fs != rate:
        raise UnusableRecording(
            f"segment {private(name)} has {header.sig_len} samples at {header.fs:g} Hz; "
            f"the record expects {length} at {rate:g} Hz."
        )
    return header


def _whole(
    record: str, header: Any, segments: tuple[Segment, ...], layout: Any, empty: int, frames: int
) -> WholeRecord:
    names = _names(layout or segments[0].header)
    for segment in segments:
        if layout is None and _names(segment.header) != names:
            raise UnusableRecording(
                f"segment {private(segment.name)} has the signals "
                f"{', '.join(map(shown_signal, _names(segment.header)))}; "
                f"the first segment has {', '.join(map(shown_signal, names))}."
            )
    bare = tuple(Signal(name, "", 0.0) for name in names)
    signals = tuple(_signal(segments, bare, number) for number in range(len(names)))
    comments = header.comments or segments[0].header.comments or []
    return WholeRecord(record, header.fs, frames, signals, tuple(comments), segments, empty)


def _signal(segments: tuple[Segment, ...], signals: tuple[Signal, ...], number: int) -> Signal:
    """The signal as all segments that have it describe it; one that none has keeps no unit and no rate."""
    described: dict[tuple[str, float], str] = {}
    for segment in segments:
        channel = _place(segment.header, signals, number)
        if channel is not None:
            header = segment.header
            rate = header.fs * (header.samps_per_frame[channel] or 1)
            described.setdefault((header.units[channel] or "", rate), segment.name)
    if len(described) > 1:
        raise UnusableRecording(
            f"the segments give signal {shown_signal(signals[number].name)} in more than one unit or rate."
        )
    unit, rate = next(iter(described), ("", 0.0))
    return Signal(signals[number].name, unit, rate)


def _names(header: Any) -> list[str]:
    return [str(name or "") for name in header.sig_name or ()]  # a header of no signal has none


def _place(header: Any, signals: Sequence[Signal], number: int) -> int | None:
    """Where a segment keeps the record's ``number``-th signal: in its place, else wherever it bears its name."""
    names, wanted = _names(header), signals[number].name
    if len(names) == len(signals) and names[number] == wanted:
        return number
    return names.index(wanted) if wanted in names else None
