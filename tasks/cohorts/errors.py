"""What can be wrong with recordings: with one of them, or with all."""

from __future__ import annotations


class CohortError(ValueError):
    """Nothing can be read, or a cohort cannot be opened; the message is one sentence for the user."""


class UnusableRecording(Exception):  # noqa: N818 - the name is the reason
    """One recording cannot be used; the message is the reason, one sentence. The others go on."""
