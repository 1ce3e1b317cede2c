"""A generated head: which tissue is where, and the distance from the brain's surface.

Sizes and places are those of a textbook's adult head in millimetres, x to the right, y to the front, z upwards, with
the origin between the commissures (the frame of the usual templates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from .volume_grids import Grid, Mask, Volume

AIR, SCALP, SKULL, CSF, GREY, WHITE = range(6)
_Triple = tuple[float, float, float]
_Placed = tuple[_Triple, _Triple]
_CEREBRUM = ((0.0, -16.0, 20.0), (68.0, 86.0, 60.0))
_TEMPORAL = ((40.0, -14.0, -18.0), (25.0, 44.0, 26.0))
_CEREBELLUM = ((0.0, -66.0, -34.0), (50.0, 34.0, 22.0))
_BRAINSTEM = ((0.0, -28.0, -40.0), (14.0, 14.0, 42.0))
_HEAD = ((0.0, -16.0, 0.0), (80.0, 99.0, 94.0))
_SKULL_THICKNESS, _SCALP_THICKNESS = 6.0, 5.0
_SUBARACHNOID = 3.5
"""Width of the CSF around the brain, millimetres."""
_BASE = -18.0
"""Below it the cerebrum consists of its temporal lobes."""
_CISTERN = ((0.0, -2.0, -24.0), (19.0, 20.0, 15.0))
_RIGHT_VENTRICLE = (
    ((13.0, 22.0, 10.0), (5.5, 14.0, 9.0)),
    ((13.0, -6.0, 22.0), (6.0, 24.0, 7.0)),
    ((22.0, -36.0, 16.0), (7.5, 13.0, 13.0)),
    ((27.0, -58.0, 10.0), (4.5, 14.0, 5.5)),
    ((32.0, -22.0, -10.0), (4.5, 14.0, 4.0)),
)
_THIRD_VENTRICLE = ((0.0, -10.0, 2.0), (3.0, 15.0, 11.0))
_RIGHT_NUCLEI = (
    ((11.0, -18.0, 8.0), (8.0, 12.0, 8.0)),
    ((26.0, 2.0, 2.0), (6.0, 16.0, 9.0)),
    ((14.0, 14.0, 10.0), (4.0, 8.0, 8.0)),
)
_FISSURE = 1.8
"""Half the width of the gap between the hemispheres, millimetres."""
_RIGHT_ARTERIES = (
    ((3, -8, -9), (18, 0, -8), (32, 2, -8), (42, -6, 0), (50, -22, 10), (52, -40, 20)),  # middle
    ((42, -6, 0), (50, 8, 14), (52, 14, 28)),
    ((3, -8, -9), (2, 20, -2), (2, 40, 10), (2, 36, 34), (2, 10, 46)),  # anterior
    ((2, -30, -16), (14, -34, -8), (20, -58, -2), (14, -84, 4)),  # posterior
)
SINUS = ((0, -104, 8), (0, -98, 36), (0, -74, 64), (0, -30, 81), (0, 20, 72), (0, 52, 52))
"""The sagittal sinus: corners of its course, millimetres."""
LARGE_ARTERIES = tuple(np.array(path) * (side, 1, 1) for path in _RIGHT_ARTERIES for side in (1, -1))
"""Corners ``(corner, 3)`` of the course of the arteries at the brain's base and their main branches."""
_CORTEX = 4.0
_GYRUS = 5.0
"""Width of the folds in millimetres, of the smooth field whose zeros are the sulci; a coarse grid has wider ones."""
_SULCUS_DEPTH, _GREY_DEPTH = 17.0, 21.0


@dataclass(frozen=True)
class Head:
    """One head on its grid, arrays ``(x, y, z)``.

    ``tissue``: AIR, SCALP, SKULL, CSF, GREY or WHITE. ``depth``: millimetres below the brain's surface, negative
    outside of the brain. ``ventricles``: the CSF inside the brain. ``points (3, x, y, z)``: millimetres in the
    head's frame.
    """

    grid: Grid
    points: NDArray[np.float64]
    tissue: NDArray[np.int8]
    depth: Volume
    ventricles: Mask

    @property
    def brain(self) -> Mask:
        """All within the brain's surface: parenchyma, ventricles, sulci."""
        return self.depth > 0

    @property
    def parenchyma(self) -> Mask:
        """Grey and white matter."""
        return self.tissue >= GREY

    @property
    def strikable(self) -> Mask:
        """Where a stroke may lie: parenchyma and the sulci between, which swelling closes."""
        return self.brain & ~self.ventricles & (np.abs(self.points[0]) > _FISSURE)

    @property
    def right(self) -> Mask:
        """The half to the patient's right."""
        return self.points[0] > 0


def draw_head(rng: np.random.Generator, grid: Grid, ventricle_size: float) -> Head:
    """A head with folds of its own; ``ventricle_size`` 1 is usual, and with age they grow."""
    points = grid.points()
    depth, cerebrum = _brain_depth(points)
    head = _inside(_HEAD, points)
    tissue = np.full(grid.shape, AIR, dtype=np.int8)
    tissue[head > 0] = SCALP
    tissue[head > _SCALP_THICKNESS] = SKULL
    tissue[(head > _SCALP_THICKNESS + _SKULL_THICKNESS) & (depth < -_SKULL_THICKNESS)] = SCALP
    tissue[(head > _SCALP_THICKNESS) & (depth > -_SUBARACHNOID)] = CSF
    gyrus = max(_GYRUS, 1.6 * float(grid.spacing[:2].max()))
    folds = np.abs(grid.field(rng, gyrus))
    tissue[depth > 0] = WHITE
    tissue[(depth > 0) & ((depth < _CORTEX) | (cerebrum & (folds < 0.55) & (depth < _GREY_DEPTH)))] = GREY
    tissue[(depth > 0) & ~cerebrum & (np.abs(grid.field(rng, 0.7 * gyrus)) < 0.7)] = GREY
    tissue[(depth > 0) & _any_inside(_mirrored(_RIGHT_NUCLEI), points)] = GREY
    tissue[cerebrum & (folds < 0.18) & (depth < _SULCUS_DEPTH) & (depth > 0)] = CSF
    tissue[cerebrum & _between_the_halves(points) & (depth > 0)] = CSF
    shapes = [(centre, ventricle_size * np.array(axes)) for centre, axes in _mirrored(_RIGHT_VENTRICLE)]
    ventricles = (depth > 0) & _any_inside([*shapes, _THIRD_VENTRICLE], points)
    tissue[ventricles] = CSF
    return Head(grid, points, tissue, depth, ventricles)


def swollen(head: Head, core: Mask) -> Head:
    """The head with the sulci inside ``core`` closed by swelling."""
    return replace(head, tissue=np.where(core & (head.tissue == CSF), GREY, head.tissue).astype(np.int8))


def near(grid: Grid, paths: Sequence[ArrayLike]) -> Volume:
    """Millimetres from each voxel ``(x, y, z)`` to the nearest voxel on one of the lines.

    A line runs through the corners ``(corner, 3)``, millimetres in the head's frame.
    """
    inverse = np.linalg.inv(grid.pose @ grid.affine)
    off_line = np.ones(grid.shape, dtype=bool)
    for path in paths:
        corners = np.asarray(path, dtype=np.float64)
        for start, stop in pairwise(corners @ inverse[:3, :3].T + inverse[:3, 3]):
            steps = 2 * int(np.ceil(np.abs(stop - start).max())) + 1
            voxels = np.rint(np.linspace(start, stop, steps)).astype(np.intp)
            voxels = voxels[((voxels >= 0) & (voxels < grid.shape)).all(axis=1)]
            off_line[tuple(voxels.T)] = False
    return distance_transform_edt(off_line, sampling=grid.spacing)


Ellipsoid = tuple[ArrayLike, ArrayLike]
"""Centre and half axes in millimetres."""


def radius(ellipsoid: Ellipsoid, points: NDArray[np.float64]) -> Volume:
    """0 at the centre, 1 on the surface, for ``points (3, x, y, z)``."""
    centre, axes = (np.asarray(part, dtype=np.float64).reshape(3, 1, 1, 1) for part in ellipsoid)
    return np.sqrt((((points - centre) / axes) ** 2).sum(axis=0))


def _inside(ellipsoid: Ellipsoid, points: NDArray[np.float64]) -> Volume:
    """About how many millimetres below the surface, negative outside."""
    return (1 - radius(ellipsoid, points)) * float(np.mean(np.asarray(ellipsoid[1])))


def _any_inside(ellipsoids: Sequence[Ellipsoid], points: NDArray[np.float64]) -> Mask:
    found = np.zeros(points.shape[1:], dtype=bool)
    for ellipsoid in ellipsoids:
        found |= radius(ellipsoid, points) < 1
    return found


def _mirrored(ellipsoids: Sequence[_Placed]) -> list[_Placed]:
    """Those of the right side and their images on the left."""
    return [((side * centre[0], centre[1], centre[2]), axes) for centre, axes in ellipsoids for side in (1, -1)]


def _brain_depth(points: NDArray[np.float64]) -> tuple[Volume, Mask]:
    """Millimetres below the brain's surface, and where that is the cerebrum rather than cerebellum or brainstem."""
    x, y, z = points
    # The forehead is narrower than the back of the head.
    egg = np.stack([x * (1 + 0.0016 * np.clip(y + 16, 0, None)), y, z])
    upper = np.where(z > _BASE, np.minimum(_inside(_CEREBRUM, egg), -_inside(_CISTERN, points)), -np.inf)
    cerebrum = np.maximum.reduce([upper, *(_inside(lobe, points) for lobe in _mirrored([_TEMPORAL]))])
    below = np.maximum(_inside(_CEREBELLUM, points), _inside(_BRAINSTEM, points))
    return np.maximum(cerebrum, below), cerebrum >= below


def _between_the_halves(points: NDArray[np.float64]) -> Mask:
    """The fissure: above, in front of and behind the corpus callosum."""
    x, y, z = points
    callosum = (((y + 16) / 46) ** 2 + ((z - 6) / 24) ** 2) < 1
    return (np.abs(x) < _FISSURE) & ~callosum & (z > _BASE)
