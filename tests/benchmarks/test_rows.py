"""The short form of `make bench`: on small sizes every contender finds the same, and ours does no more work."""

from __future__ import annotations

import math
import re
import warnings

import pytest
import torch

from benchmarks.equality import largest_difference
from benchmarks.operations import counted
from benchmarks.row import Row, Setting
from benchmarks.rows import ROWS

SMALL = Setting(dtype=torch.float64, small=True)
METRIC_NAME = re.compile(r"[\w\-. :/]+")
"""What MLflow takes."""
GOALS = {
    "occlusion-L": {"captum": 2}, "occlusion-S": {"captum": 15}, "occlusion-E": {"captum": 1.6},
    "occlusion-CAM": {"captum": 5}, "prefix-scores": {"a run per prefix": 95},
    "lrp-S-3": {"captum": 3, "zennit": 4, "gradient pass": 1 / 3.2}, "lrp-LSTM": {"numpy loop": 18},
    "masks-1": {"mask by mask": 20}, "metric-set": {"quantus and captum": 3}, "permutations": {"statsmodels": 20},
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_contenders_find_the_same_and_ours_does_no_more_work(row: Row) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = row.build(SMALL)
        ours, operations = counted(case.ours)
        compared = 0
        for name, runs in case.peers.items():
            assert METRIC_NAME.fullmatch(f"ratio/{row.name}/{name}")
            theirs, their_operations = counted(next(iter(runs.values())))
            difference = largest_difference(ours, theirs)
            if difference is not None:
                compared += 1
                assert difference <= row.limit, name
            if name in row.saves:
                assert 0 < operations <= row.saves[name] * their_operations, name
    assert compared, "no peer's result was compared"
    assert set(row.goals) | set(row.saves) <= set(case.peers)


def test_the_goals_are_those_of_the_project() -> None:
    rows = {row.name: row for row in ROWS}
    assert len(rows) == len(ROWS)
    for name, goals in GOALS.items():
        assert rows[name].goals == pytest.approx(goals)


def test_the_operations_of_a_recurrent_rule_are_no_more_than_those_of_the_equations() -> None:
    (row,) = (row for row in ROWS if row.name == "lrp-LSTM")
    beats, steps, units = 3, 20, 16
    forward = 2 * beats * steps * 4 * units * (1 + units)
    down = 2 * beats * steps * units * (1 + units)
    # three of the four gates are recovered by one more product
    assert forward + down < counted(row.build(SMALL).ours)[1] <= forward + 3 * forward // 4 + down


def test_operations_of_a_fused_layer_are_counted_as_those_of_its_products() -> None:
    layer = torch.nn.LSTM(3, 8, num_layers=1, batch_first=True).eval()
    inputs = torch.randn(4, 10, 3)
    with torch.inference_mode():
        fused = counted(lambda: [layer(inputs)[0]])[1]
    assert fused == 2 * 4 * 10 * 4 * 8 * (3 + 8)
    assert math.isclose(counted(lambda: [layer(inputs)[0]])[1], fused)
