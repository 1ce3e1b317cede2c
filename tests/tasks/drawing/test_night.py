"""A night keeps its times, its gaps and its spikes, drawn still and to zoom into."""

from __future__ import annotations

import base64
import gzip
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import same_color

from tasks.drawing.hypnogram import PREDICTED, TRUE, hypnogram
from tasks.drawing.interactive_hypnogram import interactive_hypnogram
from tasks.drawing.night import UNSCORED, visible_range
from tasks.drawing.stretches import envelope, strongest
from tests.tasks.drawing.sleep_tables import PARTS, night


@given(hnp.arrays(float, st.integers(1, 200), elements=st.floats(-1e6, 1e6)), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_the_envelope_is_the_extremes_of_each_stretch(signal: np.ndarray, columns: int) -> None:
    found = envelope(signal, columns)
    count = min(columns, len(signal))
    edges = [number * len(signal) // count for number in range(count + 1)]
    stretches = [signal[start:stop] for start, stop in itertools.pairwise(edges)]
    np.testing.assert_array_equal(found, [(part.min(), part.max()) for part in stretches])


def test_what_is_unknown_is_no_extreme() -> None:
    found = envelope(np.array([np.nan, 1.0, np.nan, np.nan]), 2)
    np.testing.assert_array_equal(found, [[1, 1], [np.nan, np.nan]])
    assert visible_range(found[1:]) is None


def test_an_artefact_does_not_set_the_scale() -> None:
    ends = np.stack([-np.ones(1000), np.ones(1000)], axis=1)
    ends[500, 1] = 80
    assert visible_range(ends) == pytest.approx((-1.1, 1.1))


def test_steps_hold_over_an_epoch_and_part_at_a_gap() -> None:
    shown = replace(night(), starts=np.r_[0.0, 30, 120], true=np.array([0, 1, 2]), predicted=np.array([0, 1, 2]),
                    shares=np.ones((3, 3)))  # fmt: skip
    times, values = shown.steps(np.array([5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(times, [0, 0.5, 0.5, 1, np.nan, 2, 2.5])
    np.testing.assert_array_equal(values, [5, 5, 6, 6, np.nan, 7, 7])


def test_stages_stand_in_the_order_of_the_levels_and_an_unscored_one_nowhere() -> None:
    heights = night().heights(np.array([0, 4, 1, 3, UNSCORED]))
    np.testing.assert_array_equal(heights, [0, 1, 2, 4, np.nan])
    np.testing.assert_array_equal(replace(night(), levels=()).heights(np.array([4])), [4])


def test_an_unscored_epoch_is_not_wrong() -> None:
    shown = night()
    assert shown.true[5] == UNSCORED
    assert not shown.wrong[5]
    assert shown.wrong.sum() == ((shown.true != shown.predicted) & (shown.true >= 0)).sum() > 0


def test_a_window_keeps_epochs_and_signals_together() -> None:
    whole = replace(night(rate=2.0), signals_from=-60.0)
    part = whole.between(60, 120)
    np.testing.assert_array_equal(part.starts, [60, 90])
    np.testing.assert_array_equal(part.shares, whole.shares[2:4])
    assert part.signals_from == 60
    np.testing.assert_array_equal(part.signals, whole.signals[:, 240:360])
    with pytest.raises(ValueError, match="no epoch begins between 1e\\+06"):
        whole.between(1e6, 2e6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"true": np.zeros(3, dtype=int)}, "true has shape"),
        ({"shares": np.zeros((2, 3))}, "shares has shape"),
        ({"signals": np.zeros(9)}, "signals have shape"),
        ({"units": ("SD",)}, "signals have shape"),
        ({"levels": ("Awake", "REM")}, "levels are"),
        ({"starts": np.zeros(236)}, "do not grow"),
    ],
)
def test_a_night_that_does_not_fit_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(night(rate=1.0), **changes)


def test_the_still_figure_has_stages_channels_and_shares() -> None:
    shown = night(rate=5.0)
    stages, *signals, shares = hypnogram(shown, title="T").axes
    true, predicted = stages.lines
    assert same_color(true.get_color(), TRUE)
    assert same_color(predicted.get_color(), PREDICTED)
    np.testing.assert_array_equal(true.get_ydata(), shown.steps(shown.heights(shown.true))[1])
    assert [label.get_text() for label in stages.get_yticklabels()] == ["Awake", "REM", "NREM1", "NREM2", "NREM3"]
    assert [axes.get_ylabel().split("\n")[-1] for axes in signals] == ["(SD)"] * 3
    np.testing.assert_array_equal(shares.lines[2].get_ydata(), shown.steps(shown.shares[:, 2])[1])
    shaded = stages.collections[0].get_paths()
    assert len(shaded) == shown.wrong.sum()


def test_the_timeline_holds_the_same_numbers() -> None:
    shown = night()
    figure = interactive_hypnogram(shown, title="a <b>night</b>")
    assert figure.layout.title.text == "a &lt;b&gt;night&lt;/b&gt;"
    true, predicted, *signals = figure.data[:5]
    assert true.customdata[0] == shown.classes[shown.true[0]]
    assert predicted.customdata[-1] == shown.classes[shown.predicted[-1]]
    assert max(signals[2].y) == 80, "no spike is lost"
    assert signals[0].dx * len(signals[0].y) == pytest.approx(120)
    np.testing.assert_allclose(np.array(signals[1].y).reshape(-1, 2), envelope(shown.signals[1], 6000), rtol=5e-3)
    shares = figure.data[5:]
    assert [trace.name for trace in shares] == PARTS
    np.testing.assert_allclose(np.array(shares[1].y, dtype=float), shown.steps(shown.shares[:, 1])[1], rtol=5e-3)
    assert {axis.matches for axis in figure.select_xaxes()} >= {"x5"} or figure.layout.xaxis.matches == "x5"
    covered = sum(shape.x1 - shape.x0 for shape in figure.layout.shapes)
    assert covered == pytest.approx(shown.wrong.sum() / 2)


def test_packed_it_is_small() -> None:
    figure = interactive_hypnogram(night(960, rate=20.0), title="T")
    assert len(base64.b64encode(gzip.compress(figure.to_json().encode()))) < 200_000


def test_the_strongest_value_of_a_stretch_is_the_farthest_from_neutral() -> None:
    values = np.array([0.5, 0.1, 0.6, 0.55, np.nan, np.nan])
    np.testing.assert_array_equal(strongest(values, 3, neutral=0.5), [0.1, 0.6, np.nan])
    np.testing.assert_array_equal(strongest(values, 3, neutral=0.0), [0.5, 0.6, np.nan])
