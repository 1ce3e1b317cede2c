"""MNIST and files in its format: what is read, and what is refused."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from naming import named

from tasks.cohorts.errors import CohortError, UnusableRecording
from tasks.cohorts.idx_files import read_header
from tasks.cohorts.idx_images import read_idx_images
from tasks.cohorts.store import Cohort

read_idx_images = named(read_idx_images)
KEY = b"0123456789abcdef"
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
RNG = np.random.default_rng(3)
TRAIN = RNG.integers(0, 256, (30, 4, 5), dtype=np.uint8)
TEST = RNG.integers(0, 256, (11, 4, 5), dtype=np.uint8)


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def labels_of(images: np.ndarray) -> np.ndarray:
    return (np.arange(len(images)) % 4).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    (made / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(TRAIN)))
    (made / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(idx(labels_of(TRAIN))))
    (made / TEST_IMAGES).write_bytes(idx(TEST))
    (made / TEST_LABELS).write_bytes(idx(labels_of(TEST)))
    return made


def read(folder: Path) -> Cohort:
    return read_idx_images(folder, key=KEY, out=folder.parent / "cohort")


def reason(folder: Path, recording: str = "t10k-images") -> str:
    """Why the recording was quarantined; the other one is whole."""
    cohort = read(folder)
    found = cohort.quarantine.set_index("recording")["reason"]
    assert list(found.index) == [recording]
    other, count = ("train-images", 30) if recording == "t10k-images" else ("t10k-images", 11)
    assert cohort.samples["recording"].value_counts().to_dict() == {other: count}
    text = str(found[recording])
    assert text.endswith(".")
    assert "\n" not in text
    assert str(folder) not in text
    return text


# --- what is read


def test_an_image_is_its_bytes_in_scan_order_between_0_and_1(folder: Path) -> None:
    cohort = read(folder)
    assert cohort.signals(slice(None)).dtype == np.float32
    both = np.concatenate([TRAIN, TEST]).reshape(41, 1, 20)
    np.testing.assert_array_equal(cohort.signals(slice(None)), (both / 255).astype(np.float32))
    # the seventh step is the second row's second pixel
    assert cohort.signals([2])[0, 0, 6] == np.float32(TRAIN[2, 1, 1] / 255)
    assert (cohort.image, cohort.units, cohort.sampling_rate) == ((4, 5), ("intensity",), 1.0)
    assert cohort.quarantine.empty


def test_shrinking_averages_squares_of_pixels(tmp_path: Path) -> None:
    made = tmp_path / "images"
    made.mkdir()
    (made / TRAIN_IMAGES).write_bytes(idx(TRAIN[:, :, :4]))
    (made / TRAIN_LABELS).write_bytes(idx(labels_of(TRAIN)))
    cohort = read_idx_images(made, shrink=2, key=KEY, out=tmp_path / "shrunk")
    assert cohort.image == (2, 2)
    corner = TRAIN[5, :2, 2:4].mean() / 255
    assert cohort.signals([5])[0, 0, 1] == pytest.approx(corner)
    assert cohort.digest != read_idx_images(made, key=KEY, out=tmp_path / "whole").digest
    with pytest.raises(ValueError, match=r"shrink is 3; expected a divisor of the sides, 4 x 4"):
        read_idx_images(made, shrink=3, key=KEY, out=tmp_path / "odd")


def test_labels_parts_and_numbers_stand_beside_each_image(folder: Path) -> None:
    samples = read(folder).samples
    assert list(samples["part"]) == ["train"] * 30 + ["test"] * 11
    assert list(samples["onset"]) == [*range(30), *range(11)]
    assert list(samples["label"]) == [*labels_of(TRAIN), *labels_of(TEST)]
    assert set(samples["recording"]) == {"train-images", "t10k-images"}


def test_every_image_is_its_own_subject(folder: Path) -> None:
    cohort = read(folder)
    assert cohort.subject_kind == "image"
    assert cohort.samples["subject"].is_unique
    assert cohort.subjects["subject"].is_unique


def test_classes_reach_to_the_highest_label_of_either_part(folder: Path) -> None:
    labels = labels_of(TEST)
    labels[5] = 6
    (folder / TEST_LABELS).write_bytes(idx(labels))
    cohort = read(folder)
    assert cohort.classes == tuple("0123456")
    assert cohort.manifest["counts"]["6"] == 1
    assert cohort.manifest["counts"]["5"] == 0


def test_evidence_is_what_is_brighter_than_a_tenth_of_the_brightest_pixel(folder: Path) -> None:
    images = np.zeros((1, 4, 5), np.uint8)
    images[0, 1, :4] = (200, 20, 21, 19)
    (folder / TEST_IMAGES).write_bytes(idx(images))
    (folder / TEST_LABELS).write_bytes(idx(np.zeros(1, np.uint8)))
    cohort = read(folder)
    assert list(np.flatnonzero(cohort.evidence([30])[0, 0])) == [5, 7]
    x = cohort.signals(slice(None))
    np.testing.assert_array_equal(cohort.evidence(slice(None)), x > 0.1 * x.max(axis=2, keepdims=True))


def test_a_blank_image_is_dropped_and_counted(folder: Path) -> None:
    images = TEST.copy()
    images[[0, 7]] = 0
    (folder / TEST_IMAGES).write_bytes(idx(images))
    cohort = read(folder)
    assert cohort.manifest["dropped"] == {"blank": 2}
    kept = cohort.samples[cohort.samples["part"] == "test"]
    assert list(kept["onset"]) == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    assert list(kept["label"]) == list(labels_of(TEST)[kept["onset"]])
    np.testing.assert_array_equal(cohort.signals([30])[0, 0], (TEST[1].ravel() / 255).astype(np.float32))


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_one_part_alone_is_enough(folder: Path, part: str) -> None:
    for file in folder.glob(f"{part}*"):
        file.unlink()
    cohort = read(folder)
    assert len(cohort) == (11 if part == "train" else 30)
    assert cohort.quarantine.empty


def test_packing_does_not_matter_and_a_plain_file_goes_before_its_packed_form(folder: Path) -> None:
    first = read(folder).digest
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        packed = folder / f"{name}.gz"
        (folder / name).write_bytes(gzip.decompress(packed.read_bytes()))
        packed.write_bytes(b"never read")
    assert read_idx_images(folder, key=b"another key of 16", out=folder.parent / "again").digest == first


def test_a_block_does_not_change_what_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = TEST.copy()
    images[[0, 4, 7]] = 0  # blank ones are left out, but counted on
    (folder / TEST_IMAGES).write_bytes(idx(images))
    whole = read(folder)
    monkeypatch.setattr("tasks.cohorts.idx_files._PIECE", 45)  # two images and a bit
    parts = read_idx_images(folder, key=KEY, out=folder.parent / "in-blocks")
    assert parts.digest == whole.digest
    np.testing.assert_array_equal(parts.signals(slice(None)), whole.signals(slice(None)))


# --- what is refused


def pack(folder: Path, name: str, content: bytes) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / f"{name}.gz").write_bytes(gzip.compress(content))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"\x01\x00\x08\x03", "begins with 0x01000803; expected the idx number 0x00000803"),
        (b"\x00\x00\x0d\x03", "holds values of type 0x0d; expected 0x08, unsigned bytes"),
        (b"\x00\x00\x07\x03", "holds values of type 0x07; expected 0x08"),
        (b"\x00\x00\x08\x01", "has 1 axes; expected 3"),
        (b"\x00\x00", "ends 2 bytes early"),
        (b"", "ends 4 bytes early"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_wrong_magic_number_is_quarantined(folder: Path, header: bytes, said: str, packed: bool) -> None:
    content = header + idx(TEST)[4:] if len(header) == 4 else header
    pack(folder, TEST_IMAGES, content) if packed else (folder / TEST_IMAGES).write_bytes(content)
    assert f"{TEST_IMAGES}{'.gz' if packed else ''} {said}" in reason(folder)


def test_images_for_labels_are_quarantined(folder: Path) -> None:
    pack(folder, TEST_LABELS, idx(TEST))
    assert "t10k-labels-idx1-ubyte.gz has 3 axes; expected 1" in reason(folder)


@pytest.mark.parametrize(("packed", "cut"), [(True, 40), (True, 9), (False, 40)])
def test_a_file_cut_short_is_quarantined_whole(folder: Path, packed: bool, cut: int) -> None:
    for name in (TRAIN_IMAGES, TRAIN_LABELS):  # the first pair, so that samples would be there already
        (folder / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
        (folder / f"{name}.gz").unlink()
    content = idx(TRAIN)
    if packed:
        (folder / TRAIN_IMAGES).unlink()
        (folder / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(content)[:-cut])
        assert "the gzip stream of train-images-idx3-ubyte.gz is cut short" in reason(folder, "train-images")
    else:
        (folder / TRAIN_IMAGES).write_bytes(content[:-cut])
        assert "has 576 bytes where the header declares 616 (truncated)" in reason(folder, "train-images")


def test_packed_content_that_ends_early_is_quarantined(folder: Path) -> None:
    pack(folder, TEST_IMAGES, idx(TEST)[:-7])
    assert reason(folder) == "t10k-images-idx3-ubyte.gz ends 7 bytes early (truncated)."


@pytest.mark.parametrize("packed", [True, False])
def test_content_beyond_the_header_is_quarantined(folder: Path, packed: bool) -> None:
    content = idx(TEST) + b"\0"
    pack(folder, TEST_IMAGES, content) if packed else (folder / TEST_IMAGES).write_bytes(content)
    said = "goes on after the 11 x 4 x 5 bytes" if packed else "has 237 bytes where the header declares 236 (too long)"
    assert said in reason(folder)


def test_a_wrong_checksum_is_quarantined(folder: Path) -> None:
    pack(folder, TEST_IMAGES, idx(TEST))
    packed = folder / f"{TEST_IMAGES}.gz"
    content = bytearray(packed.read_bytes())
    content[-5] ^= 1
    packed.write_bytes(content)
    assert "t10k-images-idx3-ubyte.gz is no sound gzip file: CRC check failed" in reason(folder)


def test_what_is_not_gzip_is_quarantined(folder: Path) -> None:
    pack(folder, TEST_LABELS, b"")
    (folder / f"{TEST_LABELS}.gz").write_bytes(b"<html>404</html>")
    assert "t10k-labels-idx1-ubyte.gz is no sound gzip file: Not a gzipped file" in reason(folder)


def test_a_bomb_is_not_unpacked(folder: Path) -> None:
    pack(folder, TEST_IMAGES, idx(TEST) + bytes(200_000_000))
    tracemalloc.start()
    text = reason(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "goes on after the 11 x 4 x 5 bytes that its header declares" in text
    assert peak < 30_000_000


def test_a_bomb_of_empty_members_is_not_read(folder: Path) -> None:
    (folder / TEST_IMAGES).unlink()
    (folder / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(idx(TEST)) + gzip.compress(b"") * 60_000)
    assert "bytes to hold 236; expected fewer" in reason(folder)


def test_counts_that_disagree_are_quarantined(folder: Path) -> None:
    (folder / TEST_LABELS).write_bytes(idx(labels_of(TEST)[:-1]))
    expected = "t10k-images-idx3-ubyte has 11 images, t10k-labels-idx1-ubyte 10 labels; expected as many."
    assert reason(folder) == expected


def test_no_images_are_quarantined(folder: Path) -> None:
    (folder / TEST_IMAGES).write_bytes(idx(TEST[:0]))
    (folder / TEST_LABELS).write_bytes(idx(labels_of(TEST)[:0]))
    assert "declares 0 x 4 x 5 bytes; expected 1 to" in reason(folder)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((11, 4, 0), "declares 11 x 4 x 0 bytes; expected 1 to"),
        ((0xFFFFFFFF, 4, 5), "declares 4294967295 x 4 x 5 bytes; expected 1 to"),
        ((1 << 24, 100, 100), "and at most 1073741824 in all"),
        ((11, 1000, 5), "has images of 1000 x 5; expected sides up to 256"),
        ((11, 5, 4), "has images of 5 x 4; expected 4 x 5 as in train-images-idx3-ubyte.gz"),
    ],
)
def test_sizes_out_of_bounds_are_quarantined(folder: Path, shape: tuple[int, ...], said: str) -> None:
    header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in shape)
    (folder / TEST_IMAGES).write_bytes(header + idx(TEST)[16:])
    assert said in reason(folder)


def test_a_label_that_no_alphabet_has_is_quarantined(folder: Path) -> None:
    labels = labels_of(TEST)
    labels[3] = 62
    (folder / TEST_LABELS).write_bytes(idx(labels))
    assert reason(folder) == "t10k-labels-idx1-ubyte has the label 62 at 3; expected 0 to 61."


@pytest.mark.parametrize("name", [TEST_IMAGES, TEST_LABELS])
def test_a_missing_half_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert reason(folder) == f"the file {name}, plain or with .gz, is missing."


def test_a_link_out_of_the_folder_is_quarantined(folder: Path) -> None:
    away = (folder / TEST_IMAGES).rename(folder.parent / "elsewhere")
    (folder / TEST_IMAGES).symlink_to(away)
    assert reason(folder) == "the file t10k-images-idx3-ubyte lies outside the folder."


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    inside = (folder / TEST_IMAGES).rename(folder / "somewhere")
    (folder / TEST_IMAGES).symlink_to(inside)
    assert len(read(folder)) == 41


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_quarantined(folder: Path) -> None:
    (folder / TEST_IMAGES).chmod(0)
    assert reason(folder) == "t10k-images-idx3-ubyte cannot be read: Permission denied."


def test_nothing_usable_is_one_sentence_of_all_reasons(folder: Path) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    (folder / TEST_LABELS).write_bytes(b"\0\0\x08\x01\0\0")
    with pytest.raises(CohortError, match=r"train-images: the file .* is missing\. t10k-images: .* ends 2 bytes early"):
        read(folder)
    assert not (folder.parent / "cohort").exists()


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="there is neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte"):
        read_idx_images(tmp_path, key=KEY, out=tmp_path / "cohort")


@pytest.mark.parametrize(("name", "found"), [("absent", "nothing"), ("file", "a file")])
def test_no_folder_says_what_is_there(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CohortError, match=f"is {found}; expected a folder of idx files"):
        read_idx_images(tmp_path / name, key=KEY, out=tmp_path / "cohort")


def test_a_file_that_changes_while_it_is_read_leaves_no_cohort(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cohorts.idx_files._PIECE", 45)
    from tasks.cohorts import idx_images

    write = idx_images.write_cohort

    def truncate_then_write(*given, **named):
        (folder / TEST_IMAGES).write_bytes(idx(TEST)[:-60])
        return write(*given, **named)

    monkeypatch.setattr(idx_images, "write_cohort", truncate_then_write)
    with pytest.raises(CohortError, match=r"t10k-images-idx3-ubyte changed while it was read: .* ends"):
        read(folder)
    assert not (folder.parent / "cohort").exists()


def test_no_damage_gives_more_than_a_reason(folder: Path, tmp_path: Path) -> None:
    """Some hundred files with bytes changed, cut out or put in: each is refused in one sentence, or read whole."""
    rng = np.random.default_rng(11)
    sound = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    refused = 0
    for number in range(300):
        name = sorted(sound)[number % 4]
        content = bytearray(sound[name])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(0, min(len(content), 40) if number % 2 else len(content)))
            match rng.integers(0, 3):
                case 0:
                    content[at] = int(rng.integers(0, 256))
                case 1:
                    del content[at : at + int(rng.integers(1, 9))]
                case 2:
                    content[at:at] = rng.bytes(int(rng.integers(1, 9)))
        damaged = folder / name
        damaged.write_bytes(content)
        refused += len(_readable(folder, tmp_path / f"c{number}"))
        damaged.write_bytes(sound[name])
    assert refused > 100


def _readable(folder: Path, out: Path) -> list[str]:
    cohort = read_idx_images(folder, key=KEY, out=out)  # one part is sound: nothing may be raised
    assert np.isfinite(cohort.signals(slice(None))).all()
    return list(cohort.quarantine["reason"])


def test_a_header_is_read_for_itself(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(idx(TEST))
    assert read_header(tmp_path / "x", axes=3).shape == (11, 4, 5)
    with pytest.raises(UnusableRecording):
        read_header(tmp_path / "x", axes=2)


# --- the real one


def test_mnist_itself(real_data, tmp_path: Path) -> None:
    cohort = read_idx_images(real_data("mnist"), key=KEY, out=tmp_path / "mnist")
    assert len(cohort) == 70_000
    assert cohort.image == (28, 28)
    assert cohort.classes == tuple("0123456789")
    assert cohort.samples["part"].value_counts().to_dict() == {"train": 60_000, "test": 10_000}
    # counts by digit as published with the set: its first images are 5, 0, 4, 1, 9 and 7, 2, 1, 0, 4
    assert list(cohort.samples["label"][:5]) == [5, 0, 4, 1, 9]
    assert list(cohort.samples["label"][60_000:60_005]) == [7, 2, 1, 0, 4]
    assert cohort.manifest["counts"]["1"] == 6742 + 1135
    part = cohort.signals(slice(0, 2000))
    assert part.mean() == pytest.approx(0.13, abs=0.005)  # the whole set's is 0.1307
    assert cohort.evidence(slice(0, 2000)).mean() == pytest.approx(0.175, abs=0.02)
