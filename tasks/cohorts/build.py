"""Builds a study's cohort once: finds the recordings or writes the phantom, then runs the reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from prefect import task

from ..digests import code_digest, digest_of
from ..settings import Settings
from .errors import CohortError, ConcealedError
from .folders import folder_behind
from .pseudonyms import load_or_create_key


def recordings_of(study: str, data: str | None, write_phantom: Callable[..., object], root: Path) -> Path:
    """The folder of the recordings: ``data`` (a path or a reference), or a phantom written once under ``root``.

    Raises UsageError when ``data`` is no folder.
    """
    if data is not None:
        return folder_behind(data)
    folder = root / "phantoms" / f"{study}-{code_digest(('tasks/cohorts/phantoms',))}"
    if not folder.exists():
        try:
            write_phantom(folder)
        except (OSError, ValueError):  # another process was faster
            if not folder.is_dir():
                raise
    return folder


@task
def build_cohort(study: str, recordings: Path, read: Callable[..., object], root: Path) -> str:
    """The cohort's folder; the reader runs only when recordings or readers have changed."""
    key = pseudonym_key(root)
    parameters = getattr(read, "keywords", {})
    reader = [code_digest(("tasks/cohorts",)), parameters, hashlib.sha256(key).hexdigest()]
    fingerprint = digest_of([fingerprint_of(recordings), reader])
    out = root / "cohorts" / study / fingerprint
    if not (out / "cohort.json").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            read(recordings, key=key, out=out)
        except CohortError as error:  # what a flow is told, it keeps and logs
            raise ConcealedError(error.marked) from None
    return str(out)


def fingerprint_of(folder: Path) -> str:
    """Digest of names, sizes and modification times of the folder's files; contents are not read."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return digest_of([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


def pseudonym_key(root: Path) -> bytes:
    """The key of the subject pseudonyms: from the settings, else a file that only the owner reads."""
    given = Settings().pseudonym_key
    if given is not None:
        return given.get_secret_value().encode()
    return load_or_create_key(root / "pseudonym.key")
