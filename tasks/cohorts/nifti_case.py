"""One patient's maps and truth, a NIfTI file each, all on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .constant import is_constant
from .errors import UnusableRecording
from .nifti_files import NiftiVolume, check_same_grid, mask_of, read_nifti

TRUTH = "truth"
"""The key of the truth among a case's files."""
CLASSES = ("background", "lesion")
BACKGROUND = 0
"""The label of a sample without a lesion; that of one with is `models.bundle.LESION`."""


@dataclass(frozen=True)
class Case:
    """``signals`` (map, depth, height, width) float32; ``reference``: the first map's file, for its grid and header.

    ``mask`` (depth, height, width): the lesion; None where nobody marked it.
    """

    signals: NDArray[np.float32]
    reference: NiftiVolume
    mask: NDArray[np.bool_] | None

    @property
    def marked(self) -> NDArray[np.bool_]:
        """The lesion. Raises UnusableRecording where nobody marked it."""
        if self.mask is None:
            raise UnusableRecording("the case has no truth; expected a file with its lesion.")
        return self.mask


def read_maps(root: Path, files: Mapping[str, str], maps: Sequence[str]) -> Case:
    """Reads ``files``, by map and TRUTH relative to ``root``, in the order of ``maps``.

    Raises UnusableRecording for a missing or constant map, files on different grids, and whatever `read_nifti` and
    `mask_of` refuse.
    """
    missing = [name for name in maps if name not in files]
    if missing:
        raise UnusableRecording(f"the case has no map {', '.join(missing)}; expected {', '.join(maps)}.")
    reference = read_nifti(root, files[maps[0]])
    signals = np.empty((len(maps), *reference.values.shape), dtype=np.float32)
    for row, name in zip(signals, maps, strict=True):
        volume = reference if name == maps[0] else read_nifti(root, files[name])
        check_same_grid(volume, reference)
        if is_constant(volume.values):
            raise UnusableRecording(f"the map {name} is constant.")
        row[:] = volume.values
    return Case(signals, reference, _truth(root, files, reference))


def _truth(root: Path, files: Mapping[str, str], reference: NiftiVolume) -> NDArray[np.bool_] | None:
    if TRUTH not in files:
        return None
    truth = read_nifti(root, files[TRUTH])
    check_same_grid(truth, reference)
    return mask_of(truth)
