"""Which signal of an ECG record is read: a lead by its name, the first one, or lead II wherever leads have names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .channel_roles import LEAD_II as LEAD_II_NAMES
from .channel_roles import OTHER_LEADS
from .errors import UnusableRecording, private

LEAD_II = "lead II"
"""Lead II by name (II, MLII, ...); in a record that names no lead, as LTAFDB and LTDB, the first signal."""
CHANNEL0 = "channel0"
"""Whatever comes first."""


def channel_of(names: Sequence[str], lead: str) -> int:
    """The number of the signal that is read as ``lead``: LEAD_II, CHANNEL0, or the name of a signal.

    ``names``: of the record's signals. Raises UnusableRecording where none can be.
    """
    if lead == CHANNEL0:
        return 0
    if lead != LEAD_II:
        if lead not in names:
            raise UnusableRecording(
                f"the record has no lead {lead}, only {', '.join(shown_channel(str(name)) for name in names)}."
            )
        return names.index(lead)
    for number, name in enumerate(names):
        if _is_called(name, (LEAD_II_NAMES,)):
            return number
    if any(_is_called(name, OTHER_LEADS) for name in names):
        raise UnusableRecording(
            f"the record has no lead II, only {', '.join(shown_channel(str(name)) for name in names)}."
        )
    return 0


def shown_channel(name: str) -> str:
    """The name of a signal if it is one that leads have; else marked as found, see `errors.private`."""
    return name if _is_called(name, (LEAD_II_NAMES, *OTHER_LEADS, r"ECG ?\d?")) else private(name)


def _is_called(name: str | None, patterns: Sequence[str]) -> bool:
    plain = " ".join((name or "").split())
    return any(re.fullmatch(pattern, plain, flags=re.IGNORECASE) for pattern in patterns)
