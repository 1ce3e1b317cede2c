"""A backup brought back, in its old place or in another one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, text

from ..digests import file_digest
from ..errors import PlumblineError, UsageError
from ..progress import track
from ..settings import Settings
from .backup import FORMAT, MANIFEST, Manifest, home_entries
from .databases import Database, databases, require_down
from .dumping import empty, in_use, is_empty, load
from .processes import ServiceError

PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""Where MLflow's tables say in full where an artifact lies."""


def restore(settings: Settings, source: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Brings the backup in ``source`` back to where the settings say; returns what there is to say.

    Everything is verified before anything is written. UsageError if ``source`` is no whole backup or of another kind
    than the settings, or if something would be overwritten unasked; ServiceError if the service runs.
    """
    require_down(settings, "restore")
    source = source.expanduser().resolve()
    manifest = read_manifest(source)
    _require_same_kind(settings, manifest)
    _verify(source, manifest)
    _require_unused(settings)
    found = _what_is_here(settings)
    if found and not overwrite:
        raise UsageError(f"{found[0]} would be overwritten; use --overwrite to replace it, or another PLUMBLINE_HOME.")
    _clear(settings)
    _bring_back(settings, source, manifest)
    lines = [f"backup of {manifest.written} restored: {len(manifest.files)} files verified"]
    if settings.pseudonym_key is None and not (settings.root / "pseudonym.key").exists():
        lines.append(
            f"no key of the pseudonyms is in a backup: put yours at {settings.root / 'pseudonym.key'} before new "
            "recordings are read, else known subjects get new names"
        )
    return tuple(lines)


def read_manifest(source: Path) -> Manifest:
    """The manifest of a whole backup; UsageError if there is none, or one that this version cannot read."""
    path = source / MANIFEST
    if not path.is_file():
        raise UsageError(f"--from {source} has no {MANIFEST}: it is no backup, or one that was interrupted.")
    content = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise UsageError(f"{path} has the format {content.get('format')!r}; expected {FORMAT}.")
    return Manifest(**content)


def _require_same_kind(settings: Settings, manifest: Manifest) -> None:
    for database in databases(settings):
        written = manifest.databases[database.name]
        if written != database.kind:
            raise UsageError(
                f"{database.setting} names a {database.kind} database, but the backup's {database.name} is from "
                f"{written}; expected the same kind."
            )
    if manifest.artifact_root.startswith("s3://") != (settings.artifact_folder is None):
        raise UsageError(
            f"PLUMBLINE_ARTIFACTS means {settings.artifact_root}, but the artifacts of the backup were in "
            f"{manifest.artifact_root}; expected a folder for a folder, a bucket for a bucket."
        )


def _verify(source: Path, manifest: Manifest) -> None:
    for name, digest in track(list(manifest.files.items()), "verifying the backup"):
        file = source / name
        if not file.is_file() or file_digest(file) != digest:
            raise PlumblineError(f"{file} is missing or not as it was written; this backup cannot be restored.")


def _require_unused(settings: Settings) -> None:
    for database in databases(settings):
        if in_use(database):
            raise ServiceError(
                f"Another program is connected to {database.address}; stop MLflow, Prefect, workers and commands first."
            )


def _what_is_here(settings: Settings) -> list[str]:
    """What a restore would remove."""
    full = [database.address for database in databases(settings) if not is_empty(database)]
    folder = settings.artifact_folder
    artifacts = [str(folder)] if folder is not None and folder.exists() and any(folder.iterdir()) else []
    return [*full, *artifacts, *map(str, home_entries(settings))]


def _clear(settings: Settings) -> None:
    for database in databases(settings):
        if not is_empty(database):
            empty(database)
    if settings.artifact_folder is not None and settings.artifact_folder.exists():
        shutil.rmtree(settings.artifact_folder)
    for entry in [*home_entries(settings), settings.root / "versions"]:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _bring_back(settings: Settings, source: Path, manifest: Manifest) -> None:
    """Files first, databases last: a restore that was cut short has databases missing and is seen to be unfinished."""
    for name in track([name for name in manifest.files if not name.startswith("databases/")], "restoring the files"):
        target = _target(settings, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target)
    for database, file in _dumps(settings, source, manifest):
        load(database, file)
    if manifest.artifact_root != settings.artifact_root:
        _move_artifacts(settings.mlflow_store, manifest.artifact_root, settings.artifact_root)


def _target(settings: Settings, name: str) -> Path:
    """Where a file of the backup goes."""
    part, _, place = name.partition("/")
    root = settings.artifact_folder if part == "artifacts" else settings.root
    if root is None or part not in ("artifacts", "home") or ".." in Path(place).parts:
        raise PlumblineError(f"The backup names the file {name!r}; expected one in artifacts, databases or home.")
    return root / place


def _dumps(settings: Settings, source: Path, manifest: Manifest) -> Iterator[tuple[Database, Path]]:
    names = {Path(name).stem: name for name in manifest.files if name.startswith("databases/")}
    for database in databases(settings):
        yield database, source / names[database.name]


def _move_artifacts(store: str, before: str, now: str) -> None:
    """MLflow writes down the full address of every artifact folder: those under ``before`` are now under ``now``."""
    engine = create_engine(store)
    with engine.begin() as connection:
        for table, column in PLACES.items():
            statement = (
                f"UPDATE {table} SET {column} = :now || substr({column}, :length + 1) "
                f"WHERE {column} = :before OR substr({column}, 1, :length + 1) = :folder"
            )
            values = {"now": now, "before": before, "folder": f"{before}/", "length": len(before)}
            connection.execute(text(statement), values)
    engine.dispose()
