"""Explains one recording with a registered version and writes the map back in the recording's own format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from numpy.typing import NDArray

from models.bundle import LESION, BundleConfig, load_bundle
from tasks.cohorts.case_samples import read_case_samples
from tasks.cohorts.nifti_files import SUFFIXES as NIFTI_SUFFIXES
from tasks.cohorts.nifti_relevance import NIFTI_SUFFIX, prediction_beside, write_mask_nifti, write_relevance_nifti
from tasks.cohorts.recording import EDF_SUFFIX, Recording, read_recording, windows_at
from tasks.cohorts.write_back import spread, write_back
from tasks.errors import UsageError
from tasks.progress import track
from tasks.publishing.registry import VersionRef, download, resolve
from tasks.settings import Settings

from .studies.unet_paper import CORRECT

WINDOWS_AT_ONCE, VOLUMES_AT_ONCE = 256, 4
WINDOW_METHOD, CASE_METHOD = "occlusion_w10", CORRECT
"""The explainers where none is named; occlusion of a volume voxel by voxel would take hours."""


RECORD_NAME = re.compile(r"[-\w]+", re.ASCII)
PREDICT_ONLY = "none"
"""The method of whoever wants no map."""


@dataclass(frozen=True)
class Explained:
    """How many samples were explained, what they are ("windows", "patches" or "volume"), and the explainer."""

    count: int
    what: str
    method: str


@dataclass(frozen=True)
class Said:
    """What a version says of a recording: a ``table``, how often it ``predicted`` each class, its ``confidence``."""

    table: pd.DataFrame
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Loaded:
    """A version that was asked for as ``reference``, ready to answer."""

    reference: str
    version: VersionRef
    config: BundleConfig
    served: PyFuncModel

    def answer(self, inputs: NDArray[np.float32], method: str) -> dict[str, NDArray[np.float32]]:
        """``probability`` and, unless the method is PREDICT_ONLY, ``attribution`` of (sample, channel, *grid)."""
        params = {} if method == PREDICT_ONLY else {"explain": method}
        return cast(dict[str, NDArray[np.float32]], self.served.predict(inputs, params=params))


def explain_recording(model: str, file: Path, method: str | None, out: Path) -> Explained:
    """Explains one recording and writes the map in the recording's own format to ``out``.

    Of a WFDB record or EDF file every window is explained, cut as the version's cohort was: windows lie around beats
    (the record's annotations, else found by a detector) or, where the version's channels are roles or the file is
    EDF, one after the other wherever the signals can be believed. Where windows overlap, maps are averaged; points
    that no window covers are NaN. ``out`` ends in ``.hea`` (WFDB) or ``.edf``, the map as one more signal per channel,
    or in ``.csv``.

    Of a case of NIfTI files, ``file`` being its folder or one of its files, ``out`` ends in ``.nii.gz``: relevance on
    the case's own grid (see `write_relevance_nifti`), and beside it the lesion that the version sees.

    ``method``: an explainer's name; None stands for WINDOW_METHOD or CASE_METHOD.
    """
    if method == PREDICT_ONLY:
        raise UsageError("--method is none, which is for a folder; expected an explainer for one recording.")
    _check_out(file, out)
    loaded = load_version(model)
    return explain_file(loaded, file, method_of(loaded, method), out)[0]


def load_version(model: str) -> Loaded:
    """The version that ``model`` means now; UsageError where it reads no recordings."""
    version = resolve(model)
    config = load_bundle(download(version, Settings().root)).config
    if config.channels == ("intensity",):
        raise UsageError(f"{model} reads images; explain takes recordings, images are explained by the served version.")
    return Loaded(model, version, config, mlflow.pyfunc.load_model(version.uri))


def method_of(loaded: Loaded, method: str | None) -> str:
    """The method, or the default one of such a version."""
    return method or (CASE_METHOD if loaded.config.volume else WINDOW_METHOD)


def explain_file(loaded: Loaded, file: Path, method: str, out: Path) -> tuple[Explained, Said]:
    """Explains one recording or case as `explain_recording` does; with PREDICT_ONLY it writes no map."""
    of_case = _check_out(file, out)
    if of_case != (loaded.config.volume is not None):
        wanted = "a case of NIfTI files" if loaded.config.volume else "a WFDB header or an EDF file"
        raise UsageError(f"{file} is nothing that {loaded.reference} reads; expected {wanted}.")
    return (_explain_case if of_case else _explain_windows)(loaded, file, method, out)


def _explain_windows(loaded: Loaded, file: Path, method: str, out: Path) -> tuple[Explained, Said]:
    config = loaded.config
    recording = read_recording(file, config.channels, config.sampling_rate, config.window)
    _check_units(file, recording, config)
    starts = recording.starts
    answers = []
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        windows = windows_at(recording, starts[first : first + WINDOWS_AT_ONCE], config.window)
        answers.append(loaded.answer(windows, method))
    if method != PREDICT_ONLY:
        maps = [each for answer in answers for each in answer["attribution"]]
        write_back(recording, spread(maps, starts, recording.signal.shape), method, out)
    probability = np.concatenate([answer["probability"] for answer in answers])
    said = _said_of_windows(probability, starts / config.sampling_rate, config.classes)
    return Explained(len(starts), "windows", method), said


def _explain_case(loaded: Loaded, file: Path, method: str, out: Path) -> tuple[Explained, Said]:
    channels = loaded.config.channels
    samples = read_case_samples(file, channels, loaded.config.grid)
    prediction = prediction_beside(out)
    if {out.resolve(), prediction.resolve()} & set(samples.files):
        raise UsageError(f"--out is {str(out)!r}, which would overwrite a file of the case; expected another name.")
    starts = range(0, len(samples.inputs), VOLUMES_AT_ONCE)
    parts = [samples.inputs[first : first + VOLUMES_AT_ONCE] for first in starts]
    answers = [loaded.answer(part, method) for part in track(parts, "explained")]
    if method != PREDICT_ONLY:
        relevance = samples.restored(np.concatenate([answer["attribution"] for answer in answers]))
        write_relevance_nifti(out, relevance, samples.case.reference, method, channels)
    probability = samples.restored(np.concatenate([answer["probability"] for answer in answers]))
    seen = probability[LESION] > np.delete(probability, LESION, axis=0).max(axis=0)  # where nobody looked: NaN, no
    write_mask_nifti(prediction, seen, samples.case.reference, "predicted lesion")
    return Explained(len(samples.inputs), samples.what, method), _said_of_case(probability, loaded.config.classes)


def _said_of_windows(probability: NDArray[np.float32], seconds: NDArray[np.float64], classes: tuple[str, ...]) -> Said:
    """A row per window: when it starts (seconds), the predicted class, and the ``probability`` (window, class)."""
    given, confidence = probability.argmax(axis=1), probability.max(axis=1)
    table = pd.DataFrame({"seconds": seconds, "predicted": np.array(classes)[given], "confidence": confidence})
    probabilities = pd.DataFrame(probability, columns=[f"probability of {name}" for name in classes])
    counts = np.bincount(given, minlength=len(classes))
    return Said(table.join(probabilities), _counted(classes, counts), float(confidence.mean()))


def _said_of_case(probability: NDArray[np.float32], classes: tuple[str, ...]) -> Said:
    """A row per class: voxels given to it and the mean ``probability`` (class, *grid) there; without any, NaN."""
    looked_at = probability[:, np.isfinite(probability).all(axis=0)]
    given, confidence = looked_at.argmax(axis=0), looked_at.max(axis=0)
    counts = np.bincount(given, minlength=len(classes))
    means = [float(confidence[given == number].mean()) if counts[number] else np.nan for number in range(len(classes))]
    table = pd.DataFrame({"predicted": classes, "voxels": counts, "confidence": means})
    return Said(table, _counted(classes, counts), float(confidence.mean()))


def _counted(classes: tuple[str, ...], counts: NDArray[np.int64]) -> str:
    return "; ".join(f"{name} {count}" for name, count in zip(classes, counts, strict=True) if count)


def _check_out(file: Path, out: Path) -> bool:
    """Whether a case is meant. Raises UsageError where ``out`` is no name for what is to be written."""
    if _is_case(file, out):
        _check_name(out, {NIFTI_SUFFIX})
        return True
    own = EDF_SUFFIX if file.suffix.lower() == EDF_SUFFIX else ".hea"
    _check_name(out, {own, ".csv"})
    if out.suffix == own and out.resolve() == file.resolve():
        raise UsageError(f"--out is the recording {file} itself; expected another name.")
    if out.suffix == ".hea" and not RECORD_NAME.fullmatch(out.stem):
        raise UsageError(f"--out is {str(out)!r}; a WFDB record's name has letters, digits, '-' and '_' only.")
    return False


def _is_case(file: Path, out: Path) -> bool:
    """Whether a case of NIfTI files is meant; where nothing is found, what is to be written tells."""
    if file.exists():
        return file.is_dir() or file.name.endswith(NIFTI_SUFFIXES)
    return out.name.endswith(NIFTI_SUFFIX)


def _check_name(out: Path, endings: set[str]) -> None:
    if not any(out.name.endswith(ending) for ending in endings):
        raise UsageError(f"--out is {str(out)!r}; expected a name that ends in {' or '.join(sorted(endings))}.")


def _check_units(file: Path, recording: Recording, config: BundleConfig) -> None:
    """A version of one unit takes no other; NU takes any, as records in several units were read as NU."""
    for channel, found, expected in zip(recording.channels, recording.units, config.units, strict=True):
        if expected not in (found, "NU"):
            raise UsageError(f"{file} has {channel} in {found}; the version expects {expected}.")
