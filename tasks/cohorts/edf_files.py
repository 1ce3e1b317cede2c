"""Opens EDF and EDF+ files of one folder with suspicion: the header is read first, and the file must be as long.

Every function raises UnusableRecording with a reason of one sentence; paths never appear in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray

from .constant import is_constant
from .errors import UnusableRecording, private
from .resampling import MOST_POINTS, resampled

_FIXED = 256
"""Bytes of the header's fixed part, and of each signal's (Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7)."""
_WIDTHS = {"label": 16, "transducer": 80, "unit": 8, "low": 8, "high": 8, "digital_low": 8, "digital_high": 8}
_WIDTHS |= {"prefilter": 80, "samples": 8, "reserved": 32}
_ANNOTATIONS = "EDF Annotations"
_LABELS = frozenset(
    (
        "EEG Fpz-Cz",
        "EEG Pz-Oz",
        "EOG horizontal",
        "EMG submental",
        "Resp oro-nasal",
        "Temp rectal",
        "Event marker",
        "Marker",
    )
)
_DERIVATION = re.compile(r"[A-Z][A-Z]?\d{0,2}-[A-Z][A-Z]?\d{0,2}")
_MOST_SIGNALS = 512
_LONGEST_SECONDS = 7 * 86_400
_BYTES_PER_SAMPLE = 2
_SCALED_BY_MNE = {"uV": 1e6, "µV": 1e6, "μV": 1e6, "mV": 1e3}


@dataclass(frozen=True)
class EdfHeader:
    """What an EDF header promises: per signal its name, unit and rate (hertz); length in seconds; first instant."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    rates: tuple[float, ...]
    seconds: float
    start: datetime | None


@dataclass(frozen=True)
class Mark:
    """An EDF+ annotation: onset in seconds from the file's start, duration in seconds, text."""

    onset: float
    duration: float
    text: str


def read_edf_header(path: Path) -> EdfHeader:
    """The header, if the file holds what it promises."""
    if not path.is_file():
        raise UnusableRecording(f"the file {private(path.name)} does not exist.")
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(_FIXED).decode("latin-1")
        if len(fixed) < _FIXED or fixed[:8].strip() != "0":
            raise UnusableRecording(f"{private(path.name)} does not begin as an EDF file does.")
        count = _whole(fixed[252:256], "number of signals", 1, _MOST_SIGNALS)
        fields = _signal_fields(file.read(_FIXED * count).decode("latin-1"), count)
    records = _whole(fixed[236:244], "number of data records", 0, 10**8)
    duration = _number(fixed[244:252], "duration of a data record")
    samples = [_whole(text, "samples per data record", 1, 10**8) for text in fields["samples"]]
    _check_size(path.name, size - _FIXED * (count + 1), records, _BYTES_PER_SAMPLE * sum(samples))
    if not 0 <= records * duration <= _LONGEST_SECONDS:
        raise UnusableRecording(f"{private(path.name)} is {records * duration:g} s long; expected a week at most.")
    _check_calibration(fields)
    return EdfHeader(
        names=tuple(fields["label"]),
        units=tuple(fields["unit"]),
        rates=tuple(number / duration if duration else 0.0 for number in samples),
        seconds=records * duration,
        start=_instant(fixed[168:184]),
    )


def shown_label(name: str) -> str:
    """A channel's label if it is one of Sleep-EDF or a derivation (C3-A1); else marked as found (`errors.private`)."""
    return name if name in _LABELS or _DERIVATION.fullmatch(name) else private(name)


def check_channels(header: EdfHeader, wanted: tuple[str, ...]) -> None:
    """Refuses a file in which a wanted channel is missing, doubled, or of no usable rate."""
    for name in wanted:
        if name not in header.names:
            raise UnusableRecording(
                f"the recording has no channel {shown_label(name)}, only {', '.join(map(shown_label, header.names))}."
            )
        if header.names.count(name) > 1:
            raise UnusableRecording(
                f"the recording has {header.names.count(name)} channels named {shown_label(name)}; expected one."
            )
        if not header.rates[header.names.index(name)] > 0:
            raise UnusableRecording(f"the channel {shown_label(name)} has a rate of 0 Hz; expected a positive one.")


def read_edf_channel(path: Path, header: EdfHeader, name: str) -> NDArray[np.float64]:
    """One channel (time,) at its own rate, in the unit that the header names."""
    return _read_together(path, header, [name])[0]


def _read_together(path: Path, header: EdfHeader, names: Sequence[str]) -> NDArray[np.float64]:
    """Channels (channel, time) of one rate, which MNE leaves as it is; of several it brings all to the highest."""
    try:
        read = mne.io.read_raw_edf(path, include=list(names), stim_channel=None, verbose="error")
        values = read.get_data(picks=list(names))
    except Exception as error:  # mne raises whatever its parser stumbles over
        raise UnusableRecording(f"{private(path.name)} cannot be read ({type(error).__name__}).") from error
    for name, row in zip(names, values, strict=True):
        if not np.isfinite(row).all():
            raise UnusableRecording(f"the channel {shown_label(name)} has values that are not finite.")
        scale = _SCALED_BY_MNE.get(header.units[header.names.index(name)], 1.0)
        if scale != 1:
            row *= scale
    return values


def read_edf_signals(path: Path, header: EdfHeader, names: tuple[str, ...], rate: float) -> NDArray[np.float64]:
    """The channels (channel, time) at ``rate`` hertz, each in its own unit; a constant one is refused."""
    check_channels(header, names)
    length = math.floor(header.seconds * rate)
    if length * len(names) > MOST_POINTS:
        raise UnusableRecording(f"the recording would be {length} points long; expected {MOST_POINTS} in all at most.")
    rates = {name: header.rates[header.names.index(name)] for name in names}
    rows: dict[str, NDArray[np.float64]] = {}
    for own in dict.fromkeys(rates.values()):
        together = [name for name in names if rates[name] == own]
        found = _read_together(path, header, together)
        for name, values in zip(together, found, strict=True):
            rows[name], _ = resampled(values, own, rate)
            if is_constant(rows[name]):
                raise UnusableRecording(f"the channel {shown_label(name)} is constant.")
            if len(rows[name]) < length:
                raise UnusableRecording(f"the channel {shown_label(name)} is shorter than the recording.")
        if len(together) == len(names) and own == rate:
            return found[:, :length]  # a night of several channels is not copied
    return np.stack([rows[name][:length] for name in names])


def read_edf_marks(path: Path) -> list[Mark]:
    """The annotations of an EDF+ file, in order of time."""
    read_edf_header(path)
    try:
        found = mne.read_annotations(path)
    except Exception as error:  # mne raises whatever its parser stumbles over
        raise UnusableRecording(
            f"the annotations of {private(path.name)} cannot be read ({type(error).__name__})."
        ) from error
    columns = zip(found.onset, found.duration, found.description, strict=True)
    return [Mark(float(onset), float(duration), str(text)) for onset, duration, text in columns]


def _signal_fields(text: str, count: int) -> dict[str, list[str]]:
    if len(text) < _FIXED * count:
        raise UnusableRecording("the header is cut short.")
    fields, place = {}, 0
    for field, width in _WIDTHS.items():
        starts = range(place, place + width * count, width)
        fields[field] = [text[start : start + width].strip() for start in starts]
        place += width * count
    return fields


def _check_calibration(fields: dict[str, list[str]]) -> None:
    """The limits of every signal are numbers, and no two are one; those of annotations mean nothing."""
    for kind, low, high in (("physical", "low", "high"), ("digital", "digital_low", "digital_high")):
        for name, least, most in zip(fields["label"], fields[low], fields[high], strict=True):
            if name == _ANNOTATIONS:
                continue
            if _number(least, f"{kind} minimum of {shown_label(name)}") == _number(
                most, f"{kind} maximum of {shown_label(name)}"
            ):
                raise UnusableRecording(f"the header gives {shown_label(name)} a {kind} minimum that is its maximum.")


def _check_size(name: str, found: int, records: int, record_bytes: int) -> None:
    if found < records * record_bytes:
        whole = max(found, 0) // record_bytes
        raise UnusableRecording(f"{private(name)} is cut short: {whole} data records of the {records} in its header.")


def _whole(text: str, what: str, least: int, most: int) -> int:
    number = _number(text, what)
    if number != int(number) or not least <= number <= most:
        raise UnusableRecording(f"the header gives {number:g} as {what}; expected {least} to {most}.")
    return int(number)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnusableRecording(f"the header gives {private(repr(text.strip()))} as {what}; expected a number.")
    return number


def _instant(text: str) -> datetime | None:
    """Of ``dd.mm.yyhh.mm.ss``; the century is 1985-2084 by the format's rule."""
    try:
        day, month, year = (int(part) for part in text[:8].split("."))
        hour, minute, second = (int(part) for part in text[8:].split("."))
        return datetime(year + (1900 if year >= 85 else 2000), month, day, hour, minute, second)
    except ValueError:
        return None
