"""The voxel grid of a generated case: where each voxel lies in the head, and fields that are smooth in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Volume = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """Voxels ``shape (x, y, z)``; ``affine (4, 4)`` takes voxel indices to millimetres in patient space.

    ``pose (4, 4)`` takes patient space to the generated head's own frame: millimetres to the right, to the front
    and upwards, in which every head has its brain at the same place.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    pose: NDArray[np.float64]

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Size of a voxel in millimetres, ``(3,)``."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    def points(self) -> NDArray[np.float64]:
        """The centre of every voxel in the head's frame, ``(3, x, y, z)``."""
        whole = self.pose @ self.affine
        indices = np.indices(self.shape, dtype=np.float64)
        return np.tensordot(whole[:3, :3], indices, axes=1) + whole[:3, 3].reshape(3, 1, 1, 1)

    def blurred(self, values: NDArray[np.floating] | Mask, width: float) -> Volume:
        """``values (x, y, z)`` blurred by a Gaussian of this SD in millimetres."""
        return gaussian_filter(np.asarray(values, dtype=np.float64), width / self.spacing, truncate=3.0)

    def field(self, rng: np.random.Generator, width: float) -> Volume:
        """Normal noise ``(x, y, z)`` of mean 0 and SD 1, smooth over about ``width`` millimetres."""
        smooth = self.blurred(rng.standard_normal(self.shape), width)
        return (smooth - smooth.mean()) / smooth.std()


def turned(degrees: float) -> NDArray[np.float64]:
    """A rotation ``(3, 3)`` about the axis to the right: how a stack of slices is tilted."""
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
