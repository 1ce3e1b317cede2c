"""Reading recordings, against the plain loops over wfdb, MNE and nibabel that give the same arrays.

``read-*``: from files to arrays, in the project's way, every file checked before it is believed. ``cohort-*``: from
files to a store in chunks that jobs read: signals, labels and, of beats, the waves of each, which the plain loop has
from neurokit2's delineator, of cases the volumes in full; these are timed only. Ours also tells evidence, pseudonyms
and a digest. The recordings are phantoms as long and as large as the real ones, written once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mne
import neurokit2
import nibabel
import numpy as np
import torch
import wfdb
import zarr
from numpy.typing import NDArray

from tasks.cohorts.edf_files import read_edf_header, read_edf_signals
from tasks.cohorts.edf_stages import CHANNELS, read_stages
from tasks.cohorts.isles import MAPS, case_files, read_isles
from tasks.cohorts.nifti_case import read_maps
from tasks.cohorts.phantoms import ecg_beats, sleep_stages, stroke_lesions
from tasks.cohorts.store import Cohort
from tasks.cohorts.wfdb_beats import BEAT_NAMES, read_beats
from tasks.cohorts.wfdb_files import read_annotations, read_header, read_lead, record_names

from ..row import Case, Results, Row, Setting

KEY = b"sixteen bytes or more"
SYMBOLS = (*BEAT_NAMES, "V")
STAGES = ("W", "1", "2", "3", "R")
WINDOW, EPOCH, SIZE = 216, 3000, (19, 48, 48)

Arrays = list[NDArray[Any]]
Loop = Callable[[Path], Arrays]


@cache
def _scratch() -> Path:
    """A folder for as long as the process lives."""
    folder = tempfile.TemporaryDirectory(prefix="plumbline-bench-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@dataclass(frozen=True)
class Phantoms:
    """Recordings to be read: who writes them, of how many subjects, and what makes them as large as real ones."""

    write: Callable[..., None]
    subjects: int
    size: Mapping[str, int]

    def folder(self, setting: Setting) -> Path:
        """Where they lie; the small form has two short subjects."""
        subjects, size = (2, {}) if setting.small else (self.subjects, dict(self.size))
        name = "-".join(map(str, [self.write.__module__.rpartition(".")[2], subjects, *size.values()]))
        folder = _scratch() / name
        if not folder.exists():
            self.write(folder, subjects=subjects, **size)
        return folder.resolve()


def _tensors(arrays: Arrays) -> Results:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def _files(phantoms: Phantoms, ours: Loop, plain: Loop, name: str) -> Callable[[Setting], Case]:
    def build(setting: Setting) -> Case:
        root = phantoms.folder(setting)
        return Case(lambda: _tensors(ours(root)), {name: {"": lambda: _tensors(plain(root))}}, operations=0)

    return build


def _cohort(phantoms: Phantoms, read: Callable[..., Cohort], plain: Loop, name: str) -> Callable[[Setting], Case]:
    """The plain loop gives signals and labels first; whatever follows is stored and not compared."""

    def build(setting: Setting) -> Case:
        root, out = phantoms.folder(setting), _scratch() / "store"

        def ours() -> Results:
            shutil.rmtree(out, ignore_errors=True)
            cohort = read(root, key=KEY, out=out)
            return _tensors([cohort.signals(slice(None)), cohort.samples["label"].to_numpy()])

        def theirs() -> Results:
            group = zarr.open_group(_scratch() / "plain", mode="w")
            for place, array in enumerate(plain(root)):
                group.create_array(str(place), data=array, chunks=(min(256, len(array)), *array.shape[1:]))
            return _tensors([np.asarray(group[str(place)]) for place in range(2)])

        return Case(ours, {name: {"": theirs}}, operations=0)

    return build


def _leads(root: Path) -> Arrays:
    """MLII of every record, and where its beats are."""
    found: Arrays = []
    for record in record_names(root):
        header = read_header(root, record)
        found.append(read_lead(root, record, header, header.sig_name.index("MLII")))
        found.append(read_annotations(root, record, "atr", header)[0])
    return found


def _leads_plainly(root: Path) -> Arrays:
    found: Arrays = []
    for record in (root / "RECORDS").read_text().split():
        read = wfdb.rdrecord(str(root / record), channel_names=["MLII"])
        found += [read.p_signal[:, 0], wfdb.rdann(str(root / record), "atr").sample]
    return found


def _beats_plainly(root: Path) -> Arrays:
    """Windows ``(sample, 1, 216)`` about every beat of the five classes, their labels, and where their waves are."""
    windows, labels, waves = [], [], []
    for record in (root / "RECORDS").read_text().split():
        signal = wfdb.rdrecord(str(root / record), channel_names=["MLII"]).p_signal[:, 0]
        marks = wfdb.rdann(str(root / record), "atr")
        found = _waves_plainly(signal, marks.sample)
        for beat, (place, symbol) in enumerate(zip(marks.sample, marks.symbol, strict=True)):
            first = place - WINDOW // 2
            if symbol in SYMBOLS and first >= 0 and first + WINDOW <= len(signal):
                windows.append(signal[first : first + WINDOW])
                labels.append(SYMBOLS.index(symbol))
                waves.append(found[beat] - first)
    return [np.array(windows, dtype=np.float32)[:, None], np.array(labels), np.array(waves)]


def _waves_plainly(signal: NDArray[np.float64], peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Onset and offset of P, QRS and T of each beat ``(beat, 6)``, in points; NaN where unknown."""
    clean = neurokit2.ecg_clean(signal, sampling_rate=360)
    found = neurokit2.ecg_delineate(clean, peaks, sampling_rate=360, method="dwt")[1]
    return np.array([found[f"ECG_{wave}_{end}"] for wave in "PRT" for end in ("Onsets", "Offsets")], dtype=float).T


def _nights(root: Path) -> Arrays:
    """The channels of every night, in the units of its header."""
    files = sorted(root.glob("*-PSG.edf"))
    return [read_edf_signals(file, read_edf_header(file), tuple(CHANNELS), 100.0) for file in files]


def _nights_plainly(root: Path) -> Arrays:
    return [_night(file) for file in sorted(root.glob("*-PSG.edf"))]


def _night(file: Path) -> NDArray[np.float64]:
    raw = mne.io.read_raw_edf(file, include=list(CHANNELS), stim_channel=None, verbose="error")
    return 1e6 * raw.get_data(picks=list(CHANNELS))


def _epochs_plainly(root: Path) -> Arrays:
    """Epochs ``(sample, channel, 3000)`` with a stage and without an error of the telemetry, and their stages."""
    signals, labels = [], []
    for file in sorted(root.glob("*-PSG.edf")):
        night = _night(file)
        count = night.shape[1] // EPOCH
        epochs = night[:, : count * EPOCH].reshape(len(night), count, EPOCH).swapaxes(0, 1)
        stages = np.full(count, -1)
        (hypnogram,) = root.glob(f"{file.name[:7]}?-Hypnogram.edf")
        for mark in mne.read_annotations(hypnogram):
            stage = mark["description"].removeprefix("Sleep stage ").replace("4", "3")
            first = round(mark["onset"] / 30)
            if stage in STAGES:
                stages[first : first + round(mark["duration"] / 30)] = STAGES.index(stage)
        marker = mne.io.read_raw_edf(file, include=["Marker"], stim_channel=None, verbose="error").get_data()[0]
        wrong = (marker[: count * (len(marker) // count)].reshape(count, -1) < 0).any(1)
        kept = (stages >= 0) & ~wrong
        chosen = epochs[kept]
        mean, spread = chosen.mean(axis=(0, 2)), chosen.std(axis=(0, 2))
        signals.append(((chosen - mean[:, None]) / spread[:, None]).astype(np.float32))
        labels.append(stages[kept])
    return [np.concatenate(signals), np.concatenate(labels)]


def _cases(root: Path) -> list[Path]:
    return sorted(root.rglob("training_*"), key=lambda case: int(case.name.rpartition("_")[2]))


def _volumes(root: Path) -> Arrays:
    """All maps of every case ``(map, depth, height, width)``, and its lesion."""
    found: Arrays = []
    for case in _cases(root):
        read = read_maps(root, case_files(root, case.relative_to(root).as_posix()), MAPS)
        found += [read.signals, read.marked]
    return found


def _volumes_plainly(root: Path) -> Arrays:
    found: Arrays = []
    for case in _cases(root):
        maps = [_volume(case, f"*MR_{name}.*") for name in MAPS]
        found += [np.stack(maps).astype(np.float32), _volume(case, "*.OT.*") == 1]
    return found


def _volume(case: Path, pattern: str) -> NDArray[Any]:
    (file,) = case.glob(f"{pattern}/*.nii*")
    return np.asarray(nibabel.load(file).dataobj).transpose(2, 1, 0)


def _sized_plainly(root: Path) -> Arrays:
    """Maps of every case on the grid of the study, by the nearest voxel; its label; maps and lesions as they were."""
    arrays = _volumes_plainly(root)
    sized = []
    for maps in arrays[::2]:
        places = [(2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(maps.shape[1:], SIZE, strict=True)]
        sized.append(maps[np.ix_(np.arange(len(maps)), *places)])
    return [np.stack(sized), np.ones(len(sized), dtype=np.int64), *arrays]


BEATS = Phantoms(ecg_beats.write_phantom, 4, {"beats_per_class": 400})
FEW_BEATS = Phantoms(ecg_beats.write_phantom, 2, {"beats_per_class": 30})
"""neurokit2's own delineator takes a minute for half an hour."""
NIGHTS = Phantoms(sleep_stages.write_phantom, 1, {"minutes": 480})
CASES = Phantoms(stroke_lesions.write_phantom, 4, {"side": 192})
HALF_HOURS, WHOLE_NIGHTS = "4 WFDB records of half an hour", "2 EDF nights of 8 hours"
WFDB, MNE, NIBABEL = "wfdb loop", "MNE loop", "nibabel loop"

ROWS = tuple(
    Row(name, job, build, gpu=False)
    for name, job, build in (
        ("read-wfdb", f"a lead and beats of {HALF_HOURS}", _files(BEATS, _leads, _leads_plainly, WFDB)),
        ("read-edf", f"three channels of {WHOLE_NIGHTS}", _files(NIGHTS, _nights, _nights_plainly, MNE)),
        ("read-nifti", "maps and lesion of 4 NIfTI cases", _files(CASES, _volumes, _volumes_plainly, NIBABEL)),
        ("cohort-wfdb", "store of the beats of 2 short records", _cohort(FEW_BEATS, read_beats, _beats_plainly, WFDB)),
        ("cohort-edf", f"store of the epochs of {WHOLE_NIGHTS}", _cohort(NIGHTS, read_stages, _epochs_plainly, MNE)),
        ("cohort-nifti", "store of 4 cases", _cohort(CASES, read_isles, _sized_plainly, NIBABEL)),
    )
)
