"""Opens NIfTI files of one folder with suspicion: nothing outside the folder, nothing larger than it says.

Every function raises UnusableRecording with a reason of one sentence; paths never appear in it. In memory the axes
of a volume are (depth, height, width), the file's (z, y, x).
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from .errors import UnusableRecording, private
from .wfdb_files import inside

SUFFIXES = (".nii", ".nii.gz")
_HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
_MOST_VOXELS = 1 << 27
"""512 MiB in single precision."""
_LARGEST_PREFACE = 1 << 24
"""Bytes before the first voxel: the header, and what programs keep behind it."""
_DENSEST = 1032
"""Bytes that one byte of a gzip file can unpack to, at most."""
_SAME_PLACE = 1e-3
"""Millimetres by which the affines of one case may differ."""


@dataclass(frozen=True)
class NiftiVolume:
    """``values`` (depth, height, width) float32; ``affine`` (4, 4) from the voxel (x, y, z) to millimetres.

    ``header``: the file's own, for what is written back beside it.
    """

    name: str
    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    header: Any

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along depth, height and width."""
        width, height, depth = (float(size) for size in nibabel.affines.voxel_sizes(self.affine))
        return depth, height, width

    @property
    def voxel_ml(self) -> float:
        """Millilitres of one voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000


def find_nifti(root: Path, stem: str) -> str | None:
    """The name of the file ``stem.nii``, else ``stem.nii.gz``, below ``root``, if there is one."""
    return next((stem + suffix for suffix in SUFFIXES if inside(root, stem + suffix).is_file()), None)


def read_nifti(root: Path, name: str) -> NiftiVolume:
    """The three-dimensional volume in ``root/name``; further axes of length 1 are dropped.

    Nothing is allocated before the header is found sound, and no more is unpacked than it declares. Refused: what lies
    outside of ``root``, a file cut short, one that is no NIfTI, more than three dimensions, more than 2**27 voxels, no
    plain numbers, voxels that are not finite, an affine that cannot be inverted.
    """
    path = inside(root, name)
    if not path.is_file():
        raise UnusableRecording(f"the file {private(name)} is missing.")
    with _opened(path) as stream:
        first = _exactly(stream, 348, path)
        header = _header(first, stream, path)
        shape, affine = _checked_shape(header, path), _checked_affine(header, path)
        values = _voxels(header, shape, stream, path)
        stream.read(1)  # past the end of a gzip file its checksum is verified
    return NiftiVolume(path.name, values, affine, header)


def check_same_grid(volume: NiftiVolume, other: NiftiVolume) -> None:
    """Refuses two files of a case that do not lie on one grid."""
    if volume.values.shape != other.values.shape:
        raise UnusableRecording(
            f"{private(volume.name)} has {_form(volume.values.shape[::-1])} voxels where {private(other.name)} has "
            f"{_form(other.values.shape[::-1])}; expected one grid."
        )
    if not np.allclose(volume.affine, other.affine, rtol=0, atol=_SAME_PLACE):
        raise UnusableRecording(
            f"{private(volume.name)} lies elsewhere in space than {private(other.name)}; expected one affine."
        )


def mask_of(volume: NiftiVolume) -> NDArray[np.bool_]:
    """The mask (depth, height, width) of a file of labels; refused unless it holds 0, 1 and some 1."""
    mask: NDArray[np.bool_] = volume.values == 1
    strange = volume.values[~mask & (volume.values != 0)]
    if len(strange):
        raise UnusableRecording(f"{private(volume.name)} has the label {strange.min():g}; expected only 0 and 1.")
    if not mask.any():
        raise UnusableRecording(f"{private(volume.name)} marks no voxel; expected a lesion.")
    return mask


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    """The file's content, unpacked where its name ends in .gz."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnusableRecording(
            f"{private(path.name)} cannot be unpacked ({type(error).__name__}: {error})."
        ) from error
    except OSError as error:
        raise UnusableRecording(
            f"{private(path.name)} cannot be read ({error.strerror or type(error).__name__})."
        ) from error


def _exactly(stream: BufferedIOBase, count: int, path: Path) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise UnusableRecording(f"{private(path.name)} ends before its content does (cut short).")
    return content


def _header(first: bytes, stream: BufferedIOBase, path: Path) -> Any:
    """The header, of NIfTI-1 or -2 in either byte order; the stream stands behind it."""
    size = next((n for order in ("little", "big") if (n := int.from_bytes(first[:4], order)) in _HEADERS), None)
    if size is None:
        raise UnusableRecording(f"{private(path.name)} is no NIfTI file: its header does not begin with 348 or 540.")
    block = first + _exactly(stream, size - len(first), path)
    try:
        header = _HEADERS[size](block)
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise UnusableRecording(f"{private(path.name)} has no sound header ({type(error).__name__}).") from error
    if not bytes(header["magic"]).startswith(b"n+"):
        raise UnusableRecording(f"{private(path.name)} keeps its voxels in another file; expected one file (.nii).")
    return header


def _checked_shape(header: Any, path: Path) -> tuple[int, int, int]:
    """The lengths of x, y and z."""
    lengths = [int(length) for length in header["dim"][1 : int(header["dim"][0]) + 1]]
    if len(lengths) < 3 or min(lengths) < 1:
        raise UnusableRecording(f"{private(path.name)} has the shape {_form(lengths)}; expected three axes.")
    if any(length > 1 for length in lengths[3:]):
        raise UnusableRecording(f"{private(path.name)} has {len(lengths)} dimensions ({_form(lengths)}); expected 3.")
    if math.prod(lengths) > _MOST_VOXELS:
        raise UnusableRecording(
            f"{private(path.name)} declares {_form(lengths)} voxels; expected {_MOST_VOXELS} at most."
        )
    return lengths[0], lengths[1], lengths[2]


def _checked_affine(header: Any, path: Path) -> NDArray[np.float64]:
    try:
        space = header.get_xyzt_units()[0]
    except KeyError:
        space = f"a unit of the unknown code {int(header['xyzt_units'])}"
    if space not in ("mm", "unknown"):
        raise UnusableRecording(f"{private(path.name)} measures space in {space}; expected mm.")
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        raise UnusableRecording(f"{private(path.name)} has no affine ({error}).") from error
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UnusableRecording(f"{private(path.name)} has an affine that cannot be inverted.")
    return affine


def _voxels(header: Any, shape: tuple[int, int, int], stream: BufferedIOBase, path: Path) -> NDArray[np.float32]:
    """The values (depth, height, width), scaled as the header says; slice by slice, so that they are held once."""
    kind = header.get_data_dtype()
    if kind.kind not in "iuf":
        raise UnusableRecording(f"{private(path.name)} holds values of type {kind}; expected plain numbers.")
    count = math.prod(shape) * kind.itemsize
    _exactly(stream, _gap(header, path), path)
    _check_stored_size(path, count)
    slope, intercept = _scaling(header, path)
    width, height, depth = shape
    values = np.empty((depth, height, width), dtype=np.float32)
    strange = 0
    for rows in values:
        raw = np.frombuffer(_exactly(stream, count // depth, path), dtype=kind).reshape(height, width)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found, and said, below
            rows[:] = raw if (slope, intercept) == (1.0, 0.0) else raw * slope + intercept
        strange += int(np.count_nonzero(~np.isfinite(rows)))
    if strange:
        raise UnusableRecording(f"{private(path.name)} has {strange} voxels that are not finite.")
    return values


def _gap(header: Any, path: Path) -> int:
    """Bytes between the header and the first voxel."""
    offset = float(header["vox_offset"])
    gap = offset - int(header["sizeof_hdr"])
    if not 0 <= gap <= _LARGEST_PREFACE:
        raise UnusableRecording(
            f"{private(path.name)} places its first voxel at byte {offset:g}; expected it behind the header."
        )
    return int(gap)


def _check_stored_size(path: Path, content: int) -> None:
    """Refuses, before memory is asked for, a file too small for what its header declares."""
    stored = path.stat().st_size
    most = stored * _DENSEST if path.suffix == ".gz" else stored
    if most < content:
        raise UnusableRecording(f"{private(path.name)} has {stored} bytes; its header declares {content} (cut short).")


def _scaling(header: Any, path: Path) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise UnusableRecording(f"{private(path.name)} has no sound scaling ({error}).") from error
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))


def _form(lengths: Any) -> str:
    return " x ".join(map(str, lengths))
