"""Real handwriting in the files of MNIST: the digits that come with scikit-learn, so that no download is needed.

They are the test part of Alpaydin & Kaynak's Optical Recognition of Handwritten Digits (UCI, 1998): 1,797 images
of 8 x 8, each value the number of inked pixels, 0 to 16, in a block of 4 x 4 of the scan. Thirteen people wrote
them; who wrote which is not told, so two images of one person cannot be kept apart.
"""

from __future__ import annotations

import gzip
import secrets
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

IMAGES = 1797
_FULL_INK = 16
_TEST_EVERY = 5
"""One image in so many, of every digit, goes to the test files."""


def write_digits(folder: Path | str, *, subjects: int = IMAGES, seed: int = 0, **settings: object) -> None:
    """Writes ``subjects`` images and their labels as MNIST's four gzipped idx files, values 0 to 255.

    ``seed`` shuffles the images of every digit; the digits take turns, so that any number of images has about as
    many of each, and image i is the same whatever their number. One of five of each digit is in the test files
    (``t10k``; 362 of all 1,797), the second first: up to 10 images there is no test file. The folder appears
    complete or not at all. Raises ValueError for a number of images out of range, a folder that is not empty,
    and any of ``settings``: handwriting has none.
    """
    if settings:
        raise ValueError(f"The digits have no setting {min(settings)!r}; expected none.")
    if not 1 <= subjects <= IMAGES:
        raise ValueError(f"subjects is {subjects}; expected 1 to {IMAGES}, the number of images.")
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; expected a new or empty one.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir()
    try:
        _write_parts(draft, *_in_turn(subjects, seed))
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _in_turn(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which images, (image,), and which turn of its digit each has."""
    labels = load_digits().target
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    turns = np.empty(len(labels), dtype=np.int64)
    for digit in np.unique(labels):
        mine = labels[shuffled] == digit
        turns[mine] = np.arange(mine.sum())
    order = np.lexsort((labels[shuffled], turns))[:count]
    return shuffled[order], turns[order]


def _write_parts(folder: Path, images: NDArray[np.int64], turns: NDArray[np.int64]) -> None:
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / _FULL_INK).astype(np.uint8)
    is_test = turns % _TEST_EVERY == 1
    for prefix, chosen in (("train", images[~is_test]), ("t10k", images[is_test])):
        if len(chosen):
            _write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", pixels[chosen])
            _write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", digits.target[chosen].astype(np.uint8))


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes((0, 0, 0x08, values.ndim)) + np.array(values.shape, dtype=">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))  # no date, so that equal is equal
