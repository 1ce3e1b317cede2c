"""Which files of a folder are one recording, and which of them are not there yet, for every reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .dreams_spindles import excerpt_names
from .edf_stages import EVIDENCE_ENDING, belongs
from .errors import CohortError, UnusableRecording
from .idx_images import PARTS
from .isles import case_names
from .open_ms import patient_names
from .sleep_table import HYPNOGRAM_ENDING, PSG_ENDING
from .wfdb_files import header_lines, header_names, inside
from .wfdb_segments import segment_names

NO_SIGNAL = "~"
"""What WFDB names the file of a segment, or of a signal, that holds nothing."""


@dataclass(frozen=True)
class RecordingFiles:
    """One recording: ``name`` as its reader calls it, its ``files`` and what is ``missing``, relative to the folder.

    Missing is only what a part that is there says must follow: the signal file of a header, the recording of a
    hypnogram. What may be absent for good, such as annotations, is the reader's to judge.
    """

    name: str
    files: tuple[str, ...]
    missing: tuple[str, ...] = ()


def group_files(root: Path, reader: str) -> list[RecordingFiles]:
    """The recordings below the resolved folder ``root``, as the reader of that name would list them, by name.

    A list named RECORDS is not asked: it was written before the recordings that arrive later. Raises ValueError for
    an unknown reader.
    """
    if reader not in _GROUPED:
        raise ValueError(f"reader is {reader!r}; expected one of {', '.join(_GROUPED)}.")
    try:
        return sorted(_GROUPED[reader](root), key=lambda each: each.name)
    except CohortError:  # nothing of its kind is there
        return []


def _wfdb(root: Path) -> Iterator[RecordingFiles]:
    names = sorted(header_names(root))
    segments = segment_names(root, names)
    for name in (name for name in names if name not in segments):
        files, missing = _of_record(root, name)
        yield RecordingFiles(name, tuple(sorted(files)), tuple(sorted(missing)))


def _of_record(root: Path, name: str, *, is_segment: bool = False) -> tuple[set[str], set[str]]:
    """The record's own files and those that its header, or the headers of its segments, name; segments have none."""
    path = Path(name)
    files = {
        _relative(root, each)
        for each in (root / name).parent.iterdir()
        if each.is_file() and each.name.startswith(f"{path.name}.")
    }
    missing: set[str] = set()
    try:
        lines = header_lines(root, name)
        joined = "/" in lines[0].split()[0]
        if joined and is_segment:
            return files, missing
        for entry in dict.fromkeys(line.split()[0] for line in lines[1:]):
            if entry == NO_SIGNAL:
                continue
            part = (path.parent / entry).as_posix() + (".hea" if joined else "")
            if not inside(root, part).is_file():
                missing.add(part)
            elif joined:
                inner = _of_record(root, part.removesuffix(".hea"), is_segment=True)
                files, missing = files | inner[0], missing | inner[1]
            else:
                files.add(part)
    except UnusableRecording:  # the reader says why
        pass
    return files, missing


def _edf(root: Path) -> Iterator[RecordingFiles]:
    hypnograms = {_relative(root, path) for path in root.rglob(f"*{HYPNOGRAM_ENDING}")}
    names = [_relative(root, path).removesuffix(PSG_ENDING) for path in root.rglob(f"*{PSG_ENDING}")]
    for name in names:
        own = {hypnogram for hypnogram in hypnograms if belongs(hypnogram, name)}
        hypnograms -= own
        evidence = {name + EVIDENCE_ENDING} if (root / (name + EVIDENCE_ENDING)).is_file() else set()
        yield RecordingFiles(name, tuple(sorted({name + PSG_ENDING} | own | evidence)))
    for orphan in hypnograms:
        yield RecordingFiles(orphan.removesuffix(HYPNOGRAM_ENDING), (orphan,), (f"its recording *{PSG_ENDING}",))


def _excerpts(root: Path) -> Iterator[RecordingFiles]:
    there = [path.name for path in root.iterdir() if path.is_file()]
    for name in excerpt_names(root):
        yield RecordingFiles(name, tuple(sorted(file for file in there if Path(file).stem.rpartition("_")[2] == name)))


def _cases(root: Path) -> Iterator[RecordingFiles]:
    yield from (RecordingFiles(Path(case).name, _below(root, case)) for case in case_names(root))


def _patients(root: Path) -> Iterator[RecordingFiles]:
    yield from (RecordingFiles(patient, _below(root, patient)) for patient in patient_names(root))


def _image_files(root: Path) -> Iterator[RecordingFiles]:
    there = sorted(path.name for path in root.iterdir() if path.is_file())
    for prefix in PARTS:
        own = tuple(file for file in there if file.startswith(f"{prefix}-"))
        if own:
            yield RecordingFiles(prefix, own)


def _below(root: Path, folder: str) -> tuple[str, ...]:
    return tuple(sorted(_relative(root, path) for path in (root / folder).rglob("*") if path.is_file()))


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


_GROUPED: Mapping[str, Callable[[Path], Iterator[RecordingFiles]]] = {
    "wfdb_beats": _wfdb,
    "wfdb_rhythms": _wfdb,
    "wfdb_vitals": _wfdb,
    "edf_stages": _edf,
    "dreams_spindles": _excerpts,
    "isles": _cases,
    "open_ms": _patients,
    "idx_images": _image_files,
}
