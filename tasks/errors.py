"""Errors for the person who reads them, and how the command line answers them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path


class PlumblineError(Exception):
    """Something that a person can put right: one sentence saying what was found and expected."""


class UsageError(PlumblineError):
    """A wrong argument or setting: exit code 2. ``told``: what only the terminal shows, as flows keep messages."""

    def __init__(self, message: str, told: str | None = None) -> None:
        super().__init__(message)
        self.told = told or message


def full_disk(error: BaseException, home: Path) -> str | None:
    """One sentence naming the full folder where ``error``, or what led to it, is a lack of space; else None."""
    led_here: BaseException | None = error
    while led_here is not None:
        if _is_lack_of_space(led_here):
            return (
                f"no space is left on the disk of {_fullest(led_here, home)}; make room and run the same command "
                "again: what is done is kept."
            )
        led_here = led_here.__cause__ or led_here.__context__
    return None


def _is_lack_of_space(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in str(error) for words in ("No space left on device", "database or disk is full"))


def _fullest(error: BaseException, home: Path) -> Path:
    """The folder of the file that the error names; else that with the least room of those written to."""
    named = getattr(error, "filename", None)
    if isinstance(named, str) and Path(named).parent.is_dir():
        return Path(named).parent
    written_to = [home, *(path for path in home.iterdir() if path.is_dir()), Path(tempfile.gettempdir())]
    return min(written_to, key=lambda folder: shutil.disk_usage(folder).free)
