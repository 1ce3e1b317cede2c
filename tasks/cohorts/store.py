"""A cohort on disk: written once, read lazily.

A cohort is a folder of ``signals.zarr`` (arrays ``signals`` and, where known, ``evidence``, both
(sample, channel, *grid), of volumes with one channel of evidence for all), ``samples.parquet``, ``subjects.parquet``
and the manifest ``cohort.json``; where samples are resampled volumes, also ``native.zarr``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from .errors import CohortError
from .native import NativeStore, NativeVolume
from .writer import ARRAYS, MANIFEST, SAMPLES, SUBJECTS, CohortDescription, Quarantined, Recorded, write

__all__ = ["Cohort", "CohortDescription", "CohortError", "NativeVolume", "Quarantined", "Recorded", "write_cohort"]

Index = NDArray[np.integer[Any]] | list[int] | slice


class Cohort:
    """The labelled samples of a study. Signals stay on disk until they are asked for."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.digest: str = manifest["digest"]
        self.study: str = manifest["study"]
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.channels: tuple[str, ...] = tuple(manifest["channels"])
        self.units: tuple[str, ...] = tuple(manifest["units"])
        self.sampling_rate: float = manifest["sampling_rate"]
        self.subject_kind: str = manifest["subject_kind"]
        self.image: tuple[int, int] | None = tuple(manifest["image"]) if manifest["image"] else None
        self.volume: tuple[int, int, int] | None = tuple(manifest["volume"]) if manifest["volume"] else None
        self.grid: tuple[int, ...] = self.volume or (manifest["window"],)
        self.has_evidence: bool = manifest["has_evidence"]

    @classmethod
    def open(cls, path: Path | str) -> Cohort:
        """Opens a written cohort. Raises CohortError where there is none."""
        folder = Path(path)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return cls(folder, manifest)
        except (OSError, ValueError, KeyError, TypeError):
            raise CohortError(f"{folder} holds no readable {MANIFEST}; expected a written cohort.") from None

    def __len__(self) -> int:
        return int(self.manifest["samples"])

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per sample: recording, subject (ordinal), label, label_name, onset, evidence_known, ..."""
        return pd.read_parquet(self.path / SAMPLES)

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """One row per ordinal: subject (keyed hash), age (years, 90 means above 89), sex, medication, ..."""
        return pd.read_parquet(self.path / SUBJECTS)

    @property
    def quarantine(self) -> pd.DataFrame:
        """The recordings that could not be used, each with its reason."""
        return pd.DataFrame(self.manifest["quarantined"], columns=["recording", "reason"], dtype="str")

    def signals(self, index: Index) -> NDArray[np.float32]:
        """Signals (sample, channel, *grid), each channel in its unit, in the order of ``index``.

        Reads only the chunks that it needs.

        Raises IndexError when a sample does not exist.
        """
        return _read_rows(self._arrays["signals"], index)

    def evidence(self, index: Index) -> NDArray[np.bool_]:
        """Evidence (sample, channel, time): the points that make the label true. Of volumes (sample, 1, *grid).

        All False where the sample's `evidence_known` is False. Raises CohortError when no sample has any.
        """
        if not self.has_evidence:
            raise CohortError(f"{self.path} has no evidence; expected a cohort whose recordings carry marks.")
        return _read_rows(self._arrays["evidence"], index)

    def native(self, sample: int) -> NativeVolume:
        """The volume of a sample as it was before it was resampled.

        Raises IndexError when the sample does not exist, CohortError when the cohort has no native volumes.
        """
        return NativeStore.open(self.path).read(sample)

    @cached_property
    def _arrays(self) -> Any:
        return zarr.open_group(self.path / ARRAYS, mode="r")


def write_cohort(
    path: Path | str, description: CohortDescription, stream: Iterable[Recorded | Quarantined], *, key: bytes
) -> Cohort:
    """Writes what a reader yields, and opens it. See `writer.write` for the arguments."""
    write(Path(path), description, stream, key=key)
    return Cohort.open(path)


def _read_rows(array: Any, index: Index) -> Any:
    """Rows of a chunked array in any order: every chunk that holds one is read once."""
    wanted = np.atleast_1d(np.arange(array.shape[0])[index])
    if not len(wanted):
        return np.empty((0, *array.shape[1:]), dtype=array.dtype)
    rows = np.empty((len(wanted), *array.shape[1:]), dtype=array.dtype)
    order = np.argsort(wanted, kind="stable")
    length = array.chunks[0]
    chunks, starts = np.unique(wanted[order] // length, return_index=True)
    for chunk, positions in zip(chunks, np.split(order, starts[1:]), strict=True):
        first = int(chunk) * length
        within = wanted[positions] - first
        low, high = int(within.min()), int(within.max()) + 1
        rows[positions] = array[first + low : first + high][within - low]
    return rows
