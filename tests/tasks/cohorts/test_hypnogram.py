"""Scored stages on the epochs of a recording, against a scorer that looks at every second."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.cohorts.edf_files import Mark
from tasks.cohorts.errors import plain
from tasks.cohorts.hypnogram import LABELS, counted, score_epochs

TEXTS = [*LABELS, "Sleep stage ?", "Movement time", "Sleep stage X"]


def by_the_second(marks: list[Mark], epochs: int) -> list[str | None]:
    """The one text that holds for all of an epoch's seconds, or None."""
    seconds: list[tuple[int, str] | None] = [None] * (epochs * 30)
    for number, mark in enumerate(marks):
        for second in range(int(mark.onset), int(mark.onset + mark.duration)):
            if 0 <= second < len(seconds):
                seconds[second] = (number, mark.text)
    found = []
    for epoch in range(epochs):
        held = set(seconds[epoch * 30 : (epoch + 1) * 30])
        only = held.pop() if len(held) == 1 else None
        found.append(only[1] if only else None)
    return found


@given(
    st.lists(st.tuples(st.integers(1, 200), st.sampled_from(TEXTS)), max_size=8),
    st.integers(-60, 60),
    st.integers(1, 12),
)
def test_an_epoch_has_the_stage_that_holds_for_all_of_it(runs, begin, epochs):
    marks, onset = [], begin
    for duration, text in runs:
        marks.append(Mark(onset, duration, text))
        onset += duration
    scoring = score_epochs(marks, epochs)
    for label, reason, text in zip(scoring.labels, scoring.reasons, by_the_second(marks, epochs), strict=True):
        assert label == LABELS.get(text, -1)
        assert bool(reason) == (label < 0)
        assert (reason == "no stage") == (text is None)


def test_what_is_left_out_is_counted_by_reason():
    marks = [
        Mark(0, 60, "Sleep stage W"),
        Mark(60, 30, "Movement time"),
        Mark(90, 60, "Sleep stage ?"),
        Mark(150, 30, "Sleep stage 9"),
        Mark(180, 15, "Sleep stage 2"),
        Mark(300, 90, "Sleep stage R"),
    ]
    scoring = score_epochs(marks, 11)
    assert scoring.labels.tolist() == [0, 0, -1, -1, -1, -1, -1, -1, -1, -1, 4]
    assert {plain(reason): count for reason, count in counted(scoring).items()} == {
        "movement": 1,
        "unscored": 2,
        "unknown stage 'Sleep stage 9'": 1,
        "no stage": 4,
        "stage beyond the signal": 2,
    }


def test_stages_3_and_4_are_one_class():
    scoring = score_epochs([Mark(0, 30, "Sleep stage 3"), Mark(30, 30, "Sleep stage 4")], 2)
    np.testing.assert_array_equal(scoring.labels, [3, 3])
