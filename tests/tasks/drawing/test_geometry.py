"""A sample's geometry: its clock, the words for its axes, its shape as an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.cohorts.store import Cohort
from tasks.drawing import Geometry
from tasks.drawing.geometry import mask_of

BEAT = Geometry(("MLII",), ("mV",), 360.0, origin=108)
VITALS = Geometry(("ECG", "ABP"), ("mV", "mmHg"), 50.0)
DIGIT = Geometry(("intensity",), ("intensity",), 1.0, image=(2, 3))


def test_a_beat_lies_at_its_origin_in_milliseconds() -> None:
    times = BEAT.times(216)
    assert times[108] == 0
    assert times[0] == pytest.approx(-300)
    assert np.diff(times) == pytest.approx(1000 / 360)
    assert BEAT.half_step() == pytest.approx(500 / 360)
    assert BEAT.time_label == "time relative to the beat (ms)"
    assert Geometry(("MLII",), ("mV",), 360.0, origin=30).times(216)[30] == 0


def test_without_a_beat_time_runs_in_seconds_from_the_start() -> None:
    assert VITALS.times(100)[[0, 50, 99]] == pytest.approx([0, 1, 1.98])
    assert VITALS.half_step() == pytest.approx(0.01)
    assert VITALS.time_label == "time (s)"


def test_channels_are_named_with_their_units() -> None:
    assert [VITALS.channel_label(channel) for channel in (0, 1)] == ["ECG (mV)", "ABP (mmHg)"]
    assert DIGIT.channel_label(0) == "intensity"


def test_an_image_is_laid_row_by_row() -> None:
    np.testing.assert_array_equal(DIGIT.picture(np.arange(6.0)[None]), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match="no image"):
        BEAT.picture(np.arange(6.0))


def test_a_cohort_says_what_its_samples_are(tmp_path: Path) -> None:
    manifest = {
        "digest": "", "study": "s", "classes": ["a"], "channels": ["ECG", "ICP"], "units": ["mV", "mmHg"],
        "sampling_rate": 50, "subject_kind": "subject", "image": None, "volume": None, "has_evidence": False,
        "origin": 7, "window": 50,
    }  # fmt: skip
    assert Geometry.of(Cohort(tmp_path, manifest)) == Geometry(("ECG", "ICP"), ("mV", "mmHg"), 50.0, 7, None)
    scan = {**manifest, "channels": ["intensity"], "units": ["intensity"], "image": [28, 28], "origin": 0}
    assert Geometry.of(Cohort(tmp_path, scan)).image == (28, 28)
    brain = {**manifest, "volume": [19, 48, 40], "origin": 0}
    assert Geometry.of(Cohort(tmp_path, brain)).volume == (19, 48, 40)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((("ECG", "ABP"), ("mV",), 50.0), "one for each of the channels"),
        (((), (), 50.0), "one for each of the channels"),
        ((("ECG",), ("mV",), 0.0), "positive number of hertz"),
        ((("R", "G"), ("", ""), 1.0, 0, (2, 2)), "expected one, because the samples are images"),
        ((("R",), ("",), 1.0, 0, (2, 2), (2, 2, 2)), r"image is \(2, 2\) and volume \(2, 2, 2\)"),
    ],
)
def test_impossible_geometries_are_refused(arguments: tuple, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=words):
        Geometry(*arguments)


def test_shapes_that_are_not_the_geometrys_are_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 9\); expected \(channel, time\) with 2 channels"):
        VITALS.signal(np.ones((1, 9)))
    with pytest.raises(ValueError, match=r"7 steps; expected 2 x 3 of an image"):
        DIGIT.signal(np.ones((1, 7)))
    with pytest.raises(ValueError, match=r"'gradient' has shape \(2, 8\); expected the signal's \(2, 9\)"):
        VITALS.map_of(np.ones((2, 9)), np.ones((2, 8)), "gradient")


def test_a_volume_has_its_own_shape_and_voxels() -> None:
    brain = Geometry(("ADC", "MTT"), ("", "s"), 1.0, volume=(3, 8, 4), spacing=(5.0, 1.0, 2.0))
    assert brain.voxel_aspect == 0.5
    assert brain.slice_aspect == 1.0, "8 rows of 1 mm are as long as 4 columns of 2 mm"
    assert brain.signal(np.ones((2, 3, 8, 4), dtype=np.float32)).dtype == float
    with pytest.raises(ValueError, match=r"shape \(2, 96\); expected \(channel, depth, height, width\) \(2, 3, 8, 4\)"):
        brain.signal(np.ones((2, 96)))
    with pytest.raises(ValueError, match=r"'gradient' has shape \(1, 3, 8, 4\)"):
        brain.map_of(np.ones((2, 3, 8, 4)), np.ones((1, 3, 8, 4)), "gradient")
    with pytest.raises(ValueError, match="no volume"):
        _ = VITALS.slice_aspect


def test_a_mask_of_time_holds_for_every_channel() -> None:
    mask = np.array([True, False])
    np.testing.assert_array_equal(mask_of(mask, 1), mask)
    np.testing.assert_array_equal(mask_of(np.stack([mask, ~mask]), 1), ~mask)
    assert mask_of(None, 0) is None
