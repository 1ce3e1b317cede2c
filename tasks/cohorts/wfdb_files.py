"""Opens WFDB files of one folder with suspicion: nothing outside the folder, nothing larger than it says.

Every function raises UnusableRecording with a reason of one sentence; paths never appear in it.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import wfdb
from numpy.typing import NDArray

from .constant import is_constant
from .errors import CohortError, UnusableRecording, private
from .leads import shown_channel

_BYTES_PER_VALUE = {
    "8": 1.0,
    "16": 2.0,
    "24": 3.0,
    "32": 4.0,
    "61": 2.0,
    "80": 1.0,
    "160": 2.0,
    "212": 1.5,
    "310": 4 / 3,
    "311": 4 / 3,
}
_MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
_SAFE_NAME = re.compile(r"[\w.\-~/ ]+")
_LARGEST_HEADER = 1 << 20
_LONGEST = 1 << 27
RATES = (50.0, 5000.0)
"""Hertz, lowest and highest of a record with one value of each signal per frame."""
FRAME_RATES = (0.1, 5000.0)
"""Hertz; a frame holds one or several values of each signal, so that slow ones may share a record with fast ones."""
REMARK = '"'
"""The symbol of a remark: it says something in words, and nothing of the instant at which it stands."""
Range = tuple[float, float]


class Marks(NamedTuple):
    """Annotations in the order of their file, (mark,) each: sample index, symbol, number of a signal, note."""

    samples: NDArray[np.int64]
    symbols: list[str]
    signals: NDArray[np.int64]
    notes: list[str]


def folder_of_records(folder: Path | str, kind: str = "WFDB records") -> Path:
    """The resolved folder. Raises CohortError when it is not one."""
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise CohortError(f"{private(folder)} is {found}; expected a folder of {kind}.")
    return root.resolve()


def record_names(root: Path) -> list[str]:
    """Names of the records, sorted: those of ``RECORDS``, else of every header, folders below included.

    Raises CohortError if there are none.
    """
    try:
        listing = inside(root, "RECORDS")
    except UnusableRecording as refused:
        raise CohortError(f"RECORDS cannot be used: {refused.marked}") from None
    if listing.is_file():
        if listing.stat().st_size > _LARGEST_HEADER:
            raise CohortError("RECORDS is larger than 1 MiB; expected the records' names, one a line.")
        text = listing.read_text(encoding="utf-8", errors="replace")
        names = {line.strip() for line in text.splitlines() if line.strip()}
    else:
        names = header_names(root)
    if not names:
        raise CohortError(f"{private(root)} holds no WFDB record; expected headers (*.hea) or a list named RECORDS.")
    return sorted(names)


def header_names(root: Path) -> set[str]:
    """Names of the records that have a header, folders below included, hidden ones not."""
    headers = (path.relative_to(root).with_suffix("") for path in root.rglob("*.hea"))
    return {path.as_posix() for path in headers if not any(part.startswith(".") for part in path.parts)}


def inside(root: Path, name: str) -> Path:
    """``root/name``, links followed, if it stays inside the folder."""
    if not _SAFE_NAME.fullmatch(name):
        raise UnusableRecording(f"the file name {private(repr(name))} is not one that is read.")
    try:
        path = (root / name).resolve()
        path.exists()
    except (OSError, RuntimeError):  # a name too long; links in a circle
        raise UnusableRecording(f"the file {private(name)} cannot be looked up.") from None
    if not path.is_relative_to(root):
        raise UnusableRecording(f"the file {private(name)} lies outside the folder.")
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UnusableRecording(f"{private(name)} is a device or a pipe; expected a file.")
    return path


def header_lines(root: Path, record: str) -> list[str]:
    """The header's lines without comments, the record line first; wfdb has not seen them yet."""
    path = _existing(root, f"{record}.hea")
    if path.stat().st_size > _LARGEST_HEADER:
        raise UnusableRecording(f"the header {private(record)}.hea is larger than 1 MiB.")
    text = path.read_text(encoding="ascii", errors="ignore")
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if not lines:
        raise UnusableRecording(f"the header {private(path.name)} is empty.")
    return lines


def read_header(root: Path, record: str, rates: Range = RATES) -> Any:
    """The header as a wfdb Record, each of its signal files checked: inside, present, as long as declared.

    ``rates``: hertz, lowest and highest that the record itself, its frames, may have.
    """
    _check_lines(root, record)
    header = parse_header(root, record)
    _check_header(root, record, header, rates)
    return header


def read_layout(root: Path, record: str) -> Any:
    """The header of a segment without samples, which only says what signals the other segments may have."""
    _check_lines(root, record)
    return parse_header(root, record)


def parse_header(root: Path, record: str) -> Any:
    """What wfdb makes of the header; of a record in several segments a MultiRecord, its segments unopened."""
    try:
        return wfdb.rdheader(str(root / record))
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        raise UnusableRecording(f"{private(record)}.hea cannot be parsed ({type(error).__name__}).") from error


def check_extent(rate: Any, samples: Any, rates: Range) -> None:
    """Refuses a rate (hertz) or a length (samples) that no record has."""
    if not (rate and math.isfinite(rate) and rates[0] <= rate <= rates[1]):
        raise UnusableRecording(f"the header gives a rate of {rate} Hz; expected {rates[0]:g}-{rates[1]:g}.")
    if not samples or not 0 < samples <= _LONGEST:
        raise UnusableRecording(f"the header gives {samples} samples; expected 1 to {_LONGEST}.")


def read_lead(root: Path, record: str, header: Any, channel: int) -> NDArray[np.float64]:
    """One signal (time,) in millivolts at the record's own rate; neither NaN nor flat."""
    unit = header.units[channel]
    if unit not in _MILLIVOLTS:
        raise UnusableRecording(
            f"lead {shown_channel(header.sig_name[channel])} is in {private(unit)}; expected mV, uV or V."
        )
    try:
        read = wfdb.rdrecord(str(root / record), channels=[channel])
    except Exception as error:  # wfdb raises whatever its decoder stumbles over
        raise UnusableRecording(f"the signal of {private(record)} cannot be read ({type(error).__name__}).") from error
    signal: NDArray[np.float64] = read.p_signal[:, 0] * _MILLIVOLTS[unit]
    undefined = int(np.count_nonzero(~np.isfinite(signal)))
    if undefined:
        raise UnusableRecording(
            f"lead {shown_channel(header.sig_name[channel])} has {undefined} undefined values (NaN)."
        )
    if is_constant(signal):
        raise UnusableRecording(f"lead {shown_channel(header.sig_name[channel])} is flat.")
    return signal


def read_signal(root: Path, record: str, header: Any, channel: int) -> NDArray[np.float64]:
    """One signal (time,) in the header's unit at its own rate, all values of every frame; NaN where invalid."""
    check_extent(header.fs, header.sig_len * (header.samps_per_frame[channel] or 1), FRAME_RATES)
    try:
        read = wfdb.rdrecord(str(root / record), channels=[channel], smooth_frames=False)
        signal: NDArray[np.float64] = np.asarray(read.e_p_signal[0], dtype=np.float64)
    except Exception as error:  # wfdb raises whatever its decoder stumbles over
        raise UnusableRecording(f"the signal of {private(record)} cannot be read ({type(error).__name__}).") from error
    return signal


def read_annotations(root: Path, record: str, extension: str, header: Any) -> tuple[NDArray[np.int64], list[str]]:
    """Sample indices (at the record's rate) and symbols of ``record.extension``, all inside the record."""
    marks = read_marks(root, record, extension, header.fs, header.sig_len)
    return marks.samples, marks.symbols


def read_marks(root: Path, record: str, extension: str, rate: float, length: int) -> Marks:
    """The annotations ``record.extension``.

    ``rate`` (hertz) and ``length`` (samples) are those of the record, which the marks must keep to. Remarks beyond
    its end, as in LTAFDB's record 30, are left out.
    """
    name = f"{record}.{extension}"
    if _existing(root, name).stat().st_size == 0:
        raise UnusableRecording(f"the annotations {private(name)} are empty.")
    try:
        read = wfdb.rdann(str(root / record), extension)
        marks = Marks(
            samples=np.asarray(read.sample, dtype=np.int64),
            symbols=list(map(str, read.symbol)),
            signals=np.asarray(read.chan, dtype=np.int64),
            notes=[note.rstrip("\0") for note in read.aux_note],
        )
    except Exception as error:  # as above
        raise UnusableRecording(f"the annotations {private(name)} cannot be read ({type(error).__name__}).") from error
    if read.fs is not None and not math.isclose(read.fs, rate):
        raise UnusableRecording(f"{private(name)} counts at {read.fs:g} Hz, the signal at {rate:g} Hz.")
    outside = np.flatnonzero((marks.samples < 0) | (marks.samples >= length))
    telling = [place for place in outside if marks.symbols[place] != REMARK]
    if telling:
        found = marks.samples[telling[0]]
        raise UnusableRecording(
            f"{private(name)} has an annotation at sample {found}, beyond the record's {length} samples."
        )
    return _without(marks, set(outside.tolist())) if len(outside) else marks


def _without(marks: Marks, places: set[int]) -> Marks:
    kept = [place for place in range(len(marks.symbols)) if place not in places]
    symbols, notes = ([values[place] for place in kept] for values in (marks.symbols, marks.notes))
    return Marks(marks.samples[kept], symbols, marks.signals[kept], notes)


def _existing(root: Path, name: str) -> Path:
    path = inside(root, name)
    if not path.is_file():
        raise UnusableRecording(f"the file {private(name)} is missing.")
    return path


def _check_lines(root: Path, record: str) -> None:
    """Before wfdb parses it: one record line, as many signal lines as it declares, each file inside."""
    lines, name = header_lines(root, record), f"{Path(record).name}.hea"
    fields = lines[0].split()
    if "/" in fields[0]:
        raise UnusableRecording(f"the header {private(name)} joins several segments; expected one.")
    if len(fields) < 2 or not fields[1].isdecimal() or int(fields[1]) != len(lines) - 1:
        declared = fields[1] if len(fields) > 1 else "no"
        raise UnusableRecording(
            f"the header {private(name)} declares {private(declared)} signals and describes {len(lines) - 1}."
        )
    for line in lines[1:]:
        inside(root, str(Path(record).parent / line.split()[0]))


def _check_header(root: Path, record: str, header: Any, rates: Range) -> None:
    if not header.n_sig:
        raise UnusableRecording(f"the header {private(record)}.hea describes no signal.")
    check_extent(header.fs, header.sig_len, rates)
    home = Path(record).parent
    for name in dict.fromkeys(header.file_name):
        _check_signal_file(root, home, name, header)


def _check_signal_file(root: Path, home: Path, name: str, header: Any) -> None:
    """The .dat is inside the folder and holds every value that the header promises."""
    path = _existing(root, str(home / name))
    members = [i for i, file in enumerate(header.file_name) if file == name]
    formats = {header.fmt[i] for i in members}
    known = len(formats) == 1 and formats <= _BYTES_PER_VALUE.keys()
    if not known:
        raise UnusableRecording(
            f"{private(name)} has the format {private(', '.join(sorted(formats)))}; "
            f"expected one of {', '.join(_BYTES_PER_VALUE)}."
        )
    values = header.sig_len * sum(header.samps_per_frame[i] or 1 for i in members)
    expected = math.ceil(values * _BYTES_PER_VALUE[formats.pop()]) + (header.byte_offset[members[0]] or 0)
    found = path.stat().st_size
    if found < expected:
        raise UnusableRecording(f"{private(name)} has {found} bytes where the header declares {expected} (truncated).")
