"""A folder of recordings under a name that a flow may keep: its path can hold a patient's name."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from .pseudonyms import pseudonym

_PREFIX, _VARIABLE = "folder-", "PLUMBLINE_FOLDER_"


def reference_to(folder: Path, key: bytes) -> str:
    """The folder's keyed pseudonym, ``folder-...``, which this process and those that it starts can follow.

    Prefect keeps the parameters of a flow for ever; the path itself stays in the environment of the process. Raises
    UsageError where there is no such folder.
    """
    whole = folder.expanduser().resolve()
    if not whole.is_dir():
        raise UsageError(f"data is {str(folder)!r}, which is no folder; expected a folder of recordings.")
    digits = pseudonym(f"folder of recordings:{whole}", key)
    os.environ[_VARIABLE + digits] = str(whole)
    return _PREFIX + digits


def folder_behind(reference: str) -> Path:
    """The folder that a reference or a path means. Raises UsageError, without the path, where there is none."""
    known = os.environ.get(_VARIABLE + reference.removeprefix(_PREFIX))
    folder = Path(known or reference).expanduser().resolve()
    if not folder.is_dir():
        raise UsageError(
            "data names no folder of recordings on this machine; expected one.",
            told=f"data is {reference!r}, which is no folder; expected a folder of recordings.",
        )
    return folder
