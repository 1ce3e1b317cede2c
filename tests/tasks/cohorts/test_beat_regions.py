"""Regions of a window that knows its beats: known answers, unknown spans, names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.cohorts.beat_regions import REGIONS, region

WINDOW = 720
BEATS = pd.DataFrame(
    {
        "p_start": [300.0], "p_stop": [330.0], "qrs_start": [345.0], "qrs_stop": [380.0], "t_start": [440.0],
        "t_stop": [500.0], "previous_qrs_start": [45.0], "previous_qrs_stop": [80.0], "next_qrs_start": [645.0],
        "next_qrs_stop": [680.0], "previous_r": [60.0], "own_r": [360.0], "next_r": [660.0],
    }
)  # fmt: skip
UNKNOWN = BEATS.assign(**dict.fromkeys(BEATS.columns, np.nan))


def spans(mask: np.ndarray) -> list[tuple[int, int]]:
    steps = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
    return [(int(a), int(b)) for a, b in steps.reshape(-1, 2)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P", [(300, 330)]),
        ("QRS", [(345, 380)]),
        ("ST", [(380, 440)]),
        ("T", [(440, 500)]),
        ("late QRS", [(360, 380)]),
        ("all QRS", [(45, 80), (345, 380), (645, 680)]),
        ("around R peaks", [(24, 97), (324, 397), (624, 697)]),
        ("own beat", [(210, 510)]),
        ("other beats", [(0, 210), (510, 720)]),
        ("last beat", [(510, 720)]),
        ("between beats", [(80, 345), (500, 645)]),
        ("P, QRS and T", [(300, 330), (345, 380), (440, 500)]),
        ("QRS and ST", [(345, 440)]),
        ("QRS and between beats", [(45, 380), (500, 680)]),
    ],
)
def test_regions_lie_where_the_spans_say(name: str, expected: list[tuple[int, int]]) -> None:
    assert spans(region(BEATS, name, WINDOW)[0]) == expected


@pytest.mark.parametrize("name", REGIONS)
def test_what_is_unknown_is_empty_and_neighbouring_samples_do_not_mix(name: str) -> None:
    both = pd.concat([UNKNOWN, BEATS], ignore_index=True)
    found = region(both, name, WINDOW)
    assert not found[0].any()
    assert (found[1] == region(BEATS, name, WINDOW)[0]).all()


def test_without_a_neighbour_the_own_beat_reaches_the_end() -> None:
    alone = BEATS.assign(previous_r=np.nan, previous_qrs_start=np.nan, previous_qrs_stop=np.nan)
    assert spans(region(alone, "own beat", WINDOW)[0]) == [(0, 510)]
    assert spans(region(alone, "all QRS", WINDOW)[0]) == [(345, 380), (645, 680)]


def test_another_name_or_table_is_refused() -> None:
    with pytest.raises(ValueError, match="region is 'U wave'; expected one of P, QRS"):
        region(BEATS, "U wave", WINDOW)
    with pytest.raises(ValueError, match="samples tell no own_r"):
        region(BEATS.drop(columns="own_r"), "P", WINDOW)
