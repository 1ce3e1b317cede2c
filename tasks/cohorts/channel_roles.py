"""Which signal of a record plays which role: found by its name and its unit, whatever its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import UnusableRecording, private


@dataclass(frozen=True)
class Signal:
    """One signal of a record: its name, its unit, and its rate in hertz."""

    name: str
    unit: str
    rate: float


@dataclass(frozen=True)
class Role:
    """What a signal must be to play a role.

    ``names``: patterns of names, the preferred first, capitals alike. ``unit``: that the values get.
    ``factors``: by unit found, what a value is multiplied with; None takes any unit as it is.
    ``slowest``: hertz. ``rests``: the value may stand still for long without being wrong.
    """

    names: tuple[str, ...]
    unit: str
    factors: Mapping[str, float] | None
    slowest: float = 25.0
    rests: bool = False


LEAD_II = r"(ECG )?(lead )?(ML)?II"
OTHER_LEADS = (r"(ECG )?(lead )?(ML)?(I|III)", r"(ECG )?V\d?", r"MCL\d?", r"aV[RLF]")
"""Patterns of the names of leads."""
_MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
_LONGEST_NAME = 10
_UNITS = frozenset({"mV", "uV", "V", "mmHg", "kPa", "NU", "%", "adu", "bpm"})
_MMHG = {"mmHg": 1.0, "kPa": 7.50061683}
ROLES = {
    "ECG": Role(
        names=(LEAD_II, r"ECG ?\d*", *OTHER_LEADS),
        unit="mV",
        factors=_MILLIVOLTS,
    ),
    "ABP": Role(names=(r"ABP\d?", r"ART\d?", r"IBP\d?", r"BP\d?", r"P\d"), unit="mmHg", factors=_MMHG),
    "ICP": Role(names=(r"ICP\d?",), unit="mmHg", factors=_MMHG),
    "PLETH": Role(names=(r"PLETH\w*", r"PPG\d?"), unit="NU", factors=None),
    "SPO2": Role(names=(r"SpO2", r"SaO2"), unit="%", factors={"%": 1.0}, slowest=0.1, rests=True),
    "RESP": Role(names=(r"RESP\w*",), unit="NU", factors=None, slowest=5.0),
}
STAND_INS = {"PULSE": ("ABP", "PLETH")}
"""Roles that several others may play, the preferred first: a pulse wave is a pressure, else a plethysmogram."""


@dataclass(frozen=True)
class Assigned:
    """``signal``, the record's ``number``-th, plays ``role``; its values times ``factor`` are in ``unit``."""

    role: str
    number: int
    signal: Signal
    factor: float
    unit: str
    rests: bool


def assign(signals: Sequence[Signal], roles: Sequence[str]) -> tuple[Assigned, ...]:
    """The signal of every role, in the roles' order; none plays two.

    Raises UnusableRecording naming the first role that no signal can play, with what there is; ValueError
    for a role that does not exist.
    """
    check_roles(roles)
    taken: list[Assigned] = []
    for role in roles:
        free = [number for number in range(len(signals)) if number not in {one.number for one in taken}]
        taken.append(_find(role, signals, free))
    return tuple(taken)


def shown_signal(name: str) -> str:
    """The name of a signal if it is one of a role's; else marked as found, see `errors.private`."""
    known = len(name) <= _LONGEST_NAME and any(_rank(role, name) < len(role.names) for role in ROLES.values())
    return name if known else private(name)


def check_roles(roles: Sequence[str]) -> None:
    """Raises ValueError for no role, one that does not exist, or one that is asked for twice."""
    known = (*ROLES, *STAND_INS)
    unknown = [role for role in roles if role not in known]
    if unknown:
        raise ValueError(f"roles has {unknown[0]!r}; expected some of {', '.join(known)}.")
    if not roles or len(set(roles)) < len(roles):
        raise ValueError(f"roles is {tuple(roles)}; expected one or more, each once.")


def common_unit(units: Sequence[str]) -> str:
    """The unit of a channel whose records bring ``units``: theirs if they agree, else NU (WFDB: no unit)."""
    return units[0] if len(set(units)) == 1 else "NU"


def _find(role: str, signals: Sequence[Signal], free: Sequence[int]) -> Assigned:
    objections: list[str] = []
    for played in STAND_INS.get(role, (role,)):
        needs = ROLES[played]
        for number in _by_preference(needs, signals, free):
            objection = _objection(played, needs, signals[number])
            if not objection:
                unit = signals[number].unit
                factor = 1.0 if needs.factors is None else needs.factors[unit]
                return Assigned(role, number, signals[number], factor, needs.unit, needs.rests)
            objections.append(objection)
    if objections:
        raise UnusableRecording(objections[0])
    names = [shown_signal(signal.name) if signal.name else "one without a name" for signal in signals]
    there = ", ".join(names) or "no signal"
    wanted = " or ".join(STAND_INS.get(role, (role,)))
    raise UnusableRecording(f"the record has no {wanted} signal, only {there}.")


def _by_preference(needs: Role, signals: Sequence[Signal], free: Sequence[int]) -> list[int]:
    ranked = [(_rank(needs, signals[number].name), number) for number in free]
    return [number for rank, number in sorted(ranked) if rank < len(needs.names)]


def _rank(needs: Role, name: str) -> int:
    plain = " ".join(name.split())
    fits = (place for place, names in enumerate(needs.names) if re.fullmatch(names, plain, flags=re.IGNORECASE))
    return next(fits, len(needs.names))


def _objection(role: str, needs: Role, signal: Signal) -> str:
    """Why the signal cannot play the role that its name promises; empty when it can."""
    if needs.factors is not None and signal.unit not in needs.factors:
        unit = signal.unit if signal.unit in _UNITS else private(signal.unit)
        found = f"signal {shown_signal(signal.name)} is in {unit if signal.unit else 'no unit'}"
        return f"{found}; {role} expects {' or '.join(needs.factors)}."
    if signal.rate < needs.slowest:
        return f"signal {shown_signal(signal.name)} has {signal.rate:g} Hz; {role} expects {needs.slowest:g} or more."
    return ""
