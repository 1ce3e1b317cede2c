"""Bedside signals of WFDB records (ECG, pressures, pulse waves) as windows of the multichannel studies.

After van der Westhuizen & Lasenby (2017), whose two sets are private: 100 points of ECG, ABP and ICP, and 216
points of ECG, ABP and a pulse wave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .channel_roles import check_roles, common_unit, shown_signal
from .errors import CohortError, UnusableRecording
from .store import Cohort, write_cohort
from .subject_facts import read_subject_table
from .vitals_evidence import read_evidence
from .vitals_plan import Plan, Task, plan_cohort
from .vitals_windows import Cut, Source, VitalsWindows, read_grid
from .wfdb_files import folder_of_records, record_names
from .wfdb_segments import WholeRecord, open_record, segment_names
from .writer import CohortDescription, Quarantined, Recorded

_BLOCK = 4096


def read_vitals(
    folder: Path | str,
    *,
    role_sets: Sequence[Sequence[str]],
    window: int,
    rate: float,
    block_seconds: float = 30.0,
    horizon_seconds: float = 60.0,
    key: bytes,
    out: Path | str,
    study: str = "",
) -> Cohort:
    """Reads a folder of WFDB records into the cohort ``out``: (sample, role, window), each role in its unit.

    The channels are the first of ``role_sets`` (see `channel_roles`) for which at least two patients have usable
    windows; records without it are quarantined. Signals of any rate are brought to ``rate`` hertz and cut into
    consecutive windows of ``window`` points; those with points that cannot be believed are dropped and counted
    (see `signal_validity`; a segment without samples is counted there too). The task is in the manifest's
    parameters:

    ``icp-above-20``, if the roles have ICP and both classes occur in two patients or more: is the mean ICP of
    the ``horizon_seconds`` after the window above 20 mmHg, or at most 15? Others are dropped. The patient is
    the subject.
    ``which-patient``, otherwise: patients are numbered in the order of their first records' names. The subject
    is a block of ``block_seconds`` of one record; windows across its edges are dropped.

    ``key``: of the subjects' pseudonyms. ``study``: the name that the manifest bears. Evidence comes from
    ``record.evd``. Raises CohortError when no role set serves, ValueError for an argument out of range.
    """
    sets = [tuple(roles) for roles in role_sets]
    _check_arguments(sets, window, rate, block_seconds, horizon_seconds)
    root = folder_of_records(folder)
    table = read_subject_table(root)
    listed = record_names(root)
    parts = segment_names(root, listed)
    names = [name for name in listed if name not in parts]
    opened = {name: _opened(root, name) for name in names}
    refusals: list[str] = []
    for roles in sets:
        how = VitalsWindows(roles, window, rate, block_seconds, horizon_seconds)
        plan = plan_cohort(root, opened, table, how)
        if isinstance(plan, Plan):
            stream = _stream(root, names, plan, how)
            return write_cohort(out, _description(study, plan, how), stream, key=key)
        refusals.append(plan)
    raise CohortError("; ".join(refusals) + ".")


def _check_arguments(
    role_sets: Sequence[tuple[str, ...]], window: int, rate: float, block_seconds: float, horizon_seconds: float
) -> None:
    if not role_sets:
        raise ValueError("role_sets is empty; expected one set of roles or more.")
    for roles in role_sets:
        check_roles(roles)
    if window < 2:
        raise ValueError(f"window is {window}; expected 2 points or more.")
    if not 1 <= rate <= 1000:
        raise ValueError(f"rate is {rate}; expected 1 to 1000 hertz.")
    if not window / rate <= block_seconds <= 86_400:
        raise ValueError(f"block_seconds is {block_seconds}; expected at least a window's {window / rate:g}.")
    if not 1 <= horizon_seconds <= 86_400:
        raise ValueError(f"horizon_seconds is {horizon_seconds}; expected 1 to 86400.")


def _opened(root: Path, name: str) -> WholeRecord | str:
    """The record, or why there is none."""
    try:
        return open_record(root, name)
    except UnusableRecording as reason:
        return reason.marked


def _description(study: str, plan: Plan, how: VitalsWindows) -> CohortDescription:
    parameters: dict[str, Any] = {"task": plan.task, "roles": list(plan.roles), "window": how.window, "rate": how.rate}
    if plan.task == "which-patient":
        parameters["block_seconds"] = how.block_seconds
    else:
        parameters["horizon_seconds"] = how.horizon_seconds
    used = [plan.sources[name].assigned for name in plan.cuts]
    return CohortDescription(
        study=study,
        classes=plan.classes,
        channels=plan.roles,
        units=tuple(common_unit([one.unit for one in role]) for role in zip(*used, strict=True)),
        sampling_rate=float(how.rate),
        window=how.window,
        origin=0,
        reader="wfdb_vitals",
        parameters=parameters,
        subject_kind="block" if plan.task == "which-patient" else "subject",
    )


def _stream(root: Path, names: Sequence[str], plan: Plan, how: VitalsWindows) -> Iterator[Recorded | Quarantined]:
    for name in names:
        if name in plan.quarantined:
            yield Quarantined(name, plan.quarantined[name])
        else:
            yield from _recorded(root, plan.task, plan.sources[name], plan.cuts[name], how)


def _recorded(root: Path, task: Task, source: Source, cut: Cut, how: VitalsWindows) -> Iterator[Recorded]:
    """The record's windows in blocks."""
    grid = read_grid(root, source, how)
    evidence = read_evidence(root, source, grid.states.shape, how.rate)
    record = source.record
    roles = {f"{one.role.lower()}_signal": shown_signal(one.signal.name) for one in source.assigned}
    for first in range(0, len(cut.starts), _BLOCK):
        starts = cut.starts[first : first + _BLOCK]
        blocks = (starts // (how.block_seconds * how.rate)).astype(np.int64)
        identity = source.subject.identity
        yield Recorded(
            recording=record.name,
            identity=[f"{identity} {record.name} {block}" for block in blocks] if task == "which-patient" else identity,
            facts=source.subject.facts,
            signals=_windows(grid.signals, starts, how.window),
            labels=cut.labels[first : first + _BLOCK],
            onsets=np.rint(starts * (record.rate / how.rate)).astype(np.int64),
            evidence=None if evidence is None else _windows(evidence, starts, how.window),
            columns=roles | ({"block": blocks} if task == "which-patient" else {}),
            dropped=cut.dropped if first == 0 else {},
        )


def _windows(values: NDArray[Any], starts: NDArray[np.int64], window: int) -> NDArray[Any]:
    """Windows (window, role, time) of values (role, time)."""
    return sliding_window_view(values, window, axis=1)[:, starts].transpose(1, 0, 2)
