"""ISLES 2017 (Zenodo 17736412): six maps of an acute stroke, and the infarct that it left three months later."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from models.bundle import LESION

from .errors import CohortError, UnusableRecording, private
from .isles_clinical import read_clinical
from .native import NativeVolume
from .nifti_case import CLASSES, TRUTH, Case, read_maps
from .nifti_files import find_nifti
from .resizing import resized
from .store import Cohort, write_cohort
from .subject_facts import Subject, read_subject_table
from .wfdb_files import folder_of_records, inside
from .writer import CohortDescription, Quarantined, Recorded

MAPS = ("ADC", "MTT", "rCBF", "rCBV", "Tmax", "TTP")
UNITS = ("1e-6 mm2/s", "s", "relative", "relative", "s", "s")
"""The files do not say their units. Diffusion is usually kept in 1e-6 mm2/s and the times of perfusion in seconds;
flow and volume of blood are relative to a vessel's, as their r says."""
CASE = re.compile(r"training_(\d+)")
_MAP = re.compile(r".*(?:MR_(?P<map>\w+)|\.(?P<truth>OT))(?:\.\w+)?")
"""The folder of a map, whatever stands before: most begin with VSD.Brain, some with SMIR.Brain."""


def read_isles(
    folder: Path | str,
    *,
    size: tuple[int, int, int] = (19, 48, 48),
    key: bytes,
    out: Path | str,
    study: str = "",
) -> Cohort:
    """Reads the cases ``training_<n>`` of ISLES 2017 into the cohort ``out``: (sample, 6, *size), one sample a case.

    A case holds a folder per map, ``VSD.Brain.XX.O.MR_<MAP>.<id>`` or ``SMIR...``, each with a file of its name,
    ``.nii`` or ``.nii.gz``, and the truth in ``....OT.<id>``; cases lie in ``folder`` or up to two folders below. Maps
    and truth are taken to ``size`` (depth, height, width) by the nearest voxel, as the paper does (`resized`); as they
    were they are in `Cohort.native`. Every sample has the label "lesion", and its evidence is the infarct. Maps keep
    their values: scaling is the version's matter. Sample columns: ``spacing_depth``, ``_height``, ``_width`` of the
    case's own grid (millimetres) and ``lesion_ml``.

    Subjects are the cases, with the factors of ``ISLES2017_Training.csv`` (see `isles_clinical`) and what an optional
    ``subjects.csv`` says. Quarantined, with its reason, is a case without all six maps and a truth on one grid, with
    voxels that are not finite, a constant map, labels other than 0 and 1, or without a lesion. ``key``: of the
    subjects' pseudonyms. ``study``: the name that the manifest bears. Raises CohortError when nothing is usable.
    """
    root = folder_of_records(folder, "ISLES cases")
    cases = case_names(root)
    clinical = read_clinical(root / Path(cases[0]).parent)
    description = CohortDescription(
        study=study,
        classes=CLASSES,
        channels=MAPS,
        units=UNITS,
        sampling_rate=1.0,
        window=math.prod(size),
        origin=0,
        reader="isles",
        parameters={"size": list(size)},
        volume=size,
    )
    stream = _stream(root, cases, clinical, read_subject_table(root), size)
    return write_cohort(out, description, stream, key=key)


def case_names(root: Path) -> list[str]:
    """The case folders relative to ``root``, by number. Raises CohortError if there are none."""
    for pattern in ("training_*", "*/training_*", "*/*/training_*"):
        found = [
            path.relative_to(root).as_posix()
            for path in root.glob(pattern)
            if path.is_dir() and CASE.fullmatch(path.name)
        ]
        if found:
            return sorted(found, key=lambda case: int(case.rpartition("_")[2]))
    raise CohortError(
        f"{private(root)} holds no case of ISLES 2017; expected folders training_1, training_2 and so on."
    )


def case_files(root: Path, case: str) -> dict[str, str]:
    """The file of each map and of the truth in the folder ``root/case``, relative to ``root``."""
    known = {"ot": TRUTH} | {name.casefold(): name for name in MAPS}
    files: dict[str, str] = {}
    for folder in sorted(inside(root, case).iterdir()):
        matched = _MAP.fullmatch(folder.name) if folder.is_dir() else None
        name = known.get((matched["map"] or matched["truth"]).casefold()) if matched else None
        file = find_nifti(root, f"{case}/{folder.name}/{folder.name}") if name else None
        if name is None or file is None:
            continue
        if name in files:
            raise UnusableRecording(f"the case has two files of {name}; expected one.")
        files[name] = file
    return files


def _stream(
    root: Path,
    cases: list[str],
    clinical: Mapping[str, Mapping[str, float]],
    listed: Mapping[str, Subject],
    size: tuple[int, int, int],
) -> Iterator[Recorded | Quarantined]:
    for case in cases:
        name = Path(case).name
        subject = listed.get(name, Subject(""))
        who = Subject(subject.identity or f"case:{name}", {**clinical.get(name, {}), **subject.facts})
        try:
            yield _recorded(name, read_maps(root, case_files(root, case), MAPS), who, size)
        except UnusableRecording as reason:
            yield Quarantined(name, reason.marked)


def _recorded(name: str, case: Case, subject: Subject, size: tuple[int, int, int]) -> Recorded:
    mask = case.marked
    depth, height, width = case.reference.spacing
    return Recorded(
        recording=name,
        identity=subject.identity,
        facts=subject.facts,
        signals=resized(case.signals, size)[None],
        labels=np.array([LESION]),
        onsets=np.array([0]),
        evidence=resized(mask, size)[None, None],
        columns={
            "spacing_depth": depth,
            "spacing_height": height,
            "spacing_width": width,
            "lesion_ml": case.reference.voxel_ml * int(mask.sum()),
        },
        native=[NativeVolume(case.signals, mask, case.reference.affine)],
    )
