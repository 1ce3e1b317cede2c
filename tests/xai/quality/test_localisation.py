from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai.quality.localisation import area_corrected, auprc, input_metrics, localisation_metrics, marked
from xai.quality.metric import METRICS


def _one(attributions: list[float], evidence: list[int]) -> dict[str, float]:
    shape = (1, 1, len(attributions))
    found = localisation_metrics(torch.tensor(attributions).view(shape), torch.tensor(evidence).bool().view(shape))
    return {name: float(value) for name, value in found.items()}


def test_known_answers() -> None:
    found = _one([4.0, 3.0, -9.0, 1.0], [0, 1, 1, 0])
    assert found["relevance_mass"] == pytest.approx(3 / 8)
    assert found["relevance_rank"] == pytest.approx(1 / 2)
    assert found["pointing_game"] == 0
    assert found["inclusivity"] == pytest.approx(1 / 2)  # only |-9| exceeds 4.5
    assert found["auprc"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["relevance_mass_area_corrected"] == pytest.approx((3 / 8 - 1 / 2) / (1 / 2))
    assert found["inclusivity_area_corrected"] == pytest.approx((1 / 2 - 1 / 4) / (3 / 4))
    assert found["precision"] == 1
    assert found["dice"] == pytest.approx(2 * 1 / (2 + 1))
    assert found["dice_area_corrected"] == pytest.approx((2 / 3 - 1 / 3) / (2 / 3))


def test_covering_the_input_is_counted_per_channel() -> None:
    inputs = torch.tensor([[[1.0, 0.05, -0.5, 0.0], [100.0, 9.0, 11.0, 0.0]]])
    heat = torch.tensor([[[1.0, 0.9, 0.1, 0.0], [0.001, 0.0, 0.001, 0.0]]])
    found = {name: float(value) for name, value in input_metrics(heat, inputs).items()}
    assert found["input_inclusivity"] == pytest.approx(3 / 4)  # signal: 0 and 2 of each; marked: 0, 1 and 0, 2
    assert found["input_inclusivity_area_corrected"] == pytest.approx((3 / 4 - 4 / 8) / (4 / 8))
    flat = input_metrics(torch.ones(1, 1, 4), torch.ones(1, 1, 4))
    assert all(torch.isnan(value) for value in flat.values())


def test_a_map_equal_to_the_evidence_is_perfect() -> None:
    found = _one([0.0, 1.0, 1.0, 0.0, 0.0], [0, 1, 1, 0, 0])
    assert set(found.values()) == {1.0}


def test_marking_nearly_everything_gains_nothing_after_correction() -> None:
    found = _one([1.0, 0.9, 0.8, 0.9, 0.7, 0.1], [0, 1, 1, 0, 0, 1])
    assert found["inclusivity"] == pytest.approx(2 / 3)
    assert found["inclusivity_area_corrected"] < 0


@pytest.mark.parametrize(
    ("attributions", "evidence"),
    [
        ([1.0, 2.0, 3.0], [0, 0, 0]),
        ([1.0, 2.0, 3.0], [1, 1, 1]),
        ([0.0, 0.0, 0.0], [0, 1, 0]),
        ([2.0, 2.0, 2.0], [0, 1, 0]),
        ([1.0, float("nan"), 3.0], [0, 1, 0]),
    ],
    ids=["empty evidence", "full evidence", "zero map", "constant map", "NaN in the map"],
)
def test_undefined_is_nan(attributions: list[float], evidence: list[int]) -> None:
    assert all(np.isnan(value) for value in _one(attributions, evidence).values())


def test_a_map_without_positive_relevance_has_no_mass_but_a_rank() -> None:
    found = _one([-1.0, -2.0, -3.0], [1, 0, 0])
    assert np.isnan(found["relevance_mass"])
    assert np.isnan(found["relevance_mass_area_corrected"])
    assert found["relevance_rank"] == 1


def test_marks_are_relative_to_the_maximum_of_their_channel() -> None:
    attributions = torch.tensor([[[10.0, 6.0, 5.0], [0.1, -0.2, 0.0], [0.0, 0.0, 0.0]]])
    assert marked(attributions).int().tolist() == [[[1, 1, 0], [0, 1, 0], [0, 0, 0]]]


def test_full_area_cannot_be_corrected() -> None:
    assert area_corrected(torch.ones(1), torch.ones(1)).isnan().all()


def _naive_average_precision(values: list[int], mask: list[int]) -> float:
    total, before = 0.0, 0
    for threshold in sorted(set(values), reverse=True):
        passed = [bool(m) for value, m in zip(values, mask, strict=True) if value >= threshold]
        total += (sum(passed) - before) * sum(passed) / len(passed)
        before = sum(passed)
    return total / sum(mask)


maps = st.integers(2, 30).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(-3, 3), min_size=size, max_size=size),
        st.lists(st.integers(0, 1), min_size=size, max_size=size),
    )
)


@given(maps)
@settings(deadline=None, max_examples=60)
def test_average_precision_and_ranges_on_any_map(drawn: tuple[list[int], list[int]]) -> None:
    values, mask = drawn
    if not 0 < sum(mask) < len(mask) or len(set(values)) == 1:
        return
    found = _one([float(value) for value in values], mask)
    assert found["auprc"] == pytest.approx(_naive_average_precision(values, mask))
    for name, value in found.items():
        assert np.isnan(value) or METRICS[name].low <= value <= METRICS[name].high, name


@given(maps, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_average_precision_ignores_the_order_of_equal_points(
    drawn: tuple[list[int], list[int]], random: np.random.RandomState
) -> None:
    values, mask = drawn
    if not sum(mask):
        return
    order = list(range(len(values)))
    random.shuffle(order)
    first, second = (
        auprc(
            torch.tensor([float(values[i]) for i in places]).view(1, 1, -1),
            torch.tensor([mask[i] for i in places]).bool().view(1, 1, -1),
        )
        for places in (range(len(values)), order)
    )
    torch.testing.assert_close(first, second)


@given(values=st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=2, max_size=12))
@settings(max_examples=100, deadline=None)
def test_rank_and_pointing_equal_a_loop_with_the_first_of_equals_first(values: list[tuple[int, bool]]) -> None:
    heat, truth = [float(value) for value, _ in values], [marked for _, marked in values]
    found = _one(heat, truth)
    order = sorted(range(len(heat)), key=lambda k: (-heat[k], k))
    if len(set(heat)) == 1 or not 0 < sum(truth) < len(truth):
        assert np.isnan(found["relevance_rank"])
        return
    hits = sum(truth[k] for k in order[: sum(truth)])
    assert found["relevance_rank"] == pytest.approx(hits / sum(truth))
    assert found["pointing_game"] == truth[order[0]]
