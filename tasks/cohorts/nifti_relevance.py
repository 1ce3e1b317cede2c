"""Writes relevance and the predicted lesion as NIfTI on the case's own grid, where any viewer lays them over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from .nifti_files import NiftiVolume

NIFTI_SUFFIX = ".nii.gz"
_LONGEST_NOTE = 79


def prediction_beside(out: Path) -> Path:
    """Where the predicted lesion goes: ``a-prediction.nii.gz`` beside ``a.nii.gz``."""
    return out.with_name(out.name.removesuffix(NIFTI_SUFFIX) + "-prediction" + NIFTI_SUFFIX)


def write_relevance_nifti(
    path: Path, relevance: NDArray[np.float32], reference: NiftiVolume, method: str, channels: Sequence[str]
) -> None:
    """Writes ``relevance`` (channel, depth, height, width) as a 4-D image (x, y, z, channel) in single precision.

    Affine, its codes and the unit of space are those of ``reference``. The description names the method and, in
    order, the channels. What nobody explained stays NaN.
    """
    _write(path, relevance.transpose(3, 2, 1, 0).astype(np.float32), reference, f"{method}: {' '.join(channels)}")


def write_mask_nifti(path: Path, mask: NDArray[np.bool_], reference: NiftiVolume, note: str) -> None:
    """Writes ``mask`` (depth, height, width) as a 3-D image of 0 and 1, placed like ``reference``."""
    _write(path, mask.transpose(2, 1, 0).astype(np.uint8), reference, note)


def _write(path: Path, values: NDArray[Any], reference: NiftiVolume, note: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, reference.affine)
    image.header.set_xyzt_units(reference.header.get_xyzt_units()[0])
    # A file may place itself by either of two forms, and programs differ in which they believe: both are kept.
    image.set_sform(reference.affine, code=int(reference.header["sform_code"]))
    if reference.header["qform_code"] > 0:
        image.set_qform(reference.header.get_qform(), code=int(reference.header["qform_code"]))
    image.header["descrip"] = note.encode("ascii", "replace")[:_LONGEST_NOTE]
    nibabel.save(image, path)
