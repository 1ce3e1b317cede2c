"""Opens idx files of one folder with suspicion: nothing outside the folder, nothing larger than it says.

An idx file (LeCun's format of MNIST) is two zero bytes, a byte for the type of the values, a byte for the number
of axes, the length of each axis as four bytes, the most significant first, and then the values, row by row.
Every function raises UnusableRecording with a reason of one sentence; paths never appear in it.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .errors import CohortError, UnusableRecording, private

_UNSIGNED_BYTE = 0x08
_LONGEST_AXIS = 1 << 24
_MOST_VALUES = 1 << 30
"""Half as much again as the largest known set, EMNIST's 814,255 images of 28 x 28."""
_PIECE = 1 << 22
"""Bytes that are read at once."""
_SLACK = 1 << 20
"""Bytes that a compressed file may have beyond its content: more is padding that only costs time."""


@dataclass(frozen=True)
class IdxFile:
    """A file of unsigned bytes whose header is sound; ``shape`` is as the header declares it."""

    path: Path
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The file's name, for the person who reads of it."""
        return self.path.name

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """The values (item, *grid), some items at a time: about 4 MiB, whatever the file's size."""
        grid, items = self.shape[1:], self.shape[0]
        each = math.prod(grid)
        at_once = max(1, _PIECE // each)
        with _opened(self.path) as stream:
            stream.read(4 + 4 * len(self.shape))
            for first in range(0, items, at_once):
                count = min(at_once, items - first)
                yield np.frombuffer(_exactly(stream, count * each, self.path), dtype=np.uint8).reshape(count, *grid)

    def check_length(self) -> None:
        """Reads the file to its end: it holds the bytes that its header declares, and no more.

        Stops one byte after them, so that a file that unpacks to more than it says is not unpacked.
        """
        left = 4 + 4 * len(self.shape) + math.prod(self.shape)
        _check_stored_size(self.path, left)
        with _opened(self.path) as stream:
            while left:
                left -= len(_exactly(stream, min(left, _PIECE), self.path))
            if stream.read(1):
                raise UnusableRecording(f"{self.name} goes on after the {_form(self.shape)} that its header declares.")


def folder_of_files(folder: Path | str) -> Path:
    """The resolved folder. Raises CohortError when it is not one."""
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise CohortError(f"{private(folder)} is {found}; expected a folder of idx files.")
    return root.resolve()


def find(root: Path, name: str) -> Path | None:
    """The file ``name`` or ``name.gz``, links followed, if there is one."""
    # Where both are there, the plain one is the other unpacked: torchvision and gunzip --keep leave them so.
    for path in (root / name, root / f"{name}.gz"):
        try:
            outside = path.is_symlink() and not path.resolve().is_relative_to(root)
        except RuntimeError:
            raise UnusableRecording(f"the file {path.name} is a link in a circle.") from None
        if outside:
            raise UnusableRecording(f"the file {path.name} lies outside the folder.")
        if path.is_file():
            return path
    return None


def read_header(path: Path, axes: int) -> IdxFile:
    """The file with the shape that its header declares: ``axes`` axes of unsigned bytes, of lengths within bounds."""
    with _opened(path) as stream:
        _check_magic(_exactly(stream, 4, path), axes, path.name)
        lengths = np.frombuffer(_exactly(stream, 4 * axes, path), dtype=">u4")
    shape = tuple(int(length) for length in lengths)
    if not all(0 < length <= _LONGEST_AXIS for length in shape) or math.prod(shape) > _MOST_VALUES:
        raise UnusableRecording(
            f"{path.name} declares {_form(shape)}; expected 1 to {_LONGEST_AXIS} along each axis "
            f"and at most {_MOST_VALUES} in all."
        )
    return IdxFile(path, shape)


def _check_magic(magic: bytes, axes: int, name: str) -> None:
    if magic[:2] != b"\0\0":
        raise UnusableRecording(f"{name} begins with 0x{magic.hex()}; expected the idx number 0x000008{axes:02x}.")
    if magic[2] != _UNSIGNED_BYTE:
        raise UnusableRecording(f"{name} holds values of type 0x{magic[2]:02x}; expected 0x08, unsigned bytes.")
    if magic[3] != axes:
        raise UnusableRecording(f"{name} has {magic[3]} axes; expected {axes}.")


def _check_stored_size(path: Path, content: int) -> None:
    found = path.stat().st_size
    if path.suffix != ".gz" and found != content:
        what = "truncated" if found < content else "too long"
        raise UnusableRecording(f"{path.name} has {found} bytes where the header declares {content} ({what}).")
    if found > content + _SLACK:
        raise UnusableRecording(f"{path.name} has {found} bytes to hold {content}; expected fewer.")


def _exactly(stream: BinaryIO, count: int, path: Path) -> bytes:
    pieces = []
    while count:
        piece = stream.read(count)
        if not piece:
            raise UnusableRecording(f"{path.name} ends {count} bytes early (truncated).")
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file's content, unpacked; what the disk or the packing has against it becomes the reason."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except EOFError:
        raise UnusableRecording(f"the gzip stream of {path.name} is cut short.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnusableRecording(f"{path.name} is no sound gzip file: {error}.") from error
    except OSError as error:
        raise UnusableRecording(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _form(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) + " bytes"
