"""A patient's files become what a version takes, and its maps come back to the patient's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_writing import write_case, write_nifti

from tasks.cohorts import isles, open_ms
from tasks.cohorts.case_samples import CaseSamples, read_case_samples
from tasks.cohorts.errors import CohortError
from tasks.cohorts.isles import read_isles
from tasks.cohorts.nifti_case import Case
from tasks.cohorts.nifti_files import NiftiVolume

GRID = (3, 6, 8)


@pytest.fixture(scope="module")
def stroke(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("isles")
    write_case(root, 4)
    return root


@pytest.fixture(scope="module")
def patient(tmp_path_factory) -> Path:
    """Brain on one side only; 14 x 12 x 9 voxels of (x, y, z)."""
    root = tmp_path_factory.mktemp("ms")
    for number, token in enumerate(open_ms.MAPS, 1):
        values = np.zeros((14, 12, 9), dtype=np.float32)
        values[:6] = np.random.default_rng(number).random((6, 12, 9)) + number
        write_nifti(root / "patient07" / f"{token}_N4.nii.gz", values)
    return root / "patient07"


def test_a_stroke_case_is_explained_as_the_cohort_holds_it(stroke, tmp_path):
    cohort = read_isles(stroke, size=GRID, key=b"0123456789abcdef", out=tmp_path / "cohort")
    for file in (stroke / "training_4", next((stroke / "training_4").glob("*MTT*/*.nii"))):
        samples = read_case_samples(file, isles.MAPS, GRID)
        assert samples.what == "volume"
        np.testing.assert_array_equal(samples.inputs, cohort.signals([0]))
        assert len(samples.files) == 6
        assert all(path.is_file() for path in samples.files)


def test_a_resized_map_comes_back_by_the_nearest_voxel(stroke):
    samples = read_case_samples(stroke / "training_4", isles.MAPS, (10, 20, 24))
    np.testing.assert_array_equal(samples.restored(samples.inputs), samples.case.signals)
    assert samples.case.signals.shape == (6, 5, 10, 12)


def test_the_truth_is_not_looked_at(tmp_path):
    files = write_case(tmp_path, 4)
    write_nifti(files["OT"], np.full((2, 2, 2), 7.0))
    assert read_case_samples(tmp_path / "training_4", isles.MAPS, GRID).case.mask is None


def test_patches_cover_the_brain_of_a_patient_and_come_back(patient):
    for file in (patient, patient / "T1_N4.nii.gz"):
        samples = read_case_samples(file, open_ms.MAPS, (4, 5, 6))
        assert samples.what == "patches"
        assert len(samples.inputs) == 3 * 3 * 2  # of 3 x 3 x 3, without those that hold no brain
        restored = samples.restored(samples.inputs)
        brain = (samples.case.signals != 0).all(axis=0)
        np.testing.assert_allclose(restored[:, brain], samples.case.signals[:, brain], rtol=1e-6)
        assert np.isnan(restored[:, :, :, 10:]).all()
        assert not np.isnan(restored[:, :, :, :10]).any()


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(3, 8), st.integers(4, 9), st.integers(5, 9)), st.integers(0, 2**32 - 1))
def test_overlapping_patches_are_averaged(shape, seed):
    rng = np.random.default_rng(seed)
    volume = NiftiVolume("a.nii", np.zeros(shape, np.float32), np.eye(4), None)
    corners = np.stack([rng.integers(0, np.array(shape) - (2, 3, 4), endpoint=True) for _ in range(5)])
    values = rng.normal(size=(5, 2, 2, 3, 4)).astype(np.float32)
    samples = CaseSamples(Case(np.zeros((2, *shape), np.float32), volume, None), (), values, corners)
    restored, size = samples.restored(values), np.array((2, 3, 4))
    for voxel in np.ndindex(*shape):
        inside = [
            value[:, *(np.array(voxel) - corner)]
            for corner, value in zip(corners, values, strict=True)
            if ((voxel >= corner) & (voxel < corner + size)).all()
        ]
        expected = np.mean(inside, axis=0) if inside else np.full(2, np.nan)
        np.testing.assert_allclose(restored[:, *voxel], expected, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_explained_is_one_sentence_with_the_file(stroke, patient, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no image")
    wrong = {
        ("empty", isles.MAPS): r"empty cannot be explained: the case has no map ADC, MTT, rCBF, rCBV, Tmax, TTP;",
        ("missing", isles.MAPS): "missing cannot be explained: it is no folder of a case and no file that ends in",
        ("text.txt", open_ms.MAPS): "it is no folder of a case and no file that ends in",
        (str(patient), isles.MAPS): "the case has no map ADC",
        (str(stroke / "training_4"), ("T1", "T2")): "the version takes T1, T2; expected the maps of ISLES 2017",
    }
    for (name, channels), reason in wrong.items():
        with pytest.raises(CohortError, match=reason):
            read_case_samples(tmp_path / name, channels, GRID)
    with pytest.raises(CohortError, match=r"patient07 cannot be explained: the volume has \(9, 12, 14\) voxels"):
        read_case_samples(patient, open_ms.MAPS, (24, 48, 48))
