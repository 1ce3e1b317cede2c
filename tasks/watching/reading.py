"""Arrivals become a cohort by the study's own reader; what it cannot use is quarantined with the reason."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import task

from ..cohorts.errors import CohortError, concealed
from ..cohorts.pseudonyms import recording_pseudonym
from ..cohorts.store import Cohort
from ..digests import code_digest, digest_of
from .arriving import SHARED_TABLES, Arrival, Inbox

Read = Callable[..., Cohort]


@dataclass(frozen=True)
class Batch:
    """What was read together: the ``cohort``, None where nothing could be used, and the ids of its ``recordings`` by
    the pseudonyms that it knows them by.

    ``quarantined``: reasons by id.
    """

    cohort: Path | None
    recordings: Mapping[str, str]
    quarantined: Mapping[str, str]


@task
def read_arrivals(inbox: Inbox, study: str, read: Read, *, key: bytes, root: Path) -> Batch:
    """Reads the new recordings of an inbox into one cohort under ``root``.

    A recording that makes the reader give up on all of them, as its own are too few or its bytes crash a parser, is
    found by reading each alone. Reasons do not name files. A killed call leaves nothing that the next one minds.
    """
    arrivals = inbox.readable
    with tempfile.TemporaryDirectory(dir=_made(root / "tmp"), prefix="arrivals-") as folder:
        copies = Path(folder)
        together, reasons = arrivals, dict(inbox.refused)
        cohort = _try(inbox.root, arrivals, study, read, key, root, copies / "all") if arrivals else "there is none."
        if isinstance(cohort, str):
            alone = {each: _alone(inbox.root, each, read, key, copies / each.id) for each in arrivals}
            reasons |= {each.id: reason for each, reason in alone.items() if reason}
            together = tuple(each for each, reason in alone.items() if not reason)
            again = len(together) < len(arrivals)
            cohort = (
                _try(inbox.root, together, study, read, key, root, copies / "rest") if together and again else cohort
            )
        if isinstance(cohort, str):
            reasons |= {each.id: cohort for each in together}
            return Batch(None, {}, reasons)
    known = {recording_pseudonym(name, key): each.id for each in together for name in (Path(each.name).name, each.name)}
    quarantined = dict(zip(cohort.quarantine["recording"], cohort.quarantine["reason"], strict=True))
    reasons |= {known[name]: reason for name, reason in quarantined.items() if name in known}
    return Batch(cohort.path, known, reasons)


def _try(
    source: Path, arrivals: Sequence[Arrival], study: str, read: Read, key: bytes, root: Path, copies: Path
) -> Cohort | str:
    """The cohort of these recordings, or why there is none."""
    identity = [sorted((each.id, each.digest) for each in arrivals), code_digest(("tasks/cohorts",))]
    out = root / "cohorts" / study / f"arrived-{digest_of([*identity, getattr(read, 'keywords', {}).get('study')])}"
    if (out / "cohort.json").exists():
        return Cohort.open(out)
    return _read(source, arrivals, read, key, out, copies)


def _alone(source: Path, arrival: Arrival, read: Read, key: bytes, copies: Path) -> str:
    """Why the recording cannot be used by itself; empty where it can."""
    found = _read(source, [arrival], read, key, copies / "cohort", copies / "files")
    shutil.rmtree(copies, ignore_errors=True)
    return found if isinstance(found, str) else ""


def _read(source: Path, arrivals: Sequence[Arrival], read: Read, key: bytes, out: Path, copies: Path) -> Cohort | str:
    """Reads copies, so that nothing changes under the reader's hands; the reason where it gives up."""
    try:
        for each in arrivals:
            for name in each.files:
                _copy(source, name, copies)
        for table in (path for name in SHARED_TABLES for path in source.rglob(name)):
            _copy(source, table.relative_to(source).as_posix(), copies)
        return read(copies, key=key, out=out)
    except OSError:
        raise  # a full disk says nothing about a recording
    except CohortError as error:
        return " ".join(concealed(error.marked).split())
    except Exception as error:  # a reader that stumbles over one file must not stop all others for ever
        return f"the reader failed on it ({type(error).__name__})."


def _copy(source: Path, name: str, target: Path) -> None:
    path = source / name
    if path.is_symlink() and not path.resolve().is_relative_to(source):
        return
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, target / name)
    except FileNotFoundError:  # taken away since the look; the reader misses it
        return


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
