"""NIfTI files are read exactly as nibabel does, and refused before they can do harm."""

from __future__ import annotations

import contextlib
import gzip
import resource
import shutil
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_writing import AFFINE, write_nifti

from tasks.cohorts.errors import UnusableRecording
from tasks.cohorts.nifti_files import check_same_grid, find_nifti, mask_of, read_nifti

GRID = (6, 5, 4)


def values(grid=GRID, dtype=np.float32) -> np.ndarray:
    return (np.random.default_rng(0).random(grid) * 100).astype(dtype)


def change(path: Path, **fields) -> None:
    """Writes fields into a file's header, as they are."""
    content = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, ">i2", ">f4"])
def test_values_and_affine_are_nibabels(tmp_path, suffix, dtype):
    kind = np.dtype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if kind.byteorder == ">" else "<")
    header.set_data_dtype(kind)
    image = nibabel.Nifti1Image(values(dtype=kind), AFFINE, header)
    nibabel.save(image, tmp_path / f"a{suffix}")
    found = read_nifti(tmp_path, f"a{suffix}")
    expected = nibabel.load(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found.values, expected.get_fdata(dtype=np.float32).transpose(2, 1, 0))
    np.testing.assert_array_equal(found.affine, expected.affine)
    assert found.values.shape == GRID[::-1]
    assert found.values.flags.c_contiguous


def test_scaled_values_nifti_2_and_axes_of_one(tmp_path):
    scaled = nibabel.Nifti1Image(values(dtype=np.int16), AFFINE)
    scaled.header.set_slope_inter(0.25, -3)
    nibabel.save(scaled, tmp_path / "scaled.nii")
    expected = nibabel.load(tmp_path / "scaled.nii").get_fdata(dtype=np.float32)
    assert expected.min() < 0
    np.testing.assert_array_equal(read_nifti(tmp_path, "scaled.nii").values, expected.T)
    nibabel.save(nibabel.Nifti2Image(values(), AFFINE), tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path, "two.nii.gz").values, values().T)
    write_nifti(tmp_path / "five.nii", values()[..., None, None])
    np.testing.assert_array_equal(read_nifti(tmp_path, "five.nii").values, values().T)


def test_spacing_and_volume_of_a_voxel_come_from_the_affine(tmp_path):
    write_nifti(tmp_path / "a.nii", values())
    found = read_nifti(tmp_path, "a.nii")
    assert found.spacing == pytest.approx((np.hypot(6, 0.5), 2.0, 2.0))
    assert found.voxel_ml == pytest.approx(0.024)


def spoilt(folder: Path, how: str) -> str:
    path = write_nifti(folder / "a.nii", values())
    if how == "4-D":
        write_nifti(path, values((*GRID, 3)))
    elif how == "2-D":
        write_nifti(path, values((6, 5)))
    elif how == "NaN":
        bad = values()
        bad[1, 2, 3] = np.nan
        write_nifti(path, bad)
    elif how == "overflow":
        write_nifti(path, np.full(GRID, 1e300))
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_bytes(b"this is no image at all, but long enough for a header" * 10)
    elif how == "rgb":
        write_nifti(path, np.zeros(GRID, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif how == "complex":
        write_nifti(path, values().astype(np.complex64))
    elif how == "pair":
        change(path, magic=b"ni1")
    elif how == "huge":
        change(path, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    elif how == "large":
        change(path, dim=[3, 500, 500, 500, 1, 1, 1, 1])
    elif how == "negative":
        change(path, dim=[3, -6, 5, 4, 1, 1, 1, 1])
    elif how == "offset":
        change(path, vox_offset=1e9)
    elif how == "no offset":
        change(path, vox_offset=np.nan)
    elif how == "flat affine":
        change(path, sform_code=1, srow_x=[0, 0, 0, 0])
    elif how == "metres":
        change(path, xyzt_units=1)
    elif how == "strange unit":
        change(path, xyzt_units=7)
    return "a.nii"


REFUSED = {
    "4-D": r"a\.nii has 4 dimensions \(6 x 5 x 4 x 3\); expected 3\.",
    "2-D": r"has the shape 6 x 5; expected three axes",
    "NaN": "has 1 voxels that are not finite",
    "overflow": "has 120 voxels that are not finite",
    "cut": "cut short",
    "empty": "cut short",
    "text": "is no NIfTI file",
    "rgb": "expected plain numbers",
    "complex": "holds values of type complex64; expected plain numbers",
    "pair": "keeps its voxels in another file",
    "huge": "declares 32767 x 32767 x 32767 voxels; expected 134217728 at most",
    "large": "has 832 bytes; its header declares 500000000",
    "negative": "has the shape -6 x 5 x 4",
    "offset": r"places its first voxel at byte 1e\+09",
    "no offset": "places its first voxel at byte nan",
    "flat affine": "affine that cannot be inverted",
    "metres": "measures space in meter; expected mm",
    "strange unit": "a unit of the unknown code 7; expected mm",
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, how):
    name = spoilt(tmp_path, how)
    with pytest.raises(UnusableRecording, match=REFUSED[how]) as refused:
        read_nifti(tmp_path, name)
    assert str(refused.value).endswith(".")
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("kept", [0, 5, 40, 0.5, -9, -1])
def test_a_gzip_file_cut_short_is_refused_wherever_it_is_cut(tmp_path, kept):
    content = write_nifti(tmp_path / "a.nii.gz", values()).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(UnusableRecording, match=r"a\.nii\.gz (cannot be unpacked|ends before|has \d+ bytes)"):
        read_nifti(tmp_path, "a.nii.gz")


def test_a_spoilt_checksum_is_noticed(tmp_path):
    content = bytearray(write_nifti(tmp_path / "a.nii.gz", values()).read_bytes())
    content[-8] ^= 0xFF
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(UnusableRecording, match="CRC check failed"):
        read_nifti(tmp_path, "a.nii.gz")


def test_a_bomb_is_not_unpacked_and_an_absurd_size_not_allocated(tmp_path):
    plain = write_nifti(tmp_path / "a.nii", values()).read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(plain + bytes(200 << 20), compresslevel=1))
    spoilt(tmp_path, "large")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(read_nifti(tmp_path, "bomb.nii.gz").values, values().T)
        with pytest.raises(UnusableRecording, match="cut short"):
            read_nifti(tmp_path, "a.nii")
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
        with pytest.raises(UnusableRecording, match="cut short"):
            read_nifti(tmp_path, "a.nii.gz")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=12))
def test_whatever_a_header_says_the_file_is_read_or_refused(tmp_path, changes):
    content = bytearray(write_nifti(tmp_path / "a.nii", values()).read_bytes())
    for place, byte in changes:
        content[place] = byte
    (tmp_path / "a.nii").write_bytes(content)
    with contextlib.suppress(UnusableRecording):
        assert read_nifti(tmp_path, "a.nii").values.size <= 480


def test_nothing_outside_of_the_folder_is_read(tmp_path):
    write_nifti(tmp_path / "secret.nii", values())
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "a.nii").symlink_to(tmp_path / "secret.nii")
    for name in ("a.nii", "../secret.nii", "/etc/passwd"):
        with pytest.raises(UnusableRecording, match="lies outside the folder"):
            read_nifti(folder, name)
    with pytest.raises(UnusableRecording, match=r"the file b\.nii is missing"):
        read_nifti(folder, "b.nii")


def test_the_plain_file_is_found_before_the_packed_one(tmp_path):
    assert find_nifti(tmp_path, "a") is None
    write_nifti(tmp_path / "a.nii.gz", values())
    assert find_nifti(tmp_path, "a") == "a.nii.gz"
    write_nifti(tmp_path / "a.nii", values())
    assert find_nifti(tmp_path, "a") == "a.nii"


def test_one_grid_and_one_place(tmp_path):
    write_nifti(tmp_path / "a.nii", values())
    shutil.copy(tmp_path / "a.nii", tmp_path / "same.nii")
    write_nifti(tmp_path / "small.nii", values((6, 5, 3)))
    write_nifti(tmp_path / "moved.nii", values(), AFFINE + np.eye(4)[:, [3, 0, 1, 2]] * 0.01)
    first, same, small, moved = (read_nifti(tmp_path, f"{name}.nii") for name in ("a", "same", "small", "moved"))
    check_same_grid(same, first)
    with pytest.raises(UnusableRecording, match=r"small\.nii has 6 x 5 x 3 voxels where a\.nii has 6 x 5 x 4"):
        check_same_grid(small, first)
    with pytest.raises(UnusableRecording, match=r"moved\.nii lies elsewhere in space than a\.nii"):
        check_same_grid(moved, first)


def test_masks_hold_zero_and_one_and_some_one(tmp_path):
    labels = np.zeros(GRID, dtype=np.float32)
    write_nifti(tmp_path / "empty.nii", labels)
    labels[2, 3, 1] = 1
    write_nifti(tmp_path / "good.nii", labels)
    assert np.argwhere(mask_of(read_nifti(tmp_path, "good.nii"))).tolist() == [[1, 3, 2]]
    with pytest.raises(UnusableRecording, match=r"empty\.nii marks no voxel"):
        mask_of(read_nifti(tmp_path, "empty.nii"))
    for label in (2, -1, 0.5):
        labels[0, 0, 0] = label
        write_nifti(tmp_path / "bad.nii", labels)
        with pytest.raises(UnusableRecording, match=rf"bad\.nii has the label {label}; expected only 0 and 1"):
            mask_of(read_nifti(tmp_path, "bad.nii"))
