"""The parts of a sample: disjoint, complete, from the cohort's own columns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cohorts.parts import part_known, part_masks, part_names
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.wfdb_beats import read_beats

WINDOW = 20
COLUMNS = [f"{wave}_{end}" for wave in ("p", "qrs", "t") for end in ("start", "stop")]
SPAN = st.one_of(st.just((np.nan, np.nan)), st.tuples(st.integers(0, WINDOW), st.integers(0, WINDOW)).map(sorted))


@dataclasses.dataclass
class Table:
    """What the parts ask of a cohort."""

    samples: pd.DataFrame
    channels: tuple[str, ...]
    manifest: dict[str, int] = dataclasses.field(default_factory=lambda: {"window": WINDOW})

    def __len__(self) -> int:
        return len(self.samples)


def table(rows, channels: tuple[str, ...] = ("MLII",)) -> Table:
    return Table(pd.DataFrame(np.array(rows, dtype=float).reshape(-1, 6), columns=COLUMNS), channels)


def owner(row: np.ndarray, point: int) -> int:
    """The part of one point, written out: QRS, then P, then T, then other."""
    for part in (1, 0, 2):
        start, stop = row[2 * part : 2 * part + 2]
        if start <= point < stop:
            return part
    return 3


@given(st.lists(st.tuples(SPAN, SPAN, SPAN), min_size=1, max_size=5))
def test_every_point_belongs_to_the_first_wave_that_claims_it(rows) -> None:
    cohort = table(rows, ("I", "II"))
    masks = part_masks(cohort, slice(None))
    assert part_names(cohort) == ("P", "QRS", "T", "other")
    assert masks.shape == (len(rows), 4, 2, WINDOW)
    assert (masks.sum(axis=1) == 1).all()
    expected = [[owner(row, point) for point in range(WINDOW)] for row in cohort.samples.to_numpy()]
    np.testing.assert_array_equal(masks.argmax(axis=1), np.repeat(np.array(expected)[:, None], 2, axis=1))


def test_an_unknown_wave_is_empty_and_said_to_be_unknown() -> None:
    nan = np.nan
    cohort = table([[2, 4, 6, 9, 12, 15], [nan, nan, 6, 9, 20, 20], [nan] * 6])
    masks, known = part_masks(cohort, [2, 1, 0]), part_known(cohort, [2, 1, 0])
    assert known.tolist() == [[False] * 4, [False, True, True, False], [True] * 4]
    assert masks.sum(axis=(2, 3)).tolist() == [[0, 0, 0, 20], [0, 3, 0, 17], [2, 3, 3, 12]]


def test_without_waves_the_parts_are_the_channels() -> None:
    cohort = Table(pd.DataFrame({"label": [0, 1]}), ("EEG", "EOG", "EMG"))
    assert part_names(cohort) == ("EEG", "EOG", "EMG")
    assert part_masks(cohort, [1, 0, 1]) is None
    assert part_known(cohort, slice(None)).all()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder / "records", subjects=2, seed=1, beats_per_class=6)
    return read_beats(folder / "records", key=b"0123456789abcdef", out=folder / "cohort")


def test_the_parts_of_the_phantom_hold_its_waves(cohort) -> None:
    masks, known = part_masks(cohort, slice(None)), part_known(cohort, slice(None))
    assert masks.shape == (len(cohort), 4, 1, 216)
    centres = {0: 108 - round(0.170 * 360), 1: 108, 2: 108 + round(0.205 * 360)}
    plain = (cohort.samples["label_name"] == "normal").to_numpy()
    for part, centre in centres.items():
        hit = masks[plain & known[:, part], part, 0, centre - 4 : centre + 5].any(axis=-1)
        assert hit.mean() > 0.8, part
    assert masks[:, 3].mean() < 0.8


def test_the_order_of_the_samples_does_not_matter(cohort) -> None:
    order = np.random.default_rng(0).permutation(len(cohort))
    np.testing.assert_array_equal(part_masks(cohort, order), part_masks(cohort, slice(None))[order])
    np.testing.assert_array_equal(part_known(cohort, order), part_known(cohort, slice(None))[order])
