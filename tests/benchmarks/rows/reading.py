"""Reading recordings, against the plain loops over wfdb, MNE and nibabel that give the same arrays.

``read-*``: from files to arrays, in the project's way, every file checked before it is believed. ``cohort-*``: from
files to the labelled store that jobs read, with pseudonyms, evidence and, of beats, the waves of each; the plain loop
keeps signals and labels as they are with `numpy.save`. The recordings are phantoms, written once.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mne
import nibabel
import numpy as np
import torch
import wfdb
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


def _recordings(write: Callable[..., None], subjects: int) -> Path:
    folder = _scratch() / f"{write.__module__.rpartition('.')[2]}-{subjects}"
    if not folder.exists():
        write(folder, subjects=subjects)
    return folder.resolve()


def _tensors(arrays: Arrays) -> Results:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def _files(write: Callable[..., None], subjects: int, ours: Loop, plain: Loop, name: str) -> Callable[[Setting], Case]:
    def build(setting: Setting) -> Case:
        root = _recordings(write, 1 if setting.small else subjects)
        return Case(lambda: _tensors(ours(root)), {name: {"": lambda: _tensors(plain(root))}}, operations=0)

    return build


def _cohort(
    write: Callable[..., None], subjects: int, read: Callable[..., Cohort], plain: Loop, name: str
) -> Callable[[Setting], Case]:
    def build(setting: Setting) -> Case:
        root, out = _recordings(write, 2 if setting.small else subjects), _scratch() / "store"

        def ours() -> Results:
            shutil.rmtree(out, ignore_errors=True)
            cohort = read(root, key=KEY, out=out)
            return _tensors([cohort.signals(slice(None)), cohort.samples["label"].to_numpy()])

        def theirs() -> Results:
            arrays = plain(root)
            for place, array in enumerate(arrays):
                np.save(_scratch() / f"plain{place}.npy", array)
            return _tensors([np.load(_scratch() / f"plain{place}.npy") for place in range(len(arrays))])

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
    """Windows ``(sample, 1, 216)`` about every beat of the five classes, and their labels."""
    windows, labels = [], []
    for record in (root / "RECORDS").read_text().split():
        signal = wfdb.rdrecord(str(root / record), channel_names=["MLII"]).p_signal[:, 0]
        marks = wfdb.rdann(str(root / record), "atr")
        for place, symbol in zip(marks.sample, marks.symbol, strict=True):
            first = place - WINDOW // 2
            if symbol in SYMBOLS and first >= 0 and first + WINDOW <= len(signal):
                windows.append(signal[first : first + WINDOW])
                labels.append(SYMBOLS.index(symbol))
    return [np.array(windows, dtype=np.float32)[:, None], np.array(labels)]


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
    """Maps of every case on the grid of the study, by the nearest voxel; its label."""
    arrays = _volumes_plainly(root)[::2]
    sized = []
    for maps in arrays:
        places = [(2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(maps.shape[1:], SIZE, strict=True)]
        sized.append(maps[np.ix_(np.arange(len(maps)), *places)])
    return [np.stack(sized), np.ones(len(sized), dtype=np.int64)]


ROWS = tuple(
    Row(name, job, build, gpu=False)
    for name, job, build in (
        ("read-wfdb", "lead and beats of 8 WFDB records", _files(ecg_beats.write_phantom, 8, _leads, _leads_plainly,
                                                                  "wfdb loop")),
        ("read-edf", "three channels of 4 EDF nights", _files(sleep_stages.write_phantom, 2, _nights, _nights_plainly,
                                                              "MNE loop")),
        ("read-nifti", "maps and lesion of 4 NIfTI cases", _files(stroke_lesions.write_phantom, 4, _volumes,
                                                                  _volumes_plainly, "nibabel loop")),
        ("cohort-wfdb", "store of the beats of 8 records", _cohort(ecg_beats.write_phantom, 8, read_beats,
                                                                   _beats_plainly, "wfdb loop")),
        ("cohort-edf", "store of the epochs of 4 nights", _cohort(sleep_stages.write_phantom, 2, read_stages,
                                                                  _epochs_plainly, "MNE loop")),
        ("cohort-nifti", "store of 4 cases", _cohort(stroke_lesions.write_phantom, 4, read_isles, _sized_plainly,
                                                     "nibabel loop")),
    )
)  # fmt: skip
