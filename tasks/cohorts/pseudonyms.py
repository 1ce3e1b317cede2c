"""Subjects and recordings are known by a keyed hash only: without the key nobody can try a hospital's names."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from hashlib import sha256
from pathlib import Path

_KEY_BYTES = 32
_DIGITS = 12


def pseudonym(identity: str, key: bytes) -> str:
    """The keyed hash of a subject's identity: HMAC-SHA256, its first 12 hexadecimal digits.

    Raises ValueError when ``key`` is shorter than 16 bytes.
    """
    if len(key) < 16:
        raise ValueError(f"key has {len(key)} bytes; expected 16 or more.")
    return hmac.new(key, identity.encode("utf-8", "surrogateescape"), sha256).hexdigest()[:_DIGITS]


def recording_pseudonym(name: str, key: bytes) -> str:
    """What stands for a recording's name, or a folder's, outside the folder of recordings: it may hold a number.

    No table leads back: whoever has the folder and the key finds the name by trying those in the folder
    (`names_behind`).
    """
    return f"rec-{pseudonym(f'name of a recording:{name}', key)}"


def names_behind(folder: Path, key: bytes) -> dict[str, str]:
    """The name in ``folder`` behind every pseudonym that `recording_pseudonym` gives to one.

    Tried are all paths below the folder, whole and without parts of their ending, and the lines of ``RECORDS``.
    """
    names = {"train-images", "t10k-images"}  # what idx sets are known by, whichever of their files are there
    for path in folder.rglob("*"):
        home = path.parent.relative_to(folder)
        ends = [found.start() for found in re.finditer(r"[.-]", path.name)]
        for name in (path.name, *(path.name[:end] for end in ends)):
            names |= {name, (home / name).as_posix()}
    if (folder / "RECORDS").is_file():
        names |= set((folder / "RECORDS").read_text(encoding="utf-8", errors="replace").split("\n"))
    return {recording_pseudonym(name, key): name for name in map(str.strip, names)}


def load_or_create_key(path: Path) -> bytes:
    """The installation's key, created at random on first use, readable by its owner only (mode 0600).

    Two processes that start together agree: the second reads what the first created. Raises ValueError
    when the file holds anything but 64 hexadecimal digits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _create_once(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path.name} holds no key; expected {2 * _KEY_BYTES} hexadecimal digits.")
    return key


def _create_once(path: Path) -> None:
    """Writes beside the target and links it there, so that no reader ever sees half a key."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
