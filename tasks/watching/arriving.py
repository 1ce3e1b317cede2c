"""What is new in an inbox: recordings with all their files, known by the digest of what is in them.

Nothing that is told to others bears a file's name: it may be a patient's. A recording is called by the keyed hash of
its name, which `plumbline who` finds again for whoever has the inbox and the key.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..cohorts.errors import UnusableRecording
from ..cohorts.groups import RecordingFiles, group_files
from ..cohorts.isles_clinical import TABLE as CLINICAL_TABLE
from ..cohorts.pseudonyms import pseudonym, recording_pseudonym
from ..cohorts.subject_facts import SUBJECT_TABLE
from ..cohorts.wfdb_files import inside
from ..digests import digest_of, file_digest
from ..evaluating.evaluation import write_whole

SETTLED_SECONDS = 60.0
"""A file that changed within so many seconds may still be being copied."""
SHARED_TABLES = (SUBJECT_TABLE, CLINICAL_TABLE)
"""Files that say something about several recordings."""
_LARGEST_TABLE = 1 << 22


@dataclass(frozen=True)
class Arrival:
    """A recording that no look has seen: ``id`` is what it is called, ``name`` and ``files`` stay in this process."""

    id: str
    digest: str
    name: str = field(repr=False)
    files: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Inbox:
    """What is to be read now, what is to be refused unread (by id, with the reason), and what has to wait and why."""

    root: Path
    new: tuple[Arrival, ...]
    refused: Mapping[str, str]
    waiting: Mapping[str, str]

    @property
    def readable(self) -> tuple[Arrival, ...]:
        """The new ones that are not refused."""
        return tuple(arrival for arrival in self.new if arrival.id not in self.refused)


def look_into(
    root: Path, reader: str, *, key: bytes, known: Collection[tuple[str, str]], digests: Path, now: float
) -> Inbox:
    """What is new below the resolved folder ``root`` for the reader of that name.

    ``known``: (id, digest) of what was seen before. A recording's digest is that of its files and of its line in
    ``subjects.csv``; a change in either is a new version. ``now``: seconds since 1970. ``digests``: a file where the
    digests of files are kept with their sizes and times, so that only what has changed is read.
    """
    memory = _Digests(digests, key)
    lines, table_is_settled = _subject_lines(root), _settled([root / SUBJECT_TABLE], now)
    new: list[Arrival] = []
    refused: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for recording in group_files(root, reader):
        identity = recording_pseudonym(recording.name, key)
        try:
            paths = [inside(root, name) for name in recording.files]
        except UnusableRecording:
            if _add(new, known, Arrival(identity, digest_of(recording.files), recording.name, ())):
                refused[identity] = "a name among its files is not one that is read, or leads out of the inbox."
            continue
        if not table_is_settled or not _settled(paths, now):
            waiting[identity] = f"a file changed in the last {SETTLED_SECONDS:.0f} s"
            continue
        if recording.missing:
            waiting[identity] = f"{len(recording.missing)} of its files are not there yet"
            continue
        contents = [[name, memory.digest_of(path)] for name, path in zip(recording.files, paths, strict=True)]
        digest = digest_of([contents, *_lines_of(recording, lines)])
        _add(new, known, Arrival(identity, digest, recording.name, recording.files))
    memory.save()
    # Only what is new is worth waiting for: a known recording that is being replaced will be new when it has settled.
    return Inbox(root, tuple(new), refused, waiting)


def _add(new: list[Arrival], known: Collection[tuple[str, str]], arrival: Arrival) -> bool:
    """Adds an arrival that is not known yet; whether it did."""
    if (arrival.id, arrival.digest) in known:
        return False
    new.append(arrival)
    return True


def _settled(paths: Collection[Path], now: float) -> bool:
    """Whether none of the files that exist changed just now; a time in the future by more is a wrong clock."""
    return not any(path.is_file() and abs(now - path.stat().st_mtime) < SETTLED_SECONDS for path in paths)


def _subject_lines(root: Path) -> dict[str, list[str]]:
    """The lines of ``subjects.csv`` by the recording that they name; empty where it cannot be read."""
    try:
        path = inside(root, SUBJECT_TABLE)
        if not path.is_file() or path.stat().st_size > _LARGEST_TABLE:
            return {}
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
        place = [heading.strip() for heading in rows[0]].index("recording")
        return {row[place].strip(): [*rows[0], *row] for row in rows[1:] if len(row) > place}
    except (UnusableRecording, OSError, ValueError, IndexError, csv.Error):  # the reader says what is wrong with it
        return {}


def _lines_of(recording: RecordingFiles, lines: Mapping[str, list[str]]) -> list[list[str]]:
    names = dict.fromkeys((recording.name, Path(recording.name).name))
    return [lines[name] for name in names if name in lines]


class _Digests:
    """Digests of files, kept with size and time under a keyed hash of the file's name."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key
        self._before: dict[str, list[object]] = json.loads(path.read_text()) if path.is_file() else {}
        self._now: dict[str, list[object]] = {}

    def digest_of(self, path: Path) -> str:
        stat = path.stat()
        name, size, moment = pseudonym(str(path), self._key), stat.st_size, stat.st_mtime_ns
        former = self._before.get(name)
        same = former is not None and former[:2] == [size, moment]
        self._now[name] = former if same and former is not None else [size, moment, file_digest(path)]
        return str(self._now[name][2])

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, lambda file: file.write_text(json.dumps(self._now)))
