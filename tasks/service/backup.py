"""A backup: databases, artifacts and evaluations in one folder, whole only once its manifest is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..digests import file_digest
from ..errors import UsageError
from ..progress import track
from ..settings import Settings
from .databases import databases
from .dumping import dump

MANIFEST = "manifest.json"
FORMAT = 1
NOT_KEPT = frozenset(
    {"prefect", "logs", "tmp", "locks", "versions", "service.json", "service.lock", "basic_auth.ini", "pseudonym.key"}
)
"""What a home holds and a backup does not: what belongs to running processes, what can be fetched again, and the key of
the pseudonyms, which together with the pseudonymised data would undo them."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. ``databases`` gives the kind of each, ``files`` the SHA-256 of each file.

    ``artifact_root`` is where MLflow's artifacts lay; they are among the files unless it is a bucket.
    """

    format: int
    written: str
    artifact_root: str
    databases: dict[str, str]
    files: dict[str, str]


def back_up(settings: Settings, to: Path) -> tuple[str, ...]:
    """Writes a backup to the new or empty folder ``to``, readable by its owner only; returns what there is to say.

    The databases come first: what they name has been written by then, and nothing that they name is removed. The
    service may go on. UsageError if ``to`` holds something or lies within what is to be copied.
    """
    to = to.expanduser().resolve()
    _require_room(settings, to)
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    (to / "databases").mkdir()
    for database in track(databases(settings), "backup of the databases"):
        dump(database, to / "databases")
    pairs = [*_kept(settings)]
    for source, place in track(pairs, "backup of the files"):
        _copy(source, to / place)
    files = {str(path.relative_to(to)): file_digest(path) for path in sorted(to.rglob("*")) if path.is_file()}
    kinds = {database.name: database.kind for database in databases(settings)}
    manifest = Manifest(FORMAT, datetime.now(UTC).isoformat(), settings.artifact_root, kinds, files)
    _write_last(manifest, to / MANIFEST)
    return (f"{len(files)} files, {_gibibytes(to):.2f} GiB, in {to}", *_left_out(settings))


def home_entries(settings: Settings) -> Iterator[Path]:
    """Files and folders of home that a backup keeps, artifacts and databases aside."""
    apart = {settings.artifact_folder, *(database.file for database in databases(settings))}
    names = {path.name for path in apart if path is not None and path.parent == settings.root}
    besides = {name + ending for name in names for ending in ("-wal", "-shm", "-journal", ".lock")}
    if settings.root.exists():
        for entry in sorted(settings.root.iterdir()):
            if entry.name not in NOT_KEPT | names | besides and not entry.name.startswith("."):
                yield entry


def _require_room(settings: Settings, to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to {to} holds something already; expected a new or an empty folder.")
    for folder in (settings.root, settings.artifact_folder):
        if folder is not None and to.is_relative_to(folder):
            raise UsageError(f"--to {to} lies within {folder}, which is to be copied; expected a folder elsewhere.")


def _kept(settings: Settings) -> Iterator[tuple[Path, Path]]:
    """Each file to be copied, and its place in the backup."""
    for entry in home_entries(settings):
        for file in _files(entry):
            yield file, Path("home") / file.relative_to(settings.root)
    if settings.artifact_folder is not None:
        for file in _files(settings.artifact_folder):
            yield file, Path("artifacts") / file.relative_to(settings.artifact_folder)


def _files(entry: Path) -> Iterable[Path]:
    if entry.is_file():
        return [entry]
    return (Path(folder) / name for folder, _, names in os.walk(entry, followlinks=True) for name in names)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:  # a draft of a running job, renamed or removed meanwhile: no database names it
        target.unlink(missing_ok=True)


def _write_last(manifest: Manifest, path: Path) -> None:
    """After everything else is on the disk: a folder with a manifest is a whole backup."""
    os.sync()
    draft = path.with_name(f".{path.name}.partial")
    draft.write_text(json.dumps(asdict(manifest), indent=1))
    os.replace(draft, path)


def _left_out(settings: Settings) -> Iterator[str]:
    if settings.artifact_folder is None:
        yield f"not in it: the artifacts in {settings.artifact_root}; the bucket's own versions keep them"
    key = settings.root / "pseudonym.key"
    if settings.pseudonym_key is None and key.exists():
        yield f"not in it: {key}; keep it apart from the data, for it tells who each subject is"


def _gibibytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30
