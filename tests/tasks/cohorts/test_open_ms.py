"""Patients of the open MS data are cut into patches, with lesions and without."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from naming import named
from nifti_writing import AFFINE, write_nifti

from tasks.cohorts.open_ms import MAPS, read_open_ms
from tasks.cohorts.store import Cohort, CohortError

read_open_ms = named(read_open_ms)
KEY = b"0123456789abcdef"
PATCH = (4, 8, 6)
GRID = (26, 30, 22)
ENDING = "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"


def write_patient(root: Path, name: str, seed: int, **files: np.ndarray) -> Path:
    """A patient of the processed data; the brain is a box within the volume, in (x, y, z)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(GRID, dtype=np.uint8)
    mask[6:9, 7:10, 8:10] = 1
    mask[18, 20, 15] = 1
    contents = {"GOLD_STANDARD": mask}
    for number, token in enumerate(MAPS, 1):
        contents[token] = np.zeros(GRID, dtype=np.float32)
        contents[token][3:23, 3:27, 3:19] = rng.uniform(10, 20, (20, 24, 16)) * number
    for token, values in (contents | files).items():
        write_nifti(root / name / f"{token}{ENDING}", values)
    return root / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("open-ms")
    for seed, name in enumerate(("patient07", "patient19", "patient101")):
        write_patient(root, name, seed)
    (root / "README.md").write_text("| patient07 | 53 | F |")
    (root / "subjects.csv").write_text("recording,age,sex\npatient19,47,F\n")
    return root


@pytest.fixture(scope="module")
def cohort(folder, tmp_path_factory) -> Cohort:
    out = tmp_path_factory.mktemp("out") / "cohort"
    return read_open_ms(folder, patch=PATCH, per_patient=8, key=KEY, out=out)


def test_half_of_the_patches_lie_on_lesions_and_half_away_from_them(cohort):
    assert cohort.classes == ("background", "lesion")
    assert cohort.volume == PATCH
    assert cohort.samples["recording"].unique().tolist() == ["patient07", "patient19", "patient101"]
    evidence = cohort.evidence(slice(None))
    assert evidence.shape == (24, 1, *PATCH)
    lesion = cohort.samples["label"].to_numpy() == 1
    assert lesion.reshape(3, 8).sum(axis=1).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(evidence.any(axis=(1, 2, 3, 4)), lesion)
    assert cohort.samples["evidence_known"].all()
    np.testing.assert_allclose(cohort.samples["lesion_ml"], evidence.sum(axis=(1, 2, 3, 4)) * 0.024)
    middles = cohort.signals(np.flatnonzero(~lesion))[:, :, 2, 4, 3]
    assert (middles > 0).all()


def test_patches_are_the_files_voxels_at_their_corner(cohort, folder):
    for sample in (0, 7, 12, 23):
        row = cohort.samples.iloc[sample]
        corner = [int(row[f"corner_{axis}"]) for axis in ("depth", "height", "width")]
        (z, y, x), (depth, height, width) = corner, PATCH
        native = cohort.native(sample)
        for channel, token in enumerate((*MAPS, "GOLD_STANDARD")):
            image = nibabel.load(folder / row["recording"] / f"{token}{ENDING}")
            cropped = image.slicer[x : x + width, y : y + height, z : z + depth]
            expected = cropped.get_fdata(dtype=np.float32).T
            if token in MAPS:
                np.testing.assert_array_equal(cohort.signals([sample])[0, channel], expected)
                np.testing.assert_array_equal(native.signals[channel], expected)
            else:
                np.testing.assert_array_equal(cohort.evidence([sample])[0, 0], expected > 0)
                np.testing.assert_array_equal(native.evidence, expected > 0)
            np.testing.assert_allclose(native.affine, cropped.affine)


def test_choices_follow_order_not_names_and_facts_come_from_the_table_alone(cohort, folder, tmp_path):
    for seed, name in enumerate(("patient1", "patient2", "patient3")):
        write_patient(tmp_path / "renamed", name, seed)
    (tmp_path / "renamed" / "subjects.csv").write_text("recording,age,sex\npatient2,47,F\n")
    renamed = read_open_ms(tmp_path / "renamed", patch=PATCH, per_patient=8, key=KEY, out=tmp_path / "out")
    assert renamed.digest == cohort.digest
    np.testing.assert_array_equal(cohort.subjects["age"], [np.nan, 47, np.nan])
    assert not np.array_equal(cohort.samples["corner_depth"][:8], cohort.samples["corner_depth"][8:16])


def test_the_raw_names_are_known_too(folder, tmp_path):
    names = {"FLAIR": "FLAIR", "T1": "T1W", "T1POST": "T1WKS", "T2": "T2W", "GOLD_STANDARD": "consensus_gt"}
    (tmp_path / "raw" / "patient07").mkdir(parents=True)
    (tmp_path / "one" / "patient07").mkdir(parents=True)
    for token, name in names.items():
        content = (folder / "patient07" / f"{token}{ENDING}").read_bytes()
        (tmp_path / "raw" / "patient07" / f"{name}.nii.gz").write_bytes(content)
        (tmp_path / "one" / "patient07" / f"{token}{ENDING}").write_bytes(content)
    raw, one = (read_open_ms(tmp_path / n, patch=PATCH, key=KEY, out=tmp_path / f"{n}-c") for n in ("raw", "one"))
    assert raw.digest == one.digest


def test_where_lesions_leave_no_room_there_are_fewer_patches(tmp_path):
    everywhere = np.zeros(GRID, dtype=np.uint8)
    everywhere[::4, ::4, ::2] = 1
    write_patient(tmp_path, "patient01", 0, GOLD_STANDARD=everywhere)
    cohort = read_open_ms(tmp_path, patch=PATCH, per_patient=8, key=KEY, out=tmp_path / "out")
    assert cohort.samples["label_name"].tolist() == ["lesion"] * 4


def remove(path: Path, token: str) -> None:
    next(path.glob(f"{token}_N4*")).unlink()


def rename(path: Path, token: str, name: str) -> None:
    next(path.glob(f"{token}_N4*")).rename(path / name)


BAD = {
    "missing map": (lambda p: remove(p, "T1POST"), "the case has no map T1POST; expected FLAIR, T1, T1POST, T2"),
    "no mask": (lambda p: remove(p, "GOLD_STANDARD"), "the case has no truth; expected a file with its lesion"),
    "empty mask": (
        lambda p: write_nifti(p / f"GOLD_STANDARD{ENDING}", np.zeros(GRID, dtype=np.uint8)),
        "….nii.gz marks no voxel",
    ),
    "other grid": (lambda p: write_nifti(p / f"T2{ENDING}", np.ones((26, 30, 21)) * 5), "26 x 30 x 21 voxels where"),
    "other place": (
        lambda p: write_nifti(p / f"GOLD_STANDARD{ENDING}", np.ones(GRID, dtype=np.uint8), AFFINE[[1, 0, 2, 3]]),
        "lies elsewhere in space",
    ),
    "two files": (lambda p: write_nifti(p / "T2W.nii", np.ones(GRID)), "the patient has two files of T2; expected one"),
    "link": (lambda p: [rename(p, "T1", "../t1.nii.gz"), (p / f"T1{ENDING}").symlink_to("/etc/hosts")], "lies outside"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_patient_who_cannot_be_used_is_quarantined(tmp_path, how):
    spoil, reason = BAD[how]
    spoil(write_patient(tmp_path / "in", "patient01", 0))
    write_patient(tmp_path / "in", "patient02", 1)
    cohort = read_open_ms(tmp_path / "in", patch=PATCH, per_patient=4, key=KEY, out=tmp_path / "out")
    assert cohort.samples["recording"].unique().tolist() == ["patient02"]
    assert cohort.quarantine["recording"].tolist() == ["patient01"]
    assert cohort.quarantine["reason"].str.contains(reason).all(), cohort.quarantine["reason"][0]


def test_a_volume_smaller_than_a_patch_and_no_patient_at_all(folder, tmp_path):
    with pytest.raises(CohortError, match=r"has \(22, 30, 26\) voxels; expected \(24, 48, 48\) or more"):
        read_open_ms(folder, key=KEY, out=tmp_path / "out")
    with pytest.raises(CohortError, match="holds no patient; expected folders patient01"):
        read_open_ms(tmp_path, key=KEY, out=tmp_path / "out")


def test_real_patients_are_read(real_data, tmp_path):
    cohort = read_open_ms(real_data("open-ms"), key=KEY, out=tmp_path / "out")
    assert cohort.quarantine.empty
    assert cohort.signals(slice(None)).shape[1:] == (4, 24, 48, 48)
    assert (cohort.samples.groupby("recording")["label"].sum() >= 5).all()
    assert np.linalg.det(cohort.native(0).affine[:3, :3]) == pytest.approx(-1.0)
