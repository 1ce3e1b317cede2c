"""Generated stroke cases in the folders of ISLES 2017, whose truth is known.

Six maps of one head. Evidence (``OT``) is the core of the stroke; the penumbra around it is not:

====  =============  ==========================  ==========================  ==============================
map   unit           core (evidence)             penumbra                    loud and no evidence
====  =============  ==========================  ==========================  ==============================
ADC   1e-6 mm2/s     about half                  nearly usual                CSF, four times the brain's
rCBF  ml/100 g/min   a fifth                     about 0.6                   arteries, grey matter
rCBV  ml/100 g       a third                     a little raised             arteries, sagittal sinus
MTT   s              5 longer                    5 longer                    rim of artefacts, benign delay
Tmax  s              8 later                     6 later                     rim, benign delay, sinus
TTP   s              9 later                     7 later                     rim, benign delay, sinus
====  =============  ==========================  ==========================  ==============================

So the core is dark where it differs from the penumbra, and where it is bright so is much else. An old infarct is as
badly perfused but bright in ADC; a benign delay is as late but well perfused. Values are those of a textbook, not of
a population.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .bedside_files import filled_at_once
from .brain import draw_head, swollen
from .lesion_shapes import Shape, cores_of_masks, masked_core, modelled_core, with_penumbra
from .settings import FOLDER, parse_settings, setting
from .stroke_maps import draw_maps
from .volume_grids import Grid, turned

MISSING = (3, 17, 25, 29, 34)
"""Numbers up to 48 that ISLES 2017 does not have."""
NUMBERS = tuple(number for number in range(1, 49) if number not in MISSING)
CLINICAL_TABLE = "ISLES2017_Training.csv"
_SMIR_EVERY = 7
_FIELD_OF_VIEW = 240.0
_GRIDS = ((1.0, 19, 6.5), (1.0, 19, 6.5), (4 / 3, 24, 5.0), (1.0, 19, 6.5), (2 / 3, 25, 5.0))
"""By the case's number: in-plane size against the commonest, slices, and their distance in millimetres."""
_USUAL_AGE = 65


@dataclass(frozen=True)
class StrokeSettings:
    """Settings of the phantom, each with its range.

    ``side``: voxels along x and y of the commonest grid; every fifth case has 4/3 and another fifth 2/3 as many, and
    24 or 25 slices in place of 19. 192 gives the sizes of ISLES 2017. ``contrast``: of core and penumbra, 1 is the
    table above. ``noise``: 1 is usual. ``shift``: SD of the logarithm of each map's scale, drawn for each case.
    ``distractors``: strength of what is loud and no evidence; 0 leaves out all but CSF and tissue. ``masks``: a
    folder of lesion masks in template space (NIfTI), used as cores, each once; without it cores are modelled.
    ``age_effect``: relative change of the core's volume per decade of age from 65. ``sex_effect``: relative
    difference of the core's volume, men minus women.
    """

    side: int = setting(64, 32, 256)
    contrast: float = setting(1.0, 0.0, 1.0)
    noise: float = setting(1.0, 0.0, 5.0)
    shift: float = setting(0.1, 0.0, 0.5)
    distractors: float = setting(1.0, 0.0, 3.0)
    masks: Path | None = field(default=None, metadata=FOLDER)
    age_effect: float = setting(0.0, -0.2, 0.2)
    sex_effect: float = setting(0.0, -0.9, 0.9)


@dataclass(frozen=True)
class _Person:
    """One subject: age in years, sex, and what the planted effects make of the core's volume."""

    age: int
    sex: str
    growth: float


def write_phantom(folder: Path | str, *, subjects: int = 12, seed: int = 0, **settings: Any) -> None:
    """Writes ``subjects`` cases, the clinical table and ``subjects.csv``.

    Per case ``training_<n>/<prefix>.Brain.XX.O.MR_<map>.<id>/<the same>.nii``, float32, for ADC, MTT, rCBF, rCBV,
    Tmax and TTP, and ``<prefix>.Brain.XX.O.OT.<id>``, uint8; the prefix is VSD, in every seventh case SMIR; the
    numbers are those of ISLES 2017 and go on after 48. Subject i is the same whatever their number. ``settings``: see
    StrokeSettings. The folder appears complete or not at all. Raises ValueError for a bad setting, a folder that is
    not empty, or masks of which too few can be used.
    """
    chosen = parse_settings(StrokeSettings, settings)
    if not 1 <= subjects <= len(NUMBERS):
        raise ValueError(f"subjects is {subjects}; expected 1 to {len(NUMBERS)}.")
    shapes = cores_of_masks(chosen.masks, seed) if chosen.masks else None
    with filled_at_once(folder) as draft:
        rows = [_write_case(draft, number, seed, chosen, shapes) for number in NUMBERS[:subjects]]
        persons, clinical = zip(*rows, strict=True)
        pd.DataFrame(persons).to_csv(draft / "subjects.csv", index=False)
        pd.DataFrame(clinical).to_csv(draft / CLINICAL_TABLE, index=False)


def _write_case(
    folder: Path, number: int, seed: int, settings: StrokeSettings, shapes: Iterator[Shape] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes one case's files; returns its rows of the table of subjects and of the clinical table."""
    # A stream for each part, so that a setting changes its own part alone.
    of_person, of_head, of_lesion, of_maps = (np.random.default_rng([seed, number, part]) for part in range(4))
    person = _draw_person(of_person, settings)
    grid = _draw_grid(of_head, number, settings.side)
    head = draw_head(of_head, grid, ventricle_size=1 + 0.008 * (person.age - _USUAL_AGE))
    core = masked_core(shapes, head, person.growth) if shapes else modelled_core(of_lesion, head, person.growth)
    head = swollen(head, core)
    stroke = with_penumbra(of_lesion, head, core)
    maps = draw_maps(
        of_maps, head, stroke,
        contrast=settings.contrast, noise=settings.noise, shift=settings.shift, distractors=settings.distractors,
    )  # fmt: skip
    case = folder / f"training_{number}"
    volumes: dict[str, NDArray[Any]] = {f"MR_{name}": values for name, values in maps.items()}
    volumes["OT"] = core.astype(np.uint8)
    for place, (name, values) in enumerate(volumes.items()):
        _write_volume(case, number, place, name, values, grid.affine)
    millilitres = float(core.sum() * np.prod(grid.spacing) / 1000)
    subject = {"recording": case.name, "subject": number, "age": person.age, "sex": person.sex}
    return subject, _clinical(of_person, case.name, millilitres)


def _draw_person(rng: np.random.Generator, settings: StrokeSettings) -> _Person:
    age, sex = int(np.clip(rng.normal(_USUAL_AGE, 13), 30, 92)), "M" if rng.random() < 0.5 else "F"
    by_age = 1 + settings.age_effect * (age - _USUAL_AGE) / 10
    by_sex = 1 + settings.sex_effect * (0.5 if sex == "M" else -0.5)
    return _Person(age, sex, by_age * by_sex)


def _draw_grid(rng: np.random.Generator, number: int, side: int) -> Grid:
    """Slices from the patient's right to left and front to back, tilted a little, of a head that lies a little off."""
    part, slices, distance = _GRIDS[number % len(_GRIDS)]
    shape = (round(side * part), round(side * part), slices)
    tilt = turned(rng.uniform(-12, 12))
    affine = np.eye(4)
    affine[:3, :3] = tilt @ np.diag([-_FIELD_OF_VIEW / shape[0], -_FIELD_OF_VIEW / shape[1], distance])
    middle = np.array([0.0, -16.0, 18.0]) + rng.uniform(-4, 4, 3)
    affine[:3, 3] = middle - affine[:3, :3] @ (np.array(shape) - 1) / 2
    pose = np.eye(4)
    pose[:3, :3] = np.diag(1 / rng.uniform(0.94, 1.04, 3))
    return Grid(shape, affine, pose)


def _write_volume(
    case: Path, number: int, place: int, name: str, values: NDArray[Any], affine: NDArray[np.float64]
) -> None:
    prefix = "SMIR" if number % _SMIR_EVERY == 0 else "VSD"
    stem = f"{prefix}.Brain.XX.O.{name}.{127000 + 10 * number + place}"
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    (case / stem).mkdir(parents=True)
    nib.save(image, case / stem / f"{stem}.nii")


def _clinical(rng: np.random.Generator, case: str, millilitres: float) -> dict[str, Any]:
    """Outcome after 90 days (the larger the core the worse), reperfusion by TICI, minutes since and to treatment."""
    outcome = int(np.clip(round(1 + millilitres / 40 + rng.normal(0, 1)), 0, 6))
    since = int(rng.uniform(60, 360))
    return {
        "Case": case, "mRS": outcome, "Time to mRS": 90, "TICI": str(rng.choice(["0", "1", "2a", "2b", "3"])),
        "Time since stroke": since, "Time to treatment": since + int(rng.uniform(30, 180)),
    }  # fmt: skip
