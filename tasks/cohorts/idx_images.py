"""Images of idx files, read as scan lines by van der Westhuizen & Lasenby (2017): one pixel per step, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import CohortError, UnusableRecording, private
from .idx_files import IdxFile, find, folder_of_files, read_header
from .store import Cohort, write_cohort
from .writer import CohortDescription, Quarantined, Recorded

PARTS = {"train": "train", "t10k": "test"}
"""What the files' names begin with, and the part that their images are."""
STROKE = 0.1
"""An image's pixels above this part of its brightest one are the stroke. Inclusivity binarises its input at the same
level, so that evidence and input agree; and the pen's soft edge, cut at half the maximum, belongs to the stroke."""
_LARGEST_SIDE = 256
_MOST_CLASSES = 62
"""EMNIST's: the digits and both cases of the letters. A higher label is taken for a damaged file."""


@dataclass(frozen=True)
class _Pair:
    """The images of a part and their labels (image,), both found sound."""

    prefix: str
    images: IdxFile
    labels: NDArray[np.uint8]

    @property
    def recording(self) -> str:
        return _recording(self.prefix)


def read_idx_images(folder: Path | str, *, shrink: int = 1, key: bytes, out: Path | str, study: str = "") -> Cohort:
    """Reads MNIST's four files into the cohort ``out``: (sample, 1, height * width), intensity in [0, 1].

    Time is the scan line: left to right, row by row, one pixel per step; the sampling rate is therefore 1 and
    counts steps, not seconds. The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same
    of ``t10k``, plain or gzipped; one of the two pairs may be missing, and a pair that cannot be used is
    quarantined with its reason. Classes are the labels from "0" to the highest found. Evidence is the stroke,
    see STROKE; blank images are dropped and counted. Nobody knows who wrote what, so each image is its own
    subject. ``shrink``: squares of so many pixels a side are averaged into one, which makes the scan line shorter. The
    sample table's ``part`` is "train" or "test", ``onset`` the image's number in its file. ``key``:
    of the subjects' pseudonyms. ``study``: the name that the manifest bears. Raises CohortError when nothing is
    usable, ValueError where ``shrink`` does not divide both sides.
    """
    pairs, quarantined = _sound_pairs(folder_of_files(folder))
    if not pairs:
        raise CohortError(f"No images can be read from {private(folder)}: {_reasons(quarantined)}")
    height, width = _shrunk_sides(pairs[0].images.shape[1:], shrink)
    description = CohortDescription(
        study=study,
        classes=tuple(str(label) for label in range(1 + max(int(pair.labels.max()) for pair in pairs))),
        channels=("intensity",),
        units=("intensity",),
        sampling_rate=1.0,
        window=height * width,
        origin=0,
        reader="idx_images",
        parameters={"stroke": STROKE, "shrink": shrink},
        subject_kind="image",
        image=(height, width),
    )
    return write_cohort(out, description, _stream(pairs, quarantined, shrink), key=key)


def _sound_pairs(root: Path) -> tuple[list[_Pair], list[Quarantined]]:
    """Both parts, read to the end, so that everything that can be wrong is found before the first sample."""
    pairs: list[_Pair] = []
    quarantined: list[Quarantined] = []
    for prefix in PARTS:
        try:
            pair = _read_pair(root, prefix)
            if pair and pairs:
                _check_same_grid(pairs[0], pair)
            pairs += [pair] if pair else []
        except UnusableRecording as reason:
            quarantined.append(Quarantined(_recording(prefix), reason.marked))
    return pairs, quarantined


def _read_pair(root: Path, prefix: str) -> _Pair | None:
    """The part's images and labels; None where neither file is there."""
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    images, labels = (find(root, name) for name in names)
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        raise UnusableRecording(f"the file {names[labels is None]}, plain or with .gz, is missing.")
    pixels, symbols = read_header(images, axes=3), read_header(labels, axes=1)
    if pixels.shape[0] != symbols.shape[0]:
        raise UnusableRecording(
            f"{pixels.name} has {pixels.shape[0]} images, {symbols.name} {symbols.shape[0]} labels; expected as many."
        )
    if max(pixels.shape[1:]) > _LARGEST_SIDE:
        raise UnusableRecording(f"{pixels.name} has images of {_size(pixels)}; expected sides up to {_LARGEST_SIDE}.")
    symbols.check_length()
    pixels.check_length()
    return _Pair(prefix, pixels, _read_labels(symbols))


def _read_labels(file: IdxFile) -> NDArray[np.uint8]:
    labels = np.concatenate(list(file.blocks()))
    wrong = np.flatnonzero(labels >= _MOST_CLASSES)
    if len(wrong):
        raise UnusableRecording(
            f"{file.name} has the label {labels[wrong[0]]} at {wrong[0]}; expected 0 to {_MOST_CLASSES - 1}."
        )
    return labels


def _check_same_grid(first: _Pair, pair: _Pair) -> None:
    if first.images.shape[1:] != pair.images.shape[1:]:
        raise UnusableRecording(
            f"{pair.images.name} has images of {_size(pair.images)}; expected {_size(first.images)} "
            f"as in {first.images.name}."
        )


def _shrunk_sides(sides: tuple[int, ...], shrink: int) -> tuple[int, int]:
    if shrink < 1 or any(side % shrink for side in sides):
        raise ValueError(f"shrink is {shrink}; expected a divisor of the sides, {' x '.join(map(str, sides))}.")
    height, width = (side // shrink for side in sides)
    return height, width


def _stream(pairs: list[_Pair], quarantined: list[Quarantined], shrink: int) -> Iterator[Recorded | Quarantined]:
    yield from quarantined
    for pair in pairs:
        try:
            yield from _images(pair, shrink)
        except UnusableRecording as reason:  # sound a moment ago, and some of it may be written
            raise CohortError(f"{pair.images.name} changed while it was read: {reason.marked}") from reason


def _images(pair: _Pair, shrink: int) -> Iterator[Recorded]:
    first = 0
    for block in pair.images.blocks():
        pixels = _averaged(block, shrink).reshape(len(block), 1, -1)
        brightest = pixels.max(axis=(1, 2))
        kept = np.flatnonzero(brightest)
        numbers = first + kept
        yield Recorded(
            recording=pair.recording,
            identity=[f"{pair.recording}:{number}" for number in numbers],
            facts={},
            signals=pixels[kept] / np.float32(255),
            labels=pair.labels[numbers].astype(np.int64),
            onsets=numbers,
            evidence=pixels[kept] > STROKE * brightest[kept, None, None],
            columns={"part": PARTS[pair.prefix]},
            dropped={"blank": len(block) - len(kept)},
        )
        first += len(block)


def _averaged(images: NDArray[np.uint8], shrink: int) -> NDArray[np.float32]:
    """Means of squares of ``shrink`` pixels a side: (image, height, width), float32."""
    count, height, width = images.shape
    squares = images.reshape(count, height // shrink, shrink, width // shrink, shrink)
    return squares.mean(axis=(2, 4), dtype=np.float32)


def _size(images: IdxFile) -> str:
    return " x ".join(map(str, images.shape[1:]))


def _recording(prefix: str) -> str:
    return f"{prefix}-images"


def _reasons(quarantined: list[Quarantined]) -> str:
    if not quarantined:
        return "there is neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte, plain or with .gz."
    return " ".join(f"{item.recording}: {item.reason}" for item in quarantined)
