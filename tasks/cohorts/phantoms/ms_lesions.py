"""Generated multiple-sclerosis cases in the files of the open MS data (Lesjak et al., 2018), whose truth is known.

Four brains without skull on the template's grid. Evidence (the gold standard) are ovoid lesions of the white matter,
most of them beside the ventricles with their long axis away from them:

=======  =====================  =====================================================
map      lesion (evidence)      loud and no evidence
=======  =====================  =====================================================
FLAIR    brighter than cortex   rim of the ventricles, flow in ventricles and cisterns
T1       as grey matter         white matter
T1POST   as grey matter         vessels, choroid plexus
T2       brighter than cortex   CSF
=======  =====================  =====================================================

Values are those of a textbook, on the scale of the real files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .bedside_files import filled_at_once
from .brain import CSF, LARGE_ARTERIES, SINUS, WHITE, Head, draw_head, near
from .settings import parse_settings, setting
from .volume_grids import Grid, Mask, Volume

FLAIR, T1, T1_POST, T2 = MAPS = ("FLAIR", "T1", "T1POST", "T2")
MAP_FILE = "{name}_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
TRUTH_FILE = "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"
_TEMPLATE = (182, 218, 182)
"""Millimetres, and with 1 mm the voxels, of the template's grid: left, front, up."""
_CORNER = (90.0, -126.0, -72.0)
"""Where the first voxel of the real files lies."""
_SHORT = (3.5, 7.5)
"""Half the width of a lesion, millimetres."""
_LONGER = (1.2, 2.2)
"""Its length against its width."""
_DEEP_SHARE = 0.25
"""Share of the lesions that lie anywhere in the white matter, not beside the ventricles."""
_NEAR_VENTRICLES = 7.0
_USUAL_AGE = 40


@dataclass(frozen=True)
class MsLesionSettings:
    """Settings of the phantom, each with its range.

    ``spacing``: millimetres between voxels; 1 gives the grid of the real files, 182 x 218 x 182. ``lesions``: how
    many a case has on average. ``contrast``: of lesions, 1 is usual. ``noise``: 1 is usual. ``shift``: SD of the
    logarithm of each map's scale, drawn for each case. ``distractors``: strength of what is loud and no evidence; 0
    leaves out all but CSF and tissue. ``age_effect``: relative change of the number of lesions per decade from 40.
    """

    spacing: float = setting(3.0, 1.0, 4.0)
    lesions: int = setting(20, 1, 60)
    contrast: float = setting(1.0, 0.0, 2.0)
    noise: float = setting(1.0, 0.0, 5.0)
    shift: float = setting(0.1, 0.0, 0.5)
    distractors: float = setting(1.0, 0.0, 3.0)
    age_effect: float = setting(0.0, -0.3, 0.3)


@dataclass(frozen=True)
class _Contrast:
    """What one map shows: of CSF, grey and white matter, what a lesion adds to white matter, the noise's SD."""

    tissue: tuple[float, float, float]
    lesion: float
    noise: float


_CONTRASTS = {
    FLAIR: _Contrast((22, 88, 76), 52, 3.0),
    T1: _Contrast((70, 260, 350), -105, 10.0),
    T1_POST: _Contrast((80, 290, 340), -85, 12.0),
    T2: _Contrast((880, 370, 270), 210, 12.0),
}


def write_phantom(folder: Path | str, *, subjects: int = 8, seed: int = 0, **settings: Any) -> None:
    """Writes ``subjects`` cases and ``subjects.csv``.

    Per case ``patient<nn>/``: FLAIR, T1, T1POST and T2, float32, and the gold standard, uint8, named as in the open
    data. Subject i is the same whatever their number. ``settings``: see MsLesionSettings. The folder appears complete
    or not at all. Raises ValueError for a bad setting or a folder that is not empty.
    """
    chosen = parse_settings(MsLesionSettings, settings)
    if not 1 <= subjects <= 99:
        raise ValueError(f"subjects is {subjects}; expected 1 to 99.")
    with filled_at_once(folder) as draft:
        rows = [_write_case(draft, number, seed, chosen) for number in range(1, subjects + 1)]
        pd.DataFrame(rows).to_csv(draft / "subjects.csv", index=False)


def _write_case(folder: Path, number: int, seed: int, settings: MsLesionSettings) -> dict[str, Any]:
    """Writes one case's files; returns its row of the table of subjects."""
    # A stream for each part, so that a setting changes its own part alone.
    of_person, of_head, of_lesions, of_maps = (np.random.default_rng([seed, number, part]) for part in range(4))
    age, sex = int(np.clip(of_person.normal(_USUAL_AGE, 10), 18, 70)), "M" if of_person.random() < 0.25 else "F"
    head = draw_head(of_head, _draw_grid(of_head, settings.spacing), ventricle_size=1 + 0.008 * (age - _USUAL_AGE))
    mean = settings.lesions * (1 + settings.age_effect * (age - _USUAL_AGE) / 10)
    lesions = _draw_lesions(of_lesions, head, max(int(of_lesions.poisson(mean)), 1))
    case = folder / f"patient{number:02d}"
    case.mkdir()
    for name, values in _draw_maps(of_maps, head, lesions, settings).items():
        _write_volume(case / MAP_FILE.format(name=name), values, head.grid.affine)
    _write_volume(case / TRUTH_FILE, lesions.astype(np.uint8), head.grid.affine)
    return {"recording": case.name, "subject": number, "age": age, "sex": sex}


def _draw_grid(rng: np.random.Generator, spacing: float) -> Grid:
    """The template's grid, of a head that is a little larger or smaller than the template."""
    shape = (round(_TEMPLATE[0] / spacing), round(_TEMPLATE[1] / spacing), round(_TEMPLATE[2] / spacing))
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    affine[:3, 3] = _CORNER
    pose = np.diag([*(1 / rng.uniform(0.97, 1.03, 3)), 1.0])
    return Grid(shape, affine, pose)


def _draw_lesions(rng: np.random.Generator, head: Head, number: int) -> Mask:
    """So many ovoids in the white matter; where they meet they are one."""
    white = (head.tissue == WHITE) & (head.depth > 5)
    away = distance_transform_edt(~head.ventricles, sampling=head.grid.spacing)
    beside = np.where(white, np.exp(-((away / _NEAR_VENTRICLES) ** 2)), 0).ravel()
    anywhere = white.ravel().astype(np.float64)
    chance = (1 - _DEEP_SHARE) * beside / beside.sum() + _DEEP_SHARE * anywhere / anywhere.sum()
    slopes = np.array(np.gradient(head.grid.blurred(away, 4.0), *head.grid.spacing))
    lesions = np.zeros(head.grid.shape, dtype=bool)
    for place in rng.choice(chance.size, size=number, p=chance):
        voxel = np.unravel_index(place, head.grid.shape)
        short = rng.uniform(*_SHORT)
        _add_ovoid(lesions, head.grid, np.array(voxel), slopes[:, *voxel], short, short * rng.uniform(*_LONGER))
    return lesions & white


def _add_ovoid(
    lesions: Mask, grid: Grid, centre: NDArray[np.intp], direction: NDArray[np.float64], short: float, long: float
) -> None:
    """Marks an ellipsoid of revolution about ``direction`` (voxel axes), half axes in millimetres."""
    reach = np.ceil(long / grid.spacing).astype(int)
    first, last = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, grid.shape)
    box = tuple(slice(start, stop) for start, stop in zip(first, last, strict=True))
    offset = (np.mgrid[box] - centre.reshape(3, 1, 1, 1)) * grid.spacing.reshape(3, 1, 1, 1)
    along = np.tensordot(direction / max(float(np.linalg.norm(direction)), 1e-9), offset, axes=1)
    across = (offset**2).sum(axis=0) - along**2
    lesions[box] |= (along / long) ** 2 + across / short**2 <= 1


def _draw_maps(
    rng: np.random.Generator, head: Head, lesions: Mask, settings: MsLesionSettings
) -> Mapping[str, NDArray[np.float32]]:
    texture = np.clip(1 + 0.2 * head.grid.field(rng, 4.0), 0.5, 1.5)
    found = {}
    for name, shown in _CONTRASTS.items():
        values = np.where(head.brain, np.array(shown.tissue)[np.clip(head.tissue - CSF, 0, 2)], 0.0)
        found[name] = values + np.where(lesions, settings.contrast * shown.lesion * texture, 0)
    if settings.distractors:
        _add_rims(rng, head, lesions, found, settings.distractors)
        _add_vessels(rng, head, found, settings.distractors)
    return {name: _recorded(rng, name, head, found[name], settings) for name in MAPS}


def _add_rims(rng: np.random.Generator, head: Head, lesions: Mask, maps: dict[str, Volume], strength: float) -> None:
    """FLAIR: the ventricles' rim, thicker at their horns, and patches where CSF flows too fast to be suppressed."""
    width = max(1.5, 0.7 * float(head.grid.spacing.max()))
    away = distance_transform_edt(~head.ventricles, sampling=head.grid.spacing)
    rim = head.parenchyma & ~lesions & (away < width * (1 + 0.6 * np.clip(head.grid.field(rng, 6.0), 0, 2)))
    maps[FLAIR][rim] += 30 * strength
    flowing = (head.ventricles | ((head.tissue == CSF) & (head.points[2] < 0))) & (head.grid.field(rng, 4.0) > 0.9)
    maps[FLAIR][flowing] += 150 * strength


def _add_vessels(rng: np.random.Generator, head: Head, maps: dict[str, Volume], strength: float) -> None:
    """T1 after contrast: arteries, sinus, cortical veins, and the plexus in the ventricles."""
    width = max(1.5, 0.6 * float(head.grid.spacing.max()))
    blood = np.exp(-0.5 * (near(head.grid, [*LARGE_ARTERIES, SINUS]) / width) ** 2)
    veins = (head.tissue == CSF) & (head.depth < 14) & ~head.ventricles & (head.grid.field(rng, 3.0) > 0.7)
    plexus = head.ventricles & (head.grid.field(rng, 3.0) > 1.0)
    maps[T1_POST] += strength * 700 * np.clip(blood + 0.6 * veins + 0.5 * plexus, 0, 1)


def _recorded(
    rng: np.random.Generator, name: str, head: Head, values: Volume, settings: MsLesionSettings
) -> NDArray[np.float32]:
    """The map as its file has it: without skull, slightly blurred, uneven, with noise, on a scale of its own."""
    uneven = 1 + 0.03 * head.grid.field(rng, 35.0)
    grain = head.grid.field(rng, 0.5 * float(head.grid.spacing.min()))
    measured = head.grid.blurred(values, 1.0) * uneven + settings.noise * _CONTRASTS[name].noise * grain
    scale = np.exp(settings.shift * rng.standard_normal())
    return np.where(head.brain, np.clip(scale * measured, 0, None), 0).astype(np.float32)


def _write_volume(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
