"""What can be wrong with recordings: with one of them, or with all; and what of it may leave their folder."""

from __future__ import annotations

import re

_BEGIN, _END = "\ue000", "\ue001"
"""Characters without a meaning (private use area) around what was found in a folder of recordings."""
_MARKED = re.compile(f"{_BEGIN}([^{_END}]*)(?:{_END}|$)")
_ENDING = re.compile(r"\.(hea|dat|atr|evd|edf|nii|nii\.gz|txt|csv)$")
CONCEALED = "…"


def private(found: object) -> str:
    """Marks, within a message, what was found in the folder of recordings: names of files, words of headers.

    A name can hold a hospital number and a header a birth date, so they are shown only to the person who named the
    folder. What is kept (cohort, ledger, MLflow, Prefect) is `concealed`.
    """
    return f"{_BEGIN}{plain(str(found))}{_END}"


def plain(message: str) -> str:
    """The message without marks, as its reader at the terminal sees it."""
    return message.replace(_BEGIN, "").replace(_END, "")


def concealed(message: str) -> str:
    """The message with an ellipsis for everything `private`; of a file's name the known ending stays."""
    return _MARKED.sub(lambda found: CONCEALED + _known_ending(found[1]), message)


def _known_ending(name: str) -> str:
    found = _ENDING.search(name)
    return found[0] if found else ""


class CohortError(ValueError):
    """Nothing can be read, or a cohort cannot be opened; the message is one sentence for the user."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(plain(message)))
        self.marked = message


class ConcealedError(CohortError):
    """A CohortError on its way through a flow, which keeps and logs messages: ``told`` is for the terminal only."""

    def __init__(self, message: str) -> None:
        super().__init__(concealed(message))
        self.told = _one_line(plain(message))


class UnusableRecording(Exception):  # noqa: N818 - the name is the reason
    """One recording cannot be used; the message is the reason, one sentence. The others go on.

    ``marked``: the message with its marks, see `private`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(plain(message)))
        self.marked = message


def _one_line(message: str) -> str:
    return " ".join(message.split())
