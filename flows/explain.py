"""Explains one recording with a registered version and writes the map back in the recording's own format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import mlflow
import numpy as np
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
from tasks.publishing.registry import download, resolve
from tasks.settings import Settings

from .studies.unet_paper import CORRECT

WINDOWS_AT_ONCE, VOLUMES_AT_ONCE = 256, 4
WINDOW_METHOD, CASE_METHOD = "occlusion_w10", CORRECT
"""The explainers where none is named; occlusion of a volume voxel by voxel would take hours."""


@dataclass(frozen=True)
class Explained:
    """How many samples were explained, what they are ("windows", "patches" or "volume"), and the explainer."""

    count: int
    what: str
    method: str


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
    of_case = _is_case(file, out)
    if of_case:
        _check_name(out, {NIFTI_SUFFIX})
    else:
        own = EDF_SUFFIX if file.suffix.lower() == EDF_SUFFIX else ".hea"
        _check_name(out, {own, ".csv"})
        if out.suffix == own and out.resolve() == file.resolve():
            raise UsageError(f"--out is the recording {file} itself; expected another name.")
    version = resolve(model)
    config = load_bundle(download(version, Settings().root)).config
    if config.channels == ("intensity",):
        raise UsageError(f"{model} reads images; explain takes recordings, images are explained by the served version.")
    if of_case != (config.volume is not None):
        wanted = "a case of NIfTI files" if config.volume else "a WFDB header or an EDF file"
        raise UsageError(f"{file} is nothing that {model} reads; expected {wanted}.")
    served = mlflow.pyfunc.load_model(version.uri)
    if of_case:
        return _explain_case(served, config, file, method or CASE_METHOD, out)
    return _explain_windows(served, config, file, method or WINDOW_METHOD, out)


def _explain_windows(served: PyFuncModel, config: BundleConfig, file: Path, method: str, out: Path) -> Explained:
    recording = read_recording(file, config.channels, config.sampling_rate, config.window)
    _check_units(file, recording, config)
    starts = recording.starts
    maps: list[NDArray[np.float32]] = []
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        windows = windows_at(recording, starts[first : first + WINDOWS_AT_ONCE], config.window)
        maps.extend(_answer(served, windows, method)["attribution"])
    write_back(recording, spread(maps, starts, recording.signal.shape), method, out)
    return Explained(len(starts), "windows", method)


def _explain_case(served: PyFuncModel, config: BundleConfig, file: Path, method: str, out: Path) -> Explained:
    samples = read_case_samples(file, config.channels, config.grid)
    prediction = prediction_beside(out)
    if {out.resolve(), prediction.resolve()} & set(samples.files):
        raise UsageError(f"--out is {str(out)!r}, which would overwrite a file of the case; expected another name.")
    starts = range(0, len(samples.inputs), VOLUMES_AT_ONCE)
    parts = [samples.inputs[first : first + VOLUMES_AT_ONCE] for first in starts]
    answers = [_answer(served, part, method) for part in track(parts, "explained")]
    relevance, probability = (
        samples.restored(np.concatenate([answer[name] for answer in answers]))
        for name in ("attribution", "probability")
    )
    write_relevance_nifti(out, relevance, samples.case.reference, method, config.channels)
    seen = probability[LESION] > np.delete(probability, LESION, axis=0).max(axis=0)  # where nobody looked: NaN, no
    write_mask_nifti(prediction, seen, samples.case.reference, "predicted lesion")
    return Explained(len(samples.inputs), samples.what, method)


def _answer(served: PyFuncModel, inputs: NDArray[np.float32], method: str) -> dict[str, NDArray[np.float32]]:
    """The version's ``probability`` and ``attribution`` of ``inputs`` (sample, channel, *grid)."""
    return cast(dict[str, NDArray[np.float32]], served.predict(inputs, params={"explain": method}))


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
