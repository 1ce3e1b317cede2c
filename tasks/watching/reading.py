"""Arrivals become a cohort by the study's own reader; what it cannot use is quarantined with the reason."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import task

from ..cohorts.store import Cohort
from ..digests import code_digest, digest_of
from ..evaluating.evaluation import write_whole
from .arriving import SHARED_TABLES, Arrival, Inbox

Read = Callable[..., Cohort]


@dataclass(frozen=True)
class Batch:
    """What was read together: the ``cohort``, None where nothing could be used, and by name the ids of its
    ``recordings``.

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
            reasons |= {each.id: _nameless(cohort, each) for each in together}
            return Batch(None, {}, reasons)
    names = {each.name: each.id for each in together}
    for name, reason in zip(cohort.quarantine["recording"], cohort.quarantine["reason"], strict=True):
        for each in together:
            if each.name == name or Path(each.name).name == name:
                reasons[each.id] = _nameless(reason, each)
    return Batch(cohort.path, names, reasons)


def write_names(arrivals: Sequence[Arrival], reasons: Mapping[str, str], path: Path) -> None:
    """Adds the names of quarantined recordings to a table that only the installation's owner may read."""
    names = {each.id: each.name for each in arrivals}
    before = path.read_text(encoding="utf-8") if path.is_file() else "recording,name,reason\n"
    lines = io.StringIO()
    for identity in sorted(reasons):
        name = names.get(identity, "").encode("unicode_escape", "surrogatepass").decode("ascii")
        csv.writer(lines, lineterminator="\n").writerow([identity, name, reasons[identity]])
    added = [line for line in lines.getvalue().splitlines() if line not in before.splitlines()]
    content = before + "".join(f"{line}\n" for line in added)

    def write(file: Path) -> None:
        file.touch(mode=0o600)
        file.write_text(content, encoding="utf-8")

    write_whole(path, write)


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
    reason = _nameless(found, arrival) if isinstance(found, str) else ""
    shutil.rmtree(copies, ignore_errors=True)
    return reason


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
    except ValueError as error:
        return " ".join(str(error).split())
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


def _nameless(reason: str, arrival: Arrival) -> str:
    """The reason without the names of the recording and its files, which may be a patient's."""
    names = {arrival.name, *arrival.files}
    names |= {Path(name).name for name in names} | {Path(name).stem for name in names}
    for name in sorted(names - {""}, key=len, reverse=True):
        reason = reason.replace(name, "the recording")
    return reason


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
