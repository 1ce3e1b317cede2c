"""Rhythms of WFDB recordings, cut as by Vijayarangan et al. (2020): two seconds about an annotation, at 360 Hz."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .beat_symbols import BEAT_SYMBOLS, FLUTTER
from .delineation import WAVES, delineate_some
from .ecg_windows import EcgWindows, evidence_mask, span_columns, wave_columns
from .errors import CohortError, UnusableRecording, private
from .leads import CHANNEL0, LEAD_II, channel_of, shown_channel
from .resampling import moved, resampled
from .rhythm_labels import CLASSES, ECTOPIC, Build
from .rhythm_plan import Chosen, open_record, plan_rhythms, shown_recorder
from .store import Cohort, write_cohort
from .wfdb_files import folder_of_records, read_header, read_lead
from .writer import CohortDescription, Quarantined, Recorded

Absent = Literal["refuse", "leave_out"]
RATE = 360
"""Hertz: MIT-BIH's, to which LTAFDB's and LTDB's 128 are brought by 45/16."""
WINDOW = 720
_BLOCK = 4096


def read_rhythms(
    folder: Path | str,
    *,
    build: Build = "clinical",
    per_patient: int = 200,
    absent: Absent = "refuse",
    key: bytes,
    out: Path | str,
    study: str = "",
) -> Cohort:
    """Reads a folder of WFDB records into the cohort ``out``: (sample, 1, 720) in millivolts at 360 Hz.

    The folder holds records, or a folder of them per database or device. A sample is the window from one second
    before an annotation to one after; the classes are `rhythm_labels.CLASSES`, its two builds say which annotations
    are samples. ``clinical`` reads lead II by name, or the first signal where the record names no lead, and takes up
    to ``per_patient`` windows of each patient and class, evenly over the recordings; ``table1`` reads the first
    signal and takes all, as the paper must have done. Windows that cross an end or are flat, and all others left
    out, are counted. A record that cannot be used is quarantined with its reason. ``absent``: what becomes of classes
    without a sample. They are refused, or left out: the labels of the others do not change, and the manifest's
    ``dropped`` names them. ``key``: of the subjects' pseudonyms. ``study``: the name that the manifest bears. Raises
    CohortError when nothing is usable or a class is absent, ValueError for an argument out of range.

    Signals whose header gives no gain, as all of LTDB, are read with WFDB's 200 units per millivolt: their
    millivolts are nominal.

    The sample table tells where things lie, in points from the window's first, NaN where unknown:

    ``lead``, ``recorder``: the signal's name; the folder below ``folder``, else the database that the record looks
    like.
    ``p_start``, ``p_stop``, ``qrs_start``, ... ``t_stop``: the waves of the sample's own beat; of a rhythm's first mark
    that is the first beat at or after it. ``previous_qrs_start``, ... ``next_qrs_stop``: the QRS of its neighbours.
    All are clipped to the window, the stop not included.
    ``previous_r``, ``own_r``, ``next_r``: the annotations of these beats, not clipped.

    Evidence are the spans of ``record.evd``. Without that file it is known for PVC and PAC only: the ectopic beats of
    the sample's kind, each from halfway to the beat before to halfway to the beat after.
    """
    _check_arguments(build, per_patient, absent)
    root = folder_of_records(folder)
    lead = LEAD_II if build == "clinical" else CHANNEL0
    description = CohortDescription(
        study=study,
        classes=CLASSES,
        channels=(lead,),
        units=("mV",),
        sampling_rate=float(RATE),
        window=WINDOW,
        origin=WINDOW // 2,
        reader="wfdb_rhythms",
        parameters={"build": build} | ({"per_patient": per_patient} if build == "clinical" else {}),
    )
    plan = plan_rhythms(root, build, per_patient if build == "clinical" else None)
    planned = Counter(label for one in plan if isinstance(one, Chosen) for label in one.labelled.labels.tolist())
    if planned and absent == "refuse":
        _refuse_absent(planned, root)
    return write_cohort(out, description, _stream(root, plan, lead, absent), key=key)


def _check_arguments(build: str, per_patient: int, absent: str) -> None:
    if build not in get_args(Build):
        raise ValueError(f"build is {build!r}; expected one of {get_args(Build)}.")
    if per_patient < 1:
        raise ValueError(f"per_patient is {per_patient}; expected 1 window or more.")
    if absent not in get_args(Absent):
        raise ValueError(f"absent is {absent!r}; expected one of {get_args(Absent)}.")


def _absent(counts: Counter[int]) -> list[str]:
    return [name for label, name in enumerate(CLASSES) if not counts[label]]


def _refuse_absent(counts: Counter[int], root: Path) -> None:
    missing = _absent(counts)
    if missing:
        raise CohortError(
            f"{private(root)} has no sample of {', '.join(missing)}; expected all of {', '.join(CLASSES)}, "
            "or absent=leave_out to go on without."
        )


def _stream(
    root: Path, plan: list[Chosen | Quarantined], lead: str, absent: Absent
) -> Iterator[Recorded | Quarantined]:
    counts: Counter[int] = Counter()
    for one in plan:
        if isinstance(one, Quarantined):
            yield one
            continue
        try:
            for recorded in _recorded(root, one, lead):
                counts.update(recorded.labels.tolist())
                yield recorded
        except UnusableRecording as reason:
            yield Quarantined(one.name, reason.marked)
    if not counts:
        return  # that nothing is usable is told with the reasons
    if absent == "refuse":
        _refuse_absent(counts, root)
    yield _counted({f"no sample of {name}": 0 for name in _absent(counts)})


def _recorded(root: Path, chosen: Chosen, lead: str) -> Iterator[Recorded]:
    """The record's windows in blocks; everything that can be wrong is found before the first one."""
    record = open_record(root, chosen.name, {})
    header, marks = read_header(root, chosen.name), record.annotations
    channel = channel_of(header.sig_name, lead)
    signal, ratio = resampled(read_lead(root, chosen.name, header, channel), header.fs, RATE)
    is_beat = np.isin(marks.symbols, list(BEAT_SYMBOLS - {FLUTTER}))
    peaks = moved(marks.samples[is_beat], ratio)
    evidence = _Evidence(evidence_mask(root, chosen.name, header, ratio, len(signal)), peaks, marks.symbols[is_beat])
    windows = EcgWindows(signal, WINDOW)
    starts = moved(marks.samples[chosen.labelled.marks], ratio) - WINDOW // 2
    kept, unusable = windows.usable(starts)
    places, labels, starts = chosen.labelled.marks[kept], chosen.labelled.labels[kept], starts[kept]
    own = np.searchsorted(marks.samples[is_beat], marks.samples[places])
    columns = _columns(signal, peaks, own, starts)
    yield _counted(chosen.labelled.dropped)
    yield _counted(unusable)
    for rows, mask in evidence.of_windows(labels, len(signal)):
        for first in range(0, len(rows), _BLOCK):
            block = rows[first : first + _BLOCK]
            yield Recorded(
                recording=chosen.name,
                identity=chosen.subject.identity,
                facts=chosen.subject.facts,
                signals=windows.signals(starts[block]),
                labels=labels[block],
                onsets=marks.samples[places[block]],
                evidence=None if mask is None else windows.masks(mask, starts[block]),
                columns={"lead": shown_channel(header.sig_name[channel]), "recorder": shown_recorder(chosen.recorder)}
                | {name: values[block] for name, values in columns.items()},
            )


def _counted(dropped: Mapping[str, int]) -> Recorded:
    """No sample, but the windows that were left out, by reason."""
    nothing = np.empty(0, dtype=np.int64)
    return Recorded("", "", {}, np.empty((0, 1, WINDOW)), nothing, nothing, dropped=dropped)


@dataclass(frozen=True)
class _Evidence:
    """What is known of a record's evidence: ``marked`` (time,) by its own marks, else its beats, ``peaks`` (beat,)."""

    marked: NDArray[np.bool_] | None
    peaks: NDArray[np.int64]
    symbols: NDArray[np.str_]

    def of_windows(
        self, labels: NDArray[np.int64], length: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_] | None]]:
        """Places in ``labels`` (window,), and the mask (time,) of their evidence, None where it is unknown."""
        if self.marked is not None:
            yield np.arange(len(labels)), self.marked
            return
        ectopic = {CLASSES.index(name): symbol for name, symbol in ECTOPIC.items()}
        yield np.flatnonzero(~np.isin(labels, list(ectopic))), None
        for label, symbol in ectopic.items():
            yield np.flatnonzero(labels == label), self._beats_of(symbol, length)

    def _beats_of(self, symbol: str, length: int) -> NDArray[np.bool_]:
        """All beats with the symbol, from halfway to the beat before to halfway to the beat after."""
        halfway = np.concatenate(([0], (self.peaks[:-1] + self.peaks[1:]) // 2, [length]))
        mask = np.zeros(length, dtype=bool)
        for beat in np.flatnonzero(self.symbols == symbol):
            mask[halfway[beat] : halfway[beat + 1]] = True
        return mask


def _columns(
    signal: NDArray[np.float64], peaks: NDArray[np.int64], own: NDArray[np.int64], starts: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Where the beats ``own`` (window,) of the windows, places in ``peaks``, lie with their neighbours."""
    wanted = np.unique(np.concatenate([own - 1, own, own + 1]))
    waves = delineate_some(signal, RATE, peaks, wanted[(wanted >= 0) & (wanted < len(peaks))])
    # No beat comes before the first, none after the last, and an own beat may be missing after the last mark.
    waves = np.pad(waves, ((1, 2), (0, 0), (0, 0)), constant_values=np.nan)
    r = np.pad(peaks.astype(np.float64), (1, 2), constant_values=np.nan)
    beats = {"previous": own, "own": own + 1, "next": own + 2}
    spans = {name: waves[beat] - starts[:, None, None] for name, beat in beats.items()}
    columns = wave_columns(spans["own"], WINDOW)
    for name in ("previous", "next"):
        columns |= span_columns(f"{name}_qrs", spans[name][:, WAVES.index("qrs")], WINDOW)
    return columns | {f"{name}_r": r[beat] - starts for name, beat in beats.items()}
