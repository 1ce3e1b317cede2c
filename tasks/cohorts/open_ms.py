"""The open MS data (Lesjak et al. 2017, doi:10.1007/s12021-017-9348-7): MRI of multiple sclerosis, cut into patches."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from models.bundle import LESION

from .errors import CohortError, UnusableRecording, private
from .native import NativeVolume
from .nifti_case import BACKGROUND, CLASSES, TRUTH, Case, read_maps
from .nifti_files import SUFFIXES
from .patches import corners_free_of, corners_on, patch_at, shifted
from .store import Cohort, write_cohort
from .subject_facts import Subject, read_subject_table
from .wfdb_files import folder_of_records, inside
from .writer import CohortDescription, Quarantined, Recorded

MAPS = ("FLAIR", "T1", "T1POST", "T2")
UNIT = "NU"
"""The intensity of a weighted image has no unit."""
PATIENT = re.compile(r"patient(\d+)")
_TOKENS = {
    "FLAIR": "FLAIR",
    "T1": "T1",
    "T1W": "T1",
    "T1POST": "T1POST",
    "T1WKS": "T1POST",
    "T2": "T2",
    "T2W": "T2",
    "GOLD": TRUTH,
    "CONSENSUS": TRUTH,
}
"""What a file's name begins with, up to the first underscore or point: in the processed data, and in the raw."""


def read_open_ms(
    folder: Path | str,
    *,
    patch: tuple[int, int, int] = (24, 48, 48),
    per_patient: int = 12,
    key: bytes,
    out: Path | str,
    study: str = "",
) -> Cohort:
    """Reads the folders ``patient<n>`` into the cohort ``out``: (sample, 4, *patch), several patches a patient.

    A patient's files are told by what their names begin with: FLAIR, T1, T1POST and T2, and GOLD_STANDARD, the mask
    on which the experts agreed; ``.nii`` or ``.nii.gz``, all on one grid. Half of the ``per_patient`` patches lie on
    lesions, dealt over the lesions in turn, the middle up to a quarter of the patch away from the lesion's voxel, so
    that the place in the patch tells nothing; they have the label "lesion" and their evidence is the mask. The others
    have their middle in the brain (no map is 0 there) and no lesion voxel at all: "background", with empty evidence,
    to learn from; there are fewer where lesions leave no room. Choices are drawn by the patient's place in the
    order of numbers, so that names do not matter.

    Signals are the files' values, not resampled: `Cohort.native` of a sample is the patch itself with its affine.
    Sample columns: ``corner_depth``, ``_height``, ``_width`` (voxels, of the patch's first in the volume), ``spacing_``
    likewise (millimetres) and ``lesion_ml``, in the patch. Every folder is another patient; age, sex and factors come
    from ``subjects.csv`` alone. A patient who cannot be used is quarantined with the reason. ``key``: of the subjects'
    pseudonyms. ``study``: the name that the manifest bears. Raises CohortError when nothing is usable.
    """
    root = folder_of_records(folder, "MS patients")
    description = CohortDescription(
        study=study,
        classes=CLASSES,
        channels=MAPS,
        units=(UNIT,) * len(MAPS),
        sampling_rate=1.0,
        window=math.prod(patch),
        origin=0,
        reader="open_ms",
        parameters={"patch": list(patch), "per_patient": per_patient},
        volume=patch,
    )
    stream = _stream(root, patient_names(root), read_subject_table(root), patch, per_patient)
    return write_cohort(out, description, stream, key=key)


def patient_files(root: Path, patient: str) -> dict[str, str]:
    """The file of each image and of the mask in the folder ``root/patient``, relative to ``root``.

    Raises UnusableRecording for two files of one image.
    """
    files: dict[str, str] = {}
    for path in sorted(inside(root, patient).iterdir()):
        name = _TOKENS.get(re.split(r"[_.]", path.name)[0].upper())
        if name is None or not path.name.endswith(SUFFIXES):
            continue
        if name in files:
            raise UnusableRecording(f"the patient has two files of {name}; expected one.")
        files[name] = f"{patient}/{path.name}"
    return files


def patient_names(root: Path) -> list[str]:
    """The patients' folders, by number. Raises CohortError if there are none."""
    found = [path.name for path in root.iterdir() if path.is_dir() and PATIENT.fullmatch(path.name)]
    if not found:
        raise CohortError(f"{private(root)} holds no patient; expected folders patient01, patient02 and so on.")
    return sorted(found, key=lambda name: (int(name.removeprefix("patient")), name))


def _stream(
    root: Path, patients: list[str], listed: Mapping[str, Subject], patch: tuple[int, int, int], per_patient: int
) -> Iterator[Recorded | Quarantined]:
    for number, name in enumerate(patients):
        subject = listed.get(name, Subject(""))
        try:
            case = read_maps(root, patient_files(root, name), MAPS)
            on, off = _corners(case, patch, per_patient, np.random.default_rng(number))
        except UnusableRecording as reason:
            yield Quarantined(name, reason.marked)
            continue
        corners = np.concatenate([on, off])
        labels = np.repeat([LESION, BACKGROUND], [len(on), len(off)])
        yield _recorded(name, subject, case, corners, labels, patch)


def _corners(
    case: Case, patch: tuple[int, int, int], per_patient: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The corners (patch, 3) on lesions and away from them."""
    mask = case.marked
    if any(side < wanted for side, wanted in zip(mask.shape, patch, strict=True)):
        raise UnusableRecording(f"the volume has {mask.shape} voxels; expected {patch} or more, the size of a patch.")
    lesions, _ = label(mask, structure=np.ones((3, 3, 3)))
    brain: NDArray[np.bool_] = np.asarray((case.signals != 0).all(axis=0))
    on = corners_on(lesions, patch, (per_patient + 1) // 2, rng)
    return on, corners_free_of(mask, brain, patch, per_patient // 2, rng)


def _recorded(
    name: str,
    subject: Subject,
    case: Case,
    corners: NDArray[np.int64],
    labels: NDArray[np.int64],
    patch: tuple[int, int, int],
) -> Recorded:
    signals = np.stack([patch_at(case.signals, corner, patch) for corner in corners])
    evidence = np.stack([patch_at(case.marked, corner, patch) for corner in corners])
    affine, spacing = case.reference.affine, case.reference.spacing
    axes = ("depth", "height", "width")
    return Recorded(
        recording=name,
        identity=subject.identity or f"patient:{name}",
        facts=subject.facts,
        signals=signals,
        labels=labels,
        onsets=np.arange(len(corners)),
        evidence=evidence[:, None],
        columns={
            **{f"corner_{axis}": corners[:, i] for i, axis in enumerate(axes)},
            **{f"spacing_{axis}": spacing[i] for i, axis in enumerate(axes)},
            "lesion_ml": evidence.sum(axis=(1, 2, 3)) * case.reference.voxel_ml,
        },
        native=[
            NativeVolume(signal, mask, shifted(affine, corner))
            for signal, mask, corner in zip(signals, evidence, corners, strict=True)
        ],
    )
