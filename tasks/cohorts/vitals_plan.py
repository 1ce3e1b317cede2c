"""Which windows of which records make a cohort of bedside signals, decided before the first one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .channel_roles import assign
from .errors import UnusableRecording, private
from .subject_facts import Subject, combined
from .vitals_evidence import read_evidence_marks
from .vitals_windows import Cut, Source, VitalsWindows, cut_by_block, cut_by_pressure, read_grid
from .wfdb_segments import WholeRecord

Task = Literal["icp-above-20", "which-patient"]
ICP_CLASSES = ("ICP up to 15", "ICP above 20")
_PATIENTS = 2
"""The least that a task, and a class of the ICP task, needs."""


@dataclass(frozen=True)
class Plan:
    """What will be read, decided before the first window is written: by record its source and its windows."""

    task: Task
    roles: tuple[str, ...]
    classes: tuple[str, ...]
    sources: Mapping[str, Source]
    cuts: Mapping[str, Cut]
    quarantined: Mapping[str, str]


def plan_cohort(
    root: Path, opened: Mapping[str, WholeRecord | str], table: Mapping[str, Subject], how: VitalsWindows
) -> Plan | str:
    """Which windows of which records make the cohort of these roles, or why they make none."""
    sources, quarantined = _sources(opened, table, how.roles)
    refusal = _too_few(how.roles, sources, list(sources), quarantined)
    if refusal:
        return refusal
    cuts: dict[Task, dict[str, Cut]] = {"icp-above-20": {}, "which-patient": {}}
    for name, source in sources.items():
        try:
            grid = read_grid(root, source, how)
            read_evidence_marks(root, source)
        except UnusableRecording as reason:
            quarantined[name] = reason.marked
            continue
        cuts["which-patient"][name] = cut_by_block(source, grid, how)
        if "ICP" in how.roles:
            cuts["icp-above-20"][name] = cut_by_pressure(source, grid, how)
    task: Task = "icp-above-20" if _both_pressures(sources, cuts["icp-above-20"]) else "which-patient"
    for name, cut in cuts[task].items():
        if not len(cut.starts):
            quarantined[name] = _why_no_window(cut)
    usable = {name: cut for name, cut in cuts[task].items() if len(cut.starts)}
    refusal = _too_few(how.roles, sources, list(usable), quarantined)
    if refusal:
        return refusal
    if task == "icp-above-20":
        return Plan(task, how.roles, ICP_CLASSES, sources, usable, quarantined)
    patients, numbered = _numbered(sources, usable)
    return Plan(task, how.roles, patients, sources, numbered, quarantined)


def _sources(
    opened: Mapping[str, WholeRecord | str], table: Mapping[str, Subject], roles: tuple[str, ...]
) -> tuple[dict[str, Source], dict[str, str]]:
    """The records that have a signal for every role, and why the others do not serve."""
    sources, quarantined = {}, {}
    for name, record in opened.items():
        try:
            if isinstance(record, str):
                raise UnusableRecording(record)
            subject = combined(name, record.comments, table)
            sources[name] = Source(record, assign(record.signals, roles), subject)
        except UnusableRecording as reason:
            quarantined[name] = reason.marked
    return sources, quarantined


def _too_few(
    roles: tuple[str, ...],
    sources: Mapping[str, Source],
    usable: Sequence[str],
    quarantined: Mapping[str, str],
) -> str:
    """Why these records are not enough for a task, without a full stop; empty when they are enough."""
    patients = len({sources[name].subject.identity for name in usable})
    if patients >= _PATIENTS:
        return ""
    first = next(iter(quarantined.items()), None)
    because = f" ({private(first[0])}: {first[1].rstrip('.')})" if first else ""
    return f"{patients} patients have usable {', '.join(roles)}; expected {_PATIENTS} or more{because}"


def _both_pressures(sources: Mapping[str, Source], cuts: Mapping[str, Cut]) -> bool:
    """Whether each class of the ICP task occurs in enough patients."""
    patients: tuple[set[str], set[str]] = (set(), set())
    for name, cut in cuts.items():
        for label in np.unique(cut.labels):
            patients[label].add(sources[name].subject.identity)
    return min(map(len, patients)) >= _PATIENTS


def _numbered(sources: Mapping[str, Source], cuts: Mapping[str, Cut]) -> tuple[tuple[str, ...], dict[str, Cut]]:
    """Names of the patients, and each record's windows labelled with its patient's number."""
    identities = list(dict.fromkeys(sources[name].subject.identity for name in sorted(cuts)))
    labelled = {
        name: Cut(cut.starts, cut.labels + identities.index(sources[name].subject.identity), cut.dropped)
        for name, cut in cuts.items()
    }
    return tuple(f"patient {number}" for number in range(1, len(identities) + 1)), labelled


def _why_no_window(cut: Cut) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in cut.dropped.items() if count)
    return f"none of its windows is usable ({reasons or 'it is shorter than one'})."
