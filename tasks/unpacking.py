"""Unpacks what was downloaded: nothing outside the folder, nothing larger than it says, no more than fits."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from .fetching import KEPT, on_disk, place_in
from .listings import FetchError, harmless
from .progress import track

_NOISE = ("__MACOSX", ".DS_Store")


def unpack_all(folder: Path) -> int:
    """Unpacks every zip file in ``folder`` there; returns the number of files that were not there already.

    An interrupted run is completed by the next: a file gets its name only when all of it is there and its checksum
    is right, and one of the right size is not unpacked again. Raises FetchError for an archive that is broken,
    encrypted, holds links or names that lead outside, or more than the disk has room for.
    """
    root = folder.resolve()
    return sum(_unpack(archive, root) for archive in sorted(root.glob("*.zip")))


def _unpack(archive: Path, root: Path) -> int:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [_checked(member, archive.name) for member in opened.infolist() if _wanted(member)]
            missing = [member for member in members if not _is_there(member, root)]
            _check_room(missing, archive, root)
            for member in track(missing, "unpacked"):
                _extract(opened, member, root)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise FetchError(f"{archive.name} cannot be unpacked ({type(error).__name__}: {error}).") from error
    return len(missing)


def _wanted(member: zipfile.ZipInfo) -> bool:
    return not member.is_dir() and not any(part in _NOISE for part in member.filename.split("/"))


def _checked(member: zipfile.ZipInfo, archive: str) -> zipfile.ZipInfo:
    harmless(member.filename, archive)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise FetchError(f"{archive} holds the link {member.filename}; expected files only.")
    return member


def _check_room(members: list[zipfile.ZipInfo], archive: Path, root: Path) -> None:
    """A file is never unpacked beyond the size that the archive declares, so the sum is all that can be written."""
    needed, free = sum(member.file_size for member in members), shutil.disk_usage(root).free
    if needed > free:
        raise FetchError(
            f"{archive.name} needs {needed / 1e9:.1f} GB, the disk of {root} has {free / 1e9:.1f} GB; "
            f"free some and {KEPT}."
        )


def _is_there(member: zipfile.ZipInfo, root: Path) -> bool:
    target = place_in(root, member.filename)
    return target.is_file() and target.stat().st_size == member.file_size


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, root: Path) -> None:
    target = place_in(root, member.filename)
    part = target.with_name(f"{target.name}.part")
    with on_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(member) as source, part.open("wb") as out:
            shutil.copyfileobj(source, out)
        part.replace(target)
