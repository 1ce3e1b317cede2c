"""Where a generated stroke lies: its core, by a shape model or by real lesion masks, and the penumbra around it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .brain import Head, radius
from .volume_grids import Mask

LEAST_VOXELS = 12
"""A core smaller than this on the case's grid is drawn again."""
_MOST_DRAWS = 100
_ROUGHNESS, _ROUGHNESS_WIDTH = 0.18, 5.0
_MARGIN_WIDTH = 9.0

Shape = Callable[[NDArray[np.float64]], Mask]
"""Says of points ``(3, x, y, z)`` in the head's frame, millimetres, which lie in a lesion."""


@dataclass(frozen=True)
class Stroke:
    """Masks ``(x, y, z)``: the core, which is the evidence, and the tissue at risk around it, which is not."""

    core: Mask
    penumbra: Mask


@dataclass(frozen=True)
class _Territory:
    """Where a closed artery strikes: centre on the right side and its spread, the lesion's usual size, millimetres."""

    centre: tuple[float, float, float]
    spread: tuple[float, float, float]
    size: float
    share: float


_TERRITORIES = (
    _Territory((44.0, -4.0, 22.0), (7.0, 18.0, 12.0), 22.0, 0.60),  # middle cerebral artery
    _Territory((25.0, 2.0, 10.0), (4.0, 8.0, 6.0), 15.0, 0.15),  # its branches to the deep nuclei
    _Territory((24.0, -72.0, 8.0), (6.0, 8.0, 8.0), 18.0, 0.15),  # posterior
    _Territory((12.0, 32.0, 38.0), (3.0, 12.0, 10.0), 17.0, 0.10),  # anterior
)


def modelled_core(rng: np.random.Generator, head: Head, growth: float) -> Mask:
    """A union of rough ellipsoids in one territory of one hemisphere; ``growth`` multiplies the volume."""
    for _ in range(_MOST_DRAWS):
        core = _draw_core(rng, head, growth)
        if core.sum() >= LEAST_VOXELS:
            return core
    raise ValueError(f"no lesion of {LEAST_VOXELS} voxels fits the grid {head.grid.shape}; expected a finer grid.")


def _draw_core(rng: np.random.Generator, head: Head, growth: float) -> Mask:
    territory = _TERRITORIES[rng.choice(len(_TERRITORIES), p=[one.share for one in _TERRITORIES])]
    side = 1 if rng.random() < 0.5 else -1
    size = territory.size * float(np.clip(np.exp(0.3 * rng.standard_normal()), 0.7, 1.7)) * np.cbrt(growth)
    middle = np.array(territory.centre) + np.array(territory.spread) * rng.uniform(-1, 1, 3)
    level = np.full(head.grid.shape, np.inf)
    for _ in range(5):
        centre = middle + 0.45 * size * rng.uniform(-1, 1, 3)
        axes = size * rng.uniform(0.5, 0.9, 3)
        level = np.minimum(level, radius(((side * centre[0], *centre[1:]), axes), head.points))
    level += _ROUGHNESS * head.grid.field(rng, _ROUGHNESS_WIDTH)
    return (level < 1) & head.strikable & (side * head.points[0] > 0)


def cores_of_masks(folder: Path, seed: int) -> Iterator[Shape]:
    """The shape of every mask file in ``folder``, once each, in an order drawn by the seed.

    The files are NIfTI in template space, lesion above 0. Raises ValueError when there is none or one cannot be read.
    """
    files = sorted([*folder.glob("*.nii"), *folder.glob("*.nii.gz")])
    if not files:
        raise ValueError(f"masks is {str(folder)!r}, which holds no .nii or .nii.gz file; expected lesion masks.")
    for number in np.random.default_rng([seed, 0]).permutation(len(files)):
        yield _mask_shape(files[number])


def masked_core(shapes: Iterator[Shape], head: Head, growth: float) -> Mask:
    """The core by the next mask that has enough voxels in this head's brain.

    ``growth`` multiplies the volume. Raises ValueError when no mask is left.
    """
    for shape in shapes:
        core = _grown(shape, head.points, growth) & head.strikable
        if core.sum() >= LEAST_VOXELS:
            return core
    raise ValueError("masks holds too few usable lesion masks; expected one of its own for each subject.")


def _grown(shape: Shape, points: NDArray[np.float64], growth: float) -> Mask:
    """The shape enlarged about its own centre."""
    plain = shape(points)
    if growth == 1 or not plain.any():
        return plain
    centre = points[:, plain].mean(axis=1).reshape(3, 1, 1, 1)
    return shape(centre + (points - centre) / np.cbrt(growth))


def _mask_shape(path: Path) -> Shape:
    try:
        image = nib.Nifti1Image.from_filename(path)
        lesion = np.asanyarray(image.dataobj) > 0
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path} is no readable NIfTI file; expected a lesion mask.") from error
    if lesion.ndim != 3:
        raise ValueError(f"{path} has {lesion.ndim} dimensions; expected a lesion mask of 3.")
    inverse = np.linalg.inv(image.affine)

    def contains(points: NDArray[np.float64]) -> Mask:
        voxels = np.rint(np.tensordot(inverse[:3, :3], points, axes=1) + inverse[:3, 3].reshape(3, 1, 1, 1))
        limits = np.array(lesion.shape).reshape(3, 1, 1, 1)
        within = ((voxels >= 0) & (voxels < limits)).all(axis=0)
        x, y, z = np.where(within, voxels, 0).astype(np.intp)
        return within & lesion[x, y, z]

    return contains


def with_penumbra(rng: np.random.Generator, head: Head, core: Mask) -> Stroke:
    """The core with a rim of tissue at risk, 10 to 22 mm wide on average, that stays in the core's hemisphere."""
    margin = rng.uniform(10, 22) + 3 * head.grid.field(rng, _MARGIN_WIDTH)
    penumbra = np.zeros_like(core)
    for half in (head.right, ~head.right):
        if (core & half).any():
            distance = distance_transform_edt(~(core & half), sampling=head.grid.spacing)
            penumbra |= half & (distance < margin)
    return Stroke(core, penumbra & head.parenchyma & ~core)
