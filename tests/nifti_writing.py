"""Small NIfTI files, and cases of ISLES 2017 made of them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

AFFINE = np.array([[-2.0, 0.0, 0.0, 30.0], [0.0, 2.0, 0.5, -20.0], [0.0, 0.0, 6.0, 4.0], [0.0, 0.0, 0.0, 1.0]])
TOKENS = ("MR_ADC", "MR_MTT", "MR_rCBF", "MR_rCBV", "MR_Tmax", "MR_TTP", "OT")


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """``values`` in the file's own order of axes, (x, y, z)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def write_case(
    root: Path, number: int, grid=(12, 10, 5), *, prefix: str = "VSD.Brain.XX.O", suffix: str = ".nii"
) -> dict[str, Path]:
    """The folder ``training_<number>``; the file of each token, "MR_ADC" to "OT"."""
    rng = np.random.default_rng(number)
    files = {}
    for place, token in enumerate(TOKENS):
        values = rng.normal(100 * (place + 1), 10, grid).astype(np.float32)
        if token == "OT":
            values = np.zeros(grid, dtype=np.uint8)
            values[3:8, 2:7, 1:4] = 1
        stem = f"{prefix}.{token}.{1000 * number + place}"
        files[token] = write_nifti(root / f"training_{number}" / stem / f"{stem}{suffix}", values)
    return files
