"""One patient's volumes as a version takes them, and what it says of them brought back to the patient's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import isles, open_ms
from .errors import CohortError, UnusableRecording, private
from .nifti_case import TRUTH, Case, read_maps
from .nifti_files import SUFFIXES
from .patches import Size, patch_at, tiles
from .resizing import resized


@dataclass(frozen=True)
class CaseSamples:
    """``inputs`` (sample, map, *grid): the whole case resized, or patches of it at ``corners`` (sample, 3).

    ``files``: those that were read.
    """

    case: Case
    files: tuple[Path, ...]
    inputs: NDArray[np.float32]
    corners: NDArray[np.int64] | None = None

    @property
    def what(self) -> str:
        """What a sample is."""
        return "volume" if self.corners is None else "patches"

    def restored(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """``values`` (sample, channel, *grid) on the case's own grid: (channel, depth, height, width).

        A voxel of a resized case gets the value of the nearest (`resized`); where patches overlap, they are averaged,
        and where none lies it is NaN.
        """
        shape: Size = self.case.reference.values.shape
        if self.corners is None:
            return resized(np.asarray(values[0], dtype=np.float32), shape)
        total, covered = np.zeros((values.shape[1], *shape)), np.zeros(shape)
        for corner, value in zip(self.corners, values, strict=True):
            size: Size = value.shape[1:]
            patch_at(total, corner, size)[...] += value
            patch_at(covered, corner, size)[...] += 1
        return np.divide(total, covered, out=np.full_like(total, np.nan), where=covered > 0).astype(np.float32)


def read_case_samples(file: Path, channels: tuple[str, ...], grid: tuple[int, ...]) -> CaseSamples:
    """Reads the case of which ``file`` is the folder or one of the NIfTI files; its truth, if any, is not read.

    With the channels of ISLES 2017 the case is resized to ``grid``; with those of the MS data it is cut into the
    fewest patches of that size that cover it, of which those are kept that hold some of the brain. Raises CohortError
    naming the file and what is wrong.
    """
    depth, height, width = grid
    size = (depth, height, width)
    try:
        if channels == isles.MAPS:
            case, files = _read(_folder(file, levels=2), isles.case_files, channels)
            return CaseSamples(case, files, resized(case.signals, size)[None])
        if channels == open_ms.MAPS:
            case, files = _read(_folder(file, levels=1), open_ms.patient_files, channels)
            return _patches(case, files, size)
    except UnusableRecording as reason:
        raise CohortError(f"{private(file)} cannot be explained: {reason.marked}") from reason
    raise CohortError(f"the version takes {', '.join(channels)}; expected the maps of ISLES 2017 or of the MS data.")


def _folder(file: Path, levels: int) -> Path:
    """The case's folder: the path itself, or so many levels above one of its files."""
    if file.is_dir():
        return file.resolve()
    if not file.is_file() or not file.name.endswith(SUFFIXES):
        raise UnusableRecording("it is no folder of a case and no file that ends in .nii or .nii.gz.")
    return file.resolve().parents[levels - 1]


def _read(folder: Path, files_of: Any, channels: tuple[str, ...]) -> tuple[Case, tuple[Path, ...]]:
    files = files_of(folder.parent, folder.name)
    files.pop(TRUTH, None)
    return read_maps(folder.parent, files, channels), tuple(folder.parent / file for file in files.values())


def _patches(case: Case, files: tuple[Path, ...], grid: Size) -> CaseSamples:
    shape: Size = case.reference.values.shape
    try:
        corners = tiles(shape, grid)
    except ValueError as error:
        raise UnusableRecording(str(error)) from error
    patches = [(corner, patch_at(case.signals, corner, grid)) for corner in corners]
    kept = [(corner, patch) for corner, patch in patches if patch.any()]
    return CaseSamples(case, files, np.stack([patch for _, patch in kept]), np.stack([corner for corner, _ in kept]))
