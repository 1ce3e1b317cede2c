"""What is written back opens in nibabel, on the case's grid and in its place."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nifti_writing import AFFINE, write_nifti

from tasks.cohorts.nifti_files import NiftiVolume, read_nifti
from tasks.cohorts.nifti_relevance import prediction_beside, write_mask_nifti, write_relevance_nifti

GRID = (6, 5, 4)
OTHER = np.array([[0.0, 3.0, 0.0, 1.0], [-2.0, 0.0, 0.0, 2.0], [0.0, 0.0, 5.0, 3.0], [0.0, 0.0, 0.0, 1.0]])


def reference(tmp_path: Path, sform: int = 1, qform: int = 2) -> NiftiVolume:
    image = nibabel.Nifti1Image(np.random.default_rng(0).random(GRID), AFFINE)
    image.set_sform(AFFINE, code=sform)
    image.set_qform(OTHER, code=qform)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "a.nii")
    return read_nifti(tmp_path, "a.nii")


def test_relevance_lies_on_the_grid_of_the_case_a_channel_along_the_fourth_axis(tmp_path):
    case = reference(tmp_path)
    relevance = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype(np.float32) * 1e-8
    relevance[:, 1, 2, 3] = np.nan
    out = tmp_path / "made" / "explained.nii.gz"
    write_relevance_nifti(out, relevance, case, "lrp_zplus", ("ADC", "MTT", "TTP"))
    found, original = nibabel.load(out), nibabel.load(tmp_path / "a.nii")
    assert found.shape == (*original.shape, 3)
    values = np.asarray(found.dataobj)
    assert values.dtype == np.float32
    assert np.isnan(values[3, 2, 1]).all()
    np.testing.assert_array_equal(values, relevance.T.transpose(0, 1, 2, 3))
    np.testing.assert_array_equal(found.affine, original.affine)
    assert found.header.get_xyzt_units() == ("mm", "unknown")
    assert found.header["descrip"].item() == b"lrp_zplus: ADC MTT TTP"


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 2), (4, 1), (0, 0)])
def test_both_forms_of_the_affine_are_kept(tmp_path, sform, qform):
    case = reference(tmp_path, sform, qform)
    write_mask_nifti(tmp_path / "mask.nii.gz", np.zeros(GRID[::-1], dtype=bool), case, "predicted lesion")
    found, original = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(tmp_path / "a.nii")
    np.testing.assert_allclose(found.affine, original.affine, atol=1e-5)
    assert (found.header["sform_code"], found.header["qform_code"]) == (sform, qform)
    if qform:
        np.testing.assert_allclose(found.get_qform(), original.get_qform(), atol=1e-5)


def test_a_mask_is_zero_and_one(tmp_path):
    mask = np.zeros(GRID[::-1], dtype=bool)
    mask[3, 1, 2] = True
    write_mask_nifti(tmp_path / "mask.nii.gz", mask, reference(tmp_path), "x" * 200)
    found = nibabel.load(tmp_path / "mask.nii.gz")
    assert found.get_data_dtype() == np.uint8
    assert np.argwhere(np.asarray(found.dataobj)).tolist() == [[2, 1, 3]]
    assert np.array_equal(read_nifti(tmp_path, "mask.nii.gz").values, mask)


def test_the_prediction_lies_beside_the_relevance():
    assert prediction_beside(Path("x/a.b.nii.gz")) == Path("x/a.b-prediction.nii.gz")


def test_nothing_of_the_original_header_but_its_place_is_copied(tmp_path):
    """A header may name the patient."""
    image = nibabel.load(write_nifti(tmp_path / "b.nii", np.ones(GRID)))
    image.header["descrip"] = b"Jane Doe"
    image.header["db_name"] = b"Jane Doe"
    nibabel.save(image, tmp_path / "c.nii")
    write_mask_nifti(tmp_path / "mask.nii.gz", np.zeros(GRID[::-1], bool), read_nifti(tmp_path, "c.nii"), "m")
    assert b"Jane" not in nibabel.load(tmp_path / "mask.nii.gz").header.binaryblock
