"""Explains one recording with a registered version and writes the map back in the recording's own format."""

from __future__ import annotations

from pathlib import Path

import mlflow

from models.bundle import BundleConfig, load_bundle
from tasks.cohorts.recording import EDF_SUFFIX, Recording, read_recording, windows_at
from tasks.cohorts.write_back import spread, write_back
from tasks.errors import UsageError
from tasks.publishing.registry import download, resolve
from tasks.settings import Settings

BATCH = 256


def explain_recording(model: str, file: Path, method: str, out: Path) -> int:
    """Explains every window of one WFDB record or EDF file, cut as the version's cohort was; returns their number.

    Windows lie around beats (the record's annotations, else found by a detector) or, where the version's channels
    are roles or the file is EDF, one after the other wherever the signals can be believed. Where windows overlap,
    maps are averaged; points that no window covers are NaN. ``out`` ends as the recording's own format does, ``.hea``
    (WFDB) or ``.edf``, the map as one more signal per channel, or in ``.csv``.
    """
    own = EDF_SUFFIX if file.suffix.lower() == EDF_SUFFIX else ".hea"
    if out.suffix not in {own, ".csv"}:
        raise UsageError(f"--out is {str(out)!r}; expected a name that ends in {own} or .csv.")
    if out.suffix == own and out.resolve() == file.resolve():
        raise UsageError(f"--out is the recording {file} itself; expected another name.")
    version = resolve(model)
    config = load_bundle(download(version, Settings().root)).config
    if config.channels == ("intensity",):
        raise UsageError(f"{model} reads images; explain takes recordings, images are explained by the served version.")
    recording = read_recording(file, config.channels, config.sampling_rate, config.window)
    _check_units(file, recording, config)
    starts = recording.starts
    served = mlflow.pyfunc.load_model(version.uri)
    maps = []
    for first in range(0, len(starts), BATCH):
        windows = windows_at(recording, starts[first : first + BATCH], config.window)
        maps.extend(served.predict(windows, params={"explain": method})["attribution"])
    write_back(recording, spread(maps, starts, recording.signal.shape), method, out)
    return len(starts)


def _check_units(file: Path, recording: Recording, config: BundleConfig) -> None:
    """A version of one unit takes no other; NU takes any, as records in several units were read as NU."""
    for channel, found, expected in zip(recording.channels, recording.units, config.units, strict=True):
        if expected not in (found, "NU"):
            raise UsageError(f"{file} has {channel} in {found}; the version expects {expected}.")
