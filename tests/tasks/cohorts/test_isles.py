"""Cases of ISLES 2017 as they come become samples; a case that cannot be used is named, with its reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from naming import named
from nifti_writing import AFFINE, write_case, write_nifti

from tasks.cohorts.isles import MAPS, UNITS, read_isles
from tasks.cohorts.isles_clinical import read_clinical
from tasks.cohorts.resizing import resized
from tasks.cohorts.store import Cohort, CohortError

read_isles = named(read_isles)
KEY = b"0123456789abcdef"
SIZE = (3, 6, 8)
CLINICAL = """Case Name , mRS,Time to mRS (days),TICI,TSS,TTT
training_10,4,88,2a,250,31.5
training_2,0,90,3,unknown,
training_99,1,90,0,1,2
"""


def rewrite(path: Path, change) -> None:
    image = nibabel.load(path)
    values, affine = image.get_fdata(dtype=np.float32), image.affine
    path.unlink()  # nibabel may have mapped it
    write_nifti(path, change(values.copy()), affine)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("isles")
    write_case(root, 2, (12, 10, 5))
    write_case(root, 10, (9, 14, 7), prefix="SMIR.Brain.XX.O", suffix=".nii.gz")
    write_case(root, 4)
    perfusion = "VSD.Brain.XX.O.MR_4DPWI.77"
    write_nifti(root / "training_4" / perfusion / f"{perfusion}.nii", np.zeros((4, 4, 4, 1, 3), dtype=np.int16))
    mean_transit = next((root / "training_4").glob("*MR_MTT*/*.nii"))
    rewrite(mean_transit, lambda values: values[..., None, None])
    write_nifti(mean_transit.with_name("Mirror_of_it.nii"), np.zeros((2, 2, 2), dtype=np.int16))
    (root / "__MACOSX").mkdir()
    (root / "training_4" / ".DS_Store").write_bytes(b"")
    (root / "isles2017_training.CSV").write_text(CLINICAL)
    (root / "subjects.csv").write_text("recording,age,sex\ntraining_4,71,F\n")
    return root


@pytest.fixture(scope="module")
def cohort(folder, tmp_path_factory) -> Cohort:
    return read_isles(folder, size=SIZE, key=KEY, out=tmp_path_factory.mktemp("out") / "cohort", study="stroke-lesions")


def from_files(folder: Path, case: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps (map, depth, height, width) and mask by nibabel alone."""

    def load(token: str) -> np.ndarray:
        (path,) = (p for p in (folder / f"training_{case}").glob(f"*.{token}.*/*.nii*") if "Mirror" not in p.name)
        return nibabel.load(path).get_fdata(dtype=np.float32).squeeze().transpose(2, 1, 0)

    return np.stack([load(f"MR_{name}") for name in MAPS]), load("OT") > 0


def test_cases_come_in_the_order_of_their_numbers_on_one_grid(cohort, folder):
    assert cohort.samples["recording"].tolist() == ["training_2", "training_4", "training_10"]
    assert cohort.quarantine.empty
    assert cohort.volume == SIZE
    assert cohort.channels == MAPS
    assert cohort.units == UNITS
    assert cohort.samples["label_name"].tolist() == ["lesion"] * 3
    for sample, case in enumerate((2, 4, 10)):
        maps, mask = from_files(folder, case)
        np.testing.assert_array_equal(cohort.signals([sample])[0], resized(maps, SIZE))
        np.testing.assert_array_equal(cohort.evidence([sample])[0, 0], resized(mask, SIZE))
        native = cohort.native(sample)
        np.testing.assert_array_equal(native.signals, maps)
        np.testing.assert_array_equal(native.evidence, mask)
        np.testing.assert_array_equal(native.affine, AFFINE)
    assert cohort.evidence(slice(None)).any(axis=(1, 2, 3, 4)).all()


def test_the_sample_table_tells_spacing_and_volume(cohort):
    row = cohort.samples.iloc[0]
    assert row["lesion_ml"] == pytest.approx(5 * 5 * 3 * 0.024)
    assert row["spacing_depth"] == pytest.approx(np.hypot(6, 0.5))
    assert (row["spacing_height"], row["spacing_width"]) == (2, 2)


def test_the_clinical_table_and_the_subjects_become_factors(cohort):
    subjects = cohort.subjects
    np.testing.assert_array_equal(subjects["mrs"], [0, np.nan, 4])
    np.testing.assert_array_equal(subjects["time_to_mrs"], [90, np.nan, 88])
    np.testing.assert_array_equal(subjects["tici"], [3, np.nan, 2])
    np.testing.assert_array_equal(subjects["time_since_stroke"], [np.nan, np.nan, 250])
    np.testing.assert_array_equal(subjects["time_to_treatment"], [np.nan, np.nan, 31.5])
    np.testing.assert_array_equal(subjects["age"], [np.nan, 71, np.nan])
    assert subjects["sex"].tolist() == [None, "F", None]


@pytest.mark.parametrize(
    "text",
    [
        "mRS;TICI;case\n3;2b;Training_7\n",
        "Case,Notes,modified Rankin Scale,mTICI\ntraining_7,good,3,2B\n",
        "\ufeffid,MRS,tici\ntest_1,0,0\ntraining_7,3,2b\n",
    ],
)
def test_the_clinical_table_is_read_by_its_headings(tmp_path, text):
    (tmp_path / "ISLES2017_Training.csv").write_text(text)
    assert read_clinical(tmp_path) == {"training_7": {"mrs": 3.0, "tici": 2.5}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,mRS\ntraining_1,3\ntraining_1,2\n", "lists a case twice in the column case"),
        ("case,mRS\npatient 1,3\n", "names no case; expected a column of names like training_1"),
        ("", "cannot be read"),
    ],
)
def test_a_clinical_table_that_makes_no_sense_is_refused(tmp_path, text, reason):
    write_case(tmp_path, 1)
    (tmp_path / "ISLES2017_Training.csv").write_text(text)
    with pytest.raises(CohortError, match=reason):
        read_isles(tmp_path, key=KEY, out=tmp_path / "out")


def with_voxel(value: float):
    def change(values: np.ndarray) -> np.ndarray:
        values[0, 0, 0] = value
        return values

    return change


def halved_gzip(files: dict[str, Path]) -> None:
    packed = write_nifti(files["MR_TTP"].with_suffix(".nii.gz"), np.random.default_rng(0).random((12, 10, 5)))
    packed.write_bytes(packed.read_bytes()[:-500])
    files["MR_TTP"].unlink()


def doubled(files: dict[str, Path]) -> None:
    folder = files["MR_MTT"].parent
    again = folder.with_name("SMIR.Brain.XX.O.MR_MTT.5")
    shutil.copytree(folder, again)
    (again / files["MR_MTT"].name).rename(again / f"{again.name}.nii")


def elsewhere(files: dict[str, Path]) -> None:
    shutil.move(files["OT"], files["OT"].parents[2] / "truth.nii")
    files["OT"].symlink_to("/etc/hostname")


def absurd(files: dict[str, Path]) -> None:
    content = bytearray(files["MR_ADC"].read_bytes())
    content[42:48] = b"\xff\x7f" * 3
    files["MR_ADC"].write_bytes(content)


BAD = {
    "missing map": (lambda f: f["MR_rCBV"].unlink(), "the case has no map rCBV; expected ADC, MTT, rCBF, rCBV, Tmax"),
    "other grid": (
        lambda f: rewrite(f["MR_Tmax"], lambda v: v[:, :, :-1]),
        r"….nii has 12 x 10 x 4 voxels where ….nii has 12 x 10 x 5",
    ),
    "other place": (
        lambda f: write_nifti(f["MR_MTT"], np.random.default_rng(0).random((12, 10, 5)), np.eye(4)),
        "lies elsewhere in space",
    ),
    "truth on another grid": (lambda f: rewrite(f["OT"], lambda v: v[1:]), "has 11 x 10 x 5 voxels"),
    "no truth": (lambda f: f["OT"].unlink(), "the case has no truth; expected a file with its lesion"),
    "empty truth": (lambda f: rewrite(f["OT"], lambda v: v * 0), r"….nii marks no voxel; expected a lesion"),
    "label 2": (lambda f: rewrite(f["OT"], with_voxel(2)), r"has the label 2; expected only 0 and 1"),
    "NaN": (lambda f: rewrite(f["MR_ADC"], with_voxel(np.nan)), r"….nii has 1 voxels that are not finite"),
    "infinite": (lambda f: rewrite(f["MR_ADC"], with_voxel(np.inf)), "1 voxels that are not finite"),
    "4-D": (
        lambda f: rewrite(f["MR_rCBF"], lambda v: np.stack([v, v], axis=-1)),
        r"has 4 dimensions \(12 x 10 x 5 x 2\); expected 3",
    ),
    "cut-short gzip": (halved_gzip, r"….nii.gz cannot be unpacked \(EOFError"),
    "absurd header": (absurd, "declares 32767 x 32767 x 32767 voxels"),
    "constant": (lambda f: rewrite(f["MR_MTT"], lambda v: v * 0 + 3), "the map MTT is constant"),
    "two files": (doubled, "the case has two files of MTT; expected one"),
    "link": (elsewhere, "lies outside the folder"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_case_that_cannot_be_used_is_quarantined_and_the_others_go_on(tmp_path, how):
    spoil, reason = BAD[how]
    folder = tmp_path / "cases"
    spoil(write_case(folder, 1))
    write_case(folder, 2)
    cohort = read_isles(folder, size=SIZE, key=KEY, out=tmp_path / "cohort")
    assert cohort.samples["recording"].tolist() == ["training_2"]
    assert cohort.quarantine["recording"].tolist() == ["training_1"]
    assert cohort.quarantine["reason"].str.contains(reason).all(), cohort.quarantine["reason"][0]


def test_cases_may_lie_one_folder_below_and_the_digest_is_the_same(tmp_path):
    write_case(tmp_path / "flat", 3)
    shutil.copytree(tmp_path / "flat", tmp_path / "deep" / "ISLES2017_Training")
    (tmp_path / "deep" / "ISLES2017_Training" / "ISLES2017_Training.csv").write_text("case,mRS\ntraining_3,\n")
    flat, deep = (read_isles(tmp_path / name, key=KEY, out=tmp_path / f"{name}-c") for name in ("flat", "deep"))
    assert flat.digest == deep.digest
    assert flat.signals([0]).shape == (1, 6, 19, 48, 48)
    other = read_isles(tmp_path / "flat", size=SIZE, key=KEY, out=tmp_path / "other")
    assert other.digest != flat.digest


def test_no_case_at_all_is_one_sentence(tmp_path):
    with pytest.raises(CohortError, match="holds no case of ISLES 2017; expected folders training_1"):
        read_isles(tmp_path, key=KEY, out=tmp_path / "out")
    with pytest.raises(CohortError, match="expected a folder of ISLES cases"):
        read_isles(tmp_path / "absent", key=KEY, out=tmp_path / "out")
