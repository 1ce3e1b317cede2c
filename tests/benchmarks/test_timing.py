"""Turns, ratios and exponents of known answers; nothing here asserts how long anything takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.equality import largest_difference
from benchmarks.growth import FACTORS, slopes
from benchmarks.row import Case, Row, Setting
from benchmarks.running import NotEqualError, Outcome, run
from benchmarks.timing import Times, interleaved, median_ratio, quickest


def test_contenders_take_turns_and_the_first_one_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing.SHORTEST", 0.0)
    order: list[str] = []
    jobs = {name: (lambda name=name: order.append(name)) for name in "abc"}
    times = interleaved(jobs, budget=0.0, fewest=3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"  # first once each, to see how often to repeat it
    assert times.work.shape == (3, 3)


def test_a_ratio_is_paired_by_round() -> None:
    ours = np.array([1.0, 2.0, 4.0, 8.0, 16.0])  # a machine that becomes slower and slower
    assert median_ratio(3 * ours, ours) == pytest.approx((3, 3, 3))


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        ours, theirs = (scale * random.lognormal(0, 0.1, 30) for scale in (1.0, 2.0))
        _, low, high = median_ratio(theirs, ours)
        held += low <= 2 <= high
    assert 180 <= held <= 200


def test_times_of_a_part_count_for_the_whole() -> None:
    times = Times(("ours", "theirs"), np.array([[1.0, 1.0]]), np.array([[2.0, 2.0]]), on_device=False)
    whole = times.whole({"theirs": 0.25})
    assert whole.of("theirs") == pytest.approx([4.0])
    assert whole.of("ours") == pytest.approx([1.0])


def test_the_only_batching_is_not_tried() -> None:
    assert quickest({"": lambda: pytest.fail("it was run")}, device="cpu") == ""


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    times = np.array([[[3.0 * factor**exponent for factor in FACTORS]] * 4])
    assert slopes(times) == pytest.approx([exponent])


def test_differences_are_in_units_of_the_largest_value_and_nan_is_a_value() -> None:
    ours = [torch.tensor([100.0, torch.nan]), None]
    assert largest_difference(ours, [torch.tensor([101.0, torch.nan]), torch.ones(2)]) == pytest.approx(0.01)
    assert largest_difference(ours, [torch.tensor([100.0, 0.0]), None]) == float("inf")
    assert largest_difference([None], [torch.ones(1)]) is None
    with pytest.raises(ValueError, match="shapes"):
        largest_difference([torch.ones(2)], [torch.ones(3)])


def test_a_contender_that_finds_something_else_is_not_timed() -> None:
    def build(setting: Setting) -> Case:
        return Case(lambda: [torch.ones(2)], {"peer": {"": lambda: [torch.tensor([1.0, 1.1])]}})

    with pytest.raises(NotEqualError, match=r"^row: peer differs by 1\.0e-01 in float64; expected 1e-05 at most\.$"):
        next(run(Row("row", "a job", build), Setting(), 0.0))


def test_a_row_knows_whether_its_goal_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.timing.SHORTEST", 0.0)
    found = outcome(Row("row", "a job", _same, goals={"peer": 1e9}))
    assert not found.met
    assert found.verdict == "missed by 100 %"
    assert outcome(Row("row", "a job", _same, goals={"peer": 1e-9})).verdict == "met"


def outcome(row: Row) -> Outcome:
    (found,) = run(row, Setting(), 0.0)
    return found


def _same(setting: Setting) -> Case:
    values = torch.ones(4, 4)
    return Case(lambda: [values @ values], {"peer": {"": lambda: [values @ values]}})
