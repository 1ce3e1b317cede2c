"""The bundled digits as files: what MNIST's reader reads of them is the handwriting itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from naming import named
from sklearn.datasets import load_digits

from tasks.cohorts.idx_images import read_idx_images
from tasks.cohorts.phantoms.digits import write_digits
from tasks.cohorts.store import Cohort

read_idx_images = named(read_idx_images)
KEY = b"0123456789abcdef"


def cohort_of(folder: Path) -> Cohort:
    return read_idx_images(folder, key=KEY, out=folder.parent / f"{folder.name}-cohort")


def rows(values: np.ndarray, labels: np.ndarray) -> Counter:
    return Counter((int(label), value.tobytes()) for value, label in zip(values, labels, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Cohort:
    folder = tmp_path_factory.mktemp("digits") / "all"
    write_digits(folder)
    return cohort_of(folder)


def test_all_images_are_there_once_with_their_labels(whole: Cohort) -> None:
    digits = load_digits()
    found = np.rint(whole.signals(slice(None))[:, 0] * 16).astype(np.int64)
    assert rows(found, whole.samples["label"].to_numpy()) == rows(digits.data.astype(np.int64), digits.target)
    assert whole.signals(slice(None)).max() == 1
    assert whole.image == (8, 8)
    assert whole.classes == tuple("0123456789")


def test_a_fifth_of_every_digit_is_for_testing(whole: Cohort) -> None:
    assert whole.samples["part"].value_counts().to_dict() == {"train": 1435, "test": 362}
    shares = whole.samples["part"].eq("test").groupby(whole.samples["label"]).mean()
    assert ((shares > 0.195) & (shares < 0.205)).all()


def test_fewer_images_are_the_first_of_more_and_balanced(tmp_path: Path, whole: Cohort) -> None:
    write_digits(tmp_path / "few", subjects=25)
    few = cohort_of(tmp_path / "few")
    assert sorted(few.samples["label"].value_counts()) == [2] * 5 + [3] * 5
    assert few.samples["part"].value_counts().to_dict() == {"train": 15, "test": 10}
    for part in ("train", "test"):
        mine, all_of_it = few.samples["part"] == part, whole.samples["part"] == part
        first = whole.signals(np.flatnonzero(all_of_it)[: mine.sum()])
        np.testing.assert_array_equal(few.signals(np.flatnonzero(mine)), first)


def test_ten_images_have_no_test_file(tmp_path: Path) -> None:
    write_digits(tmp_path / "ten", subjects=10)
    assert sorted(path.name[:5] for path in (tmp_path / "ten").iterdir()) == ["train", "train"]
    assert sorted(cohort_of(tmp_path / "ten").samples["label"]) == list(range(10))


def test_the_bytes_depend_on_the_seed_alone(tmp_path: Path) -> None:
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        write_digits(tmp_path / name, subjects=300, seed=seed)
    files = [sorted((tmp_path / name).iterdir()) for name in "abc"]
    assert [path.name for path in files[0]] == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    content = [[path.read_bytes() for path in paths] for paths in files]
    assert content[0] == content[1]
    assert content[0][0] != content[2][0]
    assert all(packed[4:8] == bytes(4) for packed in content[0])  # gzip's date


def test_the_order_of_labels_tells_nothing_of_the_writers_order(whole: Cohort) -> None:
    """The bundle runs 0..9 writer by writer; after the shuffle neighbours of a digit are no neighbours there."""
    digits = load_digits()
    place = {row.tobytes(): number for number, row in enumerate(digits.data.astype(np.int64))}
    found = np.rint(whole.signals(slice(0, 1000))[:, 0] * 16).astype(np.int64)
    numbers = np.array([place[row.tobytes()] for row in found])
    assert abs(np.corrcoef(np.arange(1000), numbers)[0, 1]) < 0.1


@pytest.mark.parametrize("subjects", [0, 1798])
def test_a_number_of_images_out_of_range_is_refused(tmp_path: Path, subjects: int) -> None:
    with pytest.raises(ValueError, match=rf"subjects is {subjects}; expected 1 to 1797"):
        write_digits(tmp_path / "x", subjects=subjects)
    assert not (tmp_path / "x").exists()


def test_handwriting_has_no_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"The digits have no setting 'noise'; expected none\."):
        write_digits(tmp_path / "x", noise="1")


def test_a_full_folder_is_left_alone_and_an_empty_one_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_digits(tmp_path / "empty", subjects=20)
    before = {path: path.read_bytes() for path in (tmp_path / "empty").iterdir()}
    with pytest.raises(ValueError, match="is not an empty folder; expected a new or empty one"):
        write_digits(tmp_path / "empty", subjects=30)
    assert {path: path.read_bytes() for path in (tmp_path / "empty").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
