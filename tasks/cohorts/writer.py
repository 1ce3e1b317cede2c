"""Writes a cohort from a stream of recordings, in bounded memory, into its place all at once."""

from __future__ import annotations

import json
import math
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.dtype import VariableLengthUTF8

from .digest import CohortDigest
from .errors import CohortError, concealed, plain, private
from .native import NativeStore, NativeVolume
from .pseudonyms import pseudonym, recording_pseudonym

ARRAYS, SAMPLES, SUBJECTS, MANIFEST = "signals.zarr", "samples.parquet", "subjects.parquet", "cohort.json"
CHUNK = 256
"""Samples per chunk at most: the unit of reading and of shuffling."""
LARGEST_CHUNK = 1 << 24
"""Bytes of the signals in a chunk of volumes, at most, where one sample is not more already."""
OLDEST_AGE = 89.0
"""Above it an age identifies; it is stored as 90 (HIPAA safe harbour, 45 CFR 164.514(b)(2)(i)(C))."""
_AGE = re.compile(r"(^|[^a-z])age([^a-z]|$)", re.IGNORECASE)
_DAY = 86_400.0


@dataclass(frozen=True)
class CohortDescription:
    """What all samples share.

    ``classes``: names, index = label. ``units``: of each channel. ``sampling_rate``: hertz. ``window``: points
    per sample. ``origin``: the window's point at time 0. ``parameters``: of the reader; they and ``reader``
    are part of the digest. ``subject_kind``: what counts as a subject, the unit of all statistics, in the
    singular: a block of a recording where the label is the patient, an image where nobody is known.
    ``image``: height and width where time is the scan line of an image, row by row. ``volume``: depth, height and
    width where samples are volumes; ``window`` is then the number of their voxels, ``sampling_rate`` 1.
    """

    study: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    sampling_rate: float
    window: int
    origin: int
    reader: str
    parameters: Mapping[str, Any]
    subject_kind: str = "subject"
    image: tuple[int, int] | None = None
    volume: tuple[int, int, int] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Points of a sample along each axis: ``(time,)``, or ``(depth, height, width)``."""
        return self.volume or (self.window,)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of `grid`'s axes."""
        return ("depth", "height", "width") if self.volume else ("time",)

    @property
    def chunk(self) -> int:
        """Samples per chunk."""
        if not self.volume:
            return CHUNK
        each = np.dtype(np.float32).itemsize * len(self.channels) * math.prod(self.grid)
        return max(1, min(CHUNK, LARGEST_CHUNK // each))


@dataclass(frozen=True)
class Recorded:
    """Samples of one recording, all or a block of them.

    ``identity``: whatever tells the subject from others, one for all samples or one per sample; only its keyed
    hash is stored. ``facts``: of the subject: age (years), sex ("F", "M"), medication, further factors; None or
    NaN where unknown.
    ``signals``: (sample, channel, *grid). ``labels``, ``onsets``: (sample,), the label and the annotation's
    index in the recording. ``evidence``: bool, as ``signals``, of volumes (sample, 1, *grid) as it holds for all
    channels, or None where unknown. ``columns``: of the sample table, further ones. ``dropped``: windows left out,
    by reason. ``native``: of volumes, each sample on its own grid.
    """

    recording: str
    identity: str | Sequence[str]
    facts: Mapping[str, Any]
    signals: NDArray[np.floating[Any]]
    labels: NDArray[np.integer[Any]]
    onsets: NDArray[np.integer[Any]]
    evidence: NDArray[np.bool_] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    native: Sequence[NativeVolume] = ()


@dataclass(frozen=True)
class Quarantined:
    """A recording that could not be used, and why (one sentence, in which what was found is `private`)."""

    recording: str
    reason: str


def write(path: Path, description: CohortDescription, stream: Iterable[Recorded | Quarantined], *, key: bytes) -> None:
    """Writes the cohort ``path``; it appears complete or not at all.

    Subjects get ordinals in order of appearance. Memory holds one block of the stream, one chunk and the
    sample table. Where ``path`` already holds the same cohort nothing changes. Raises CohortError when the
    stream has no sample or ``path`` holds anything else, OSError when the disk does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir()
    try:
        digest = _fill(draft, description, stream, key)
        _move_into_place(draft, path, digest)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(draft: Path, description: CohortDescription, stream: Iterable[Recorded | Quarantined], key: bytes) -> str:
    """Writes all files of a cohort; returns its digest."""
    collector = _Collector(draft, description, key)
    quarantined: list[Quarantined] = []
    for item in stream:
        if isinstance(item, Quarantined):
            quarantined.append(item)
        else:
            collector.add(item)
    samples, subjects = collector.finish(), collector.subjects
    if samples.empty:
        raise CohortError(_why_nothing(quarantined, description))
    samples.to_parquet(draft / SAMPLES)
    _subject_table(subjects, key).to_parquet(draft / SUBJECTS)
    digest = collector.digest.hexdigest(_shared(description), list(subjects.values()))
    manifest = asdict(description) | {
        "format": 1,
        "digest": digest,
        "samples": len(samples),
        "subjects": len(subjects),
        "counts": {name: int((samples["label"] == i).sum()) for i, name in enumerate(description.classes)},
        "dropped": dict(collector.dropped),
        "has_evidence": bool(samples["evidence_known"].any()),
        "quarantined": [
            {"recording": recording_pseudonym(item.recording, key), "reason": concealed(item.reason)}
            for item in quarantined
        ],
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return digest


def _shared(description: CohortDescription) -> dict[str, Any]:
    """What the digest sees of the description; a time series has the digest that it had before there were volumes."""
    unseen = {"study"} if description.volume else {"study", "volume"}
    return {name: value for name, value in asdict(description).items() if name not in unseen}


class _Collector:
    """Takes recordings one by one; keeps only tables in memory."""

    def __init__(self, draft: Path, description: CohortDescription, key: bytes) -> None:
        self.digest = CohortDigest()
        self.subjects: dict[str, dict[str, Any]] = {}
        self.dropped: Counter[str] = Counter()
        self._numbers: dict[str, int] = {}
        self._classes = description.classes
        self._rows: list[pd.DataFrame] = []
        self._samples = 0
        self._draft = draft
        self._key = key
        self._native: NativeStore | None = None
        self._group = zarr.open_group(draft / ARRAYS, mode="w", zarr_format=3)
        self._description = description
        # Evidence of a volume holds for all channels; its axis of 1 cannot bear the name of theirs.
        axis, channels = ("all_channels", 1) if description.volume else ("channel", len(description.channels))
        self._signals = _Appender(self._group, "signals", "float32", description, "channel", len(description.channels))
        self._signals.attributes.update({"units": list(description.units)})
        self._evidence = _Appender(self._group, "evidence", "bool", description, axis, channels)

    def add(self, recorded: Recorded) -> None:
        self.dropped.update({concealed(reason): count for reason, count in recorded.dropped.items()})
        count = len(recorded.labels)
        if count == 0:
            return
        ordinals = self._ordinals(recorded)
        known = recorded.evidence is not None
        evidence = recorded.evidence if known else np.zeros((count, *self._evidence.shape), dtype=bool)
        self._signals.append(np.asarray(recorded.signals, dtype=np.float32))
        self._evidence.append(np.asarray(evidence))
        self.digest.update("signals", recorded.signals, "<f4")
        self.digest.update("evidence", np.asarray(evidence) if known else np.full(count, 2), "<u1")
        self.digest.update("labels", recorded.labels, "<i8")
        self.digest.update("onsets", recorded.onsets, "<i8")
        self.digest.update("subjects", ordinals, "<i8")
        self._add_native(recorded.native, count)
        self._samples += count
        table = {
            "recording": recording_pseudonym(recorded.recording, self._key),
            "subject": ordinals,
            "label": np.asarray(recorded.labels, dtype=np.int64),
            "label_name": [self._classes[label] for label in recorded.labels],
            "onset": np.asarray(recorded.onsets, dtype=np.int64),
            "evidence_known": known,
        }
        self._rows.append(
            pd.DataFrame(table | {name: _kept(value, self._key) for name, value in recorded.columns.items()})
        )

    def _add_native(self, volumes: Sequence[NativeVolume], count: int) -> None:
        """Stores the block's native volumes; scores are taken on them, so the digest sees them too."""
        if not volumes:
            return
        if len(volumes) != count:
            raise ValueError(f"there are {len(volumes)} native volumes; expected one for each of {count} samples.")
        self._native = self._native or NativeStore.create(self._draft)
        for sample, volume in enumerate(volumes, self._samples):
            self._native.write(sample, volume)
            self.digest.update("native", volume.signals, "<f4")
            self.digest.update("native", volume.evidence, "<u1")
            self.digest.update("native", volume.affine, "<f8")

    def _ordinals(self, recorded: Recorded) -> NDArray[np.int64]:
        """The subject's number of every sample; facts missing so far are filled in from this recording."""
        count = len(recorded.labels)
        identities = [recorded.identity] * count if isinstance(recorded.identity, str) else recorded.identity
        if len(identities) != count:
            raise ValueError(f"{recorded.recording} has {len(identities)} identities for {count} samples.")
        for identity in dict.fromkeys(identities):
            self._note(identity, recorded.facts)
        return np.array([self._numbers[identity] for identity in identities], dtype=np.int64)

    def _note(self, identity: str, given: Mapping[str, Any]) -> None:
        self._numbers.setdefault(identity, len(self._numbers))
        facts = self.subjects.setdefault(identity, {"age": None, "sex": None, "medication": None})
        for name, value in given.items():
            if _missing(facts.get(name)):
                facts[name] = None if _missing(value) else _capped(name, value)

    def finish(self) -> pd.DataFrame:
        """Writes what is pending and the coordinates; returns the sample table."""
        self._signals.flush(0)
        self._evidence.flush(0)
        if not self._rows:
            return pd.DataFrame()
        samples = pd.concat(self._rows, ignore_index=True).rename_axis("sample")
        if not samples["evidence_known"].any():
            del self._group["evidence"]
        _write_coordinates(self._group, self._description, len(samples))
        return samples


class _Appender:
    """Appends rows to a chunked array; every chunk is written once, whole."""

    def __init__(
        self, group: Any, name: str, dtype: str, description: CohortDescription, axis: str, channels: int
    ) -> None:
        self.shape = (channels, *description.grid)
        self._chunk = description.chunk
        self._array = group.create_array(
            name,
            shape=(0, *self.shape),
            chunks=(self._chunk, *self.shape),
            dtype=dtype,
            dimension_names=("sample", axis, *description.axes),
        )
        self._pending: list[NDArray[Any]] = []

    @property
    def attributes(self) -> Any:
        """The array's attributes, to be changed in place."""
        return self._array.attrs

    def append(self, rows: NDArray[Any]) -> None:
        if rows.shape[1:] != self.shape:
            raise ValueError(f"samples are {rows.shape[1:]}; expected {self.shape}.")
        self._pending.append(rows)
        if sum(map(len, self._pending)) >= self._chunk:
            self.flush(self._chunk)

    def flush(self, unit: int) -> None:
        """Writes the pending rows: whole multiples of ``unit``, or with 0 all of them."""
        if not self._pending:
            return
        rows = np.concatenate(self._pending)
        count = len(rows) // unit * unit if unit else len(rows)
        start = self._array.shape[0]
        self._array.resize((start + count, *self._array.shape[1:]))
        self._array[start : start + count] = rows[:count]
        self._pending = [rows[count:].copy()]


def _write_coordinates(group: Any, description: CohortDescription, samples: int) -> None:
    """Labels of the axes: sample number, channel name, seconds from the annotation or voxel number."""
    group.create_array("sample", data=np.arange(samples), dimension_names=("sample",))
    if description.volume:
        for axis, length in zip(description.axes, description.grid, strict=True):
            group.create_array(axis, data=np.arange(length), dimension_names=(axis,), attributes={"units": "voxel"})
    else:
        seconds = (np.arange(description.window) - description.origin) / description.sampling_rate
        group.create_array("time", data=seconds, dimension_names=("time",), attributes={"units": "s"})
    channels = group.create_array(
        "channel", shape=(len(description.channels),), dtype=VariableLengthUTF8(), dimension_names=("channel",)
    )
    channels[:] = np.array(description.channels, dtype=object)


def _subject_table(subjects: Mapping[str, Mapping[str, Any]], key: bytes) -> pd.DataFrame:
    table = pd.DataFrame(list(subjects.values())).rename_axis("ordinal")
    table.insert(0, "subject", [pseudonym(identity, key) for identity in subjects])
    table["age"] = table["age"].astype("float64")
    table["sex"] = table["sex"].astype(object).where(table["sex"].notna(), None)
    table["medication"] = table["medication"].fillna("").astype(str)
    return table


def _kept(value: Any, key: bytes) -> Any:
    """A column's value; of one that was found in the folder, and is marked so, the pseudonym."""
    if isinstance(value, str) and concealed(value) != value:
        return recording_pseudonym(plain(value), key)
    return value


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _capped(name: str, value: Any) -> Any:
    is_age = _AGE.search(name) is not None and isinstance(value, (int, float))
    return OLDEST_AGE + 1 if is_age and value > OLDEST_AGE else value


def _why_nothing(quarantined: list[Quarantined], description: CohortDescription) -> str:
    if not quarantined:
        return f"No sample of the classes {', '.join(description.classes)} was found in any recording."
    first = quarantined[0]
    return (
        f"No recording gave a sample: {len(quarantined)} quarantined, "
        f"the first, {private(first.recording)}, because {first.reason}"
    )


def _move_into_place(draft: Path, path: Path, digest: str) -> None:
    """A folder renamed onto an empty or absent one replaces it in one step; onto a full one it fails."""
    try:
        draft.rename(path)
    except OSError:
        if not path.exists():
            raise
        if not _holds(path, digest):
            raise CohortError(f"{path} already holds something else; expected a new folder.") from None


def _holds(path: Path, digest: str) -> bool:
    try:
        return bool(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["digest"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _remove_abandoned(path: Path) -> None:
    """Drafts that a killed build left more than a day ago; a younger one may still be written."""
    for draft in path.parent.glob(f".{path.name}.*.partial"):
        if time.time() - draft.stat().st_mtime > _DAY:
            shutil.rmtree(draft, ignore_errors=True)
