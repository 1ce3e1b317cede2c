"""Explains every recording of a folder; what is done is kept, what cannot be used is named."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tasks.alone import alone
from tasks.cohorts.errors import CohortError
from tasks.cohorts.explained_table import DONE, QUARANTINED, Row, read_summary, write_summary
from tasks.cohorts.finding import find_cases, find_recordings
from tasks.cohorts.nifti_relevance import NIFTI_SUFFIX
from tasks.errors import UsageError
from tasks.progress import track

from .explain import Loaded, explain_file, load_version, method_of

_STAGE = ".partial"


@dataclass(frozen=True)
class FolderExplained:
    """How many recordings were explained now, were there already, and were quarantined (name and reason)."""

    explained: int
    present: int
    quarantined: dict[str, str]


def explain_folder(model: str, folder: Path, method: str | None, out: Path) -> FolderExplained:
    """Explains every recording or case of ``folder``, each as `explain_recording` does, under its name in ``out``.

    Beside each map lies a table of what the version says (``100.hea.csv``: a row per window; ``training_4.csv``: a row
    per class), and in ``out`` a ``summary.csv``. The method "none" writes predictions only. ``model`` is resolved once.

    A recording that is done is not looked at again; one that was quarantined is. A file appears whole, and its row in
    the summary after it: a killed run is resumed by the same command. Raises UsageError where ``out`` lies in
    ``folder`` or holds answers of another version or method.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--out is {str(out)!r}, inside the folder that is explained; expected another place.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out is the file {str(out)!r}; expected a folder, as {folder} is one.")
    loaded = load_version(model)
    by = method_of(loaded, method)
    is_cases = loaded.config.volume is not None
    found = find_cases(folder, loaded.config.channels) if is_cases else find_recordings(folder)
    with alone(f"explain-{sha256(str(out.resolve()).encode()).hexdigest()[:16]}", f"explaining to {out}"):
        return _explain_all(loaded, folder, found, by, out)


def _explain_all(loaded: Loaded, folder: Path, found: list[Path], method: str, out: Path) -> FolderExplained:
    model = f"{loaded.version.name}/{loaded.version.version}"
    rows = read_summary(out, model, method)
    missing = [path for path in found if path.as_posix() not in rows or rows[path.as_posix()].status != DONE]
    out.mkdir(parents=True, exist_ok=True)
    for path in track(missing, "recordings explained"):
        name = path.as_posix()
        try:
            samples, predicted, confidence = _explain_one(loaded, folder, path, method, out)
            row = Row(name, model, method, DONE, str(samples), predicted, f"{confidence:.4f}")
        except (CohortError, UsageError, PermissionError) as reason:
            row = Row(name, model, method, QUARANTINED, reason=" ".join(str(reason).split()))
        rows[name] = row
        write_summary(out, rows)
    quarantined = {path.as_posix(): rows[path.as_posix()].reason for path in found if _is_quarantined(rows, path)}
    explained = sum(not _is_quarantined(rows, path) for path in missing)
    return FolderExplained(explained, len(found) - len(missing), quarantined)


def _is_quarantined(rows: dict[str, Row], path: Path) -> bool:
    return rows[path.as_posix()].status == QUARANTINED


def _explain_one(loaded: Loaded, folder: Path, path: Path, method: str, out: Path) -> tuple[int, str, float]:
    """Writes the files of one recording to a stage and moves them, each whole, to their places."""
    stage = out / _STAGE
    shutil.rmtree(stage, ignore_errors=True)  # of a killed run
    target = path.with_name(path.name + NIFTI_SUFFIX) if loaded.config.volume else path.with_suffix(path.suffix.lower())
    (stage / target).parent.mkdir(parents=True)
    try:
        done, says = explain_file(loaded, folder / path, method, stage / target)
        says.table.to_csv(stage / path.with_name(f"{path.name}.csv"), index=False)
        for file in sorted(each for each in stage.rglob("*") if each.is_file()):
            place = out / file.relative_to(stage)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
    finally:
        shutil.rmtree(stage)
    return done.count, says.predicted, says.confidence
