"""Dependence length of networks whose memory is known, and the slope of width on length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.quality.dependence import (
    best_width,
    dependence_curve,
    dependence_length,
    late_steps,
    slope_by_subject,
    with_forget_bias,
)


class Forgetting(nn.Module):
    """``h(t) = keep * h(t - 1) + x(t)``, read with one weight per class."""

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def step_scores(self, inputs: Tensor) -> Tensor:
        state, scores = torch.zeros_like(inputs[:, 0, 0]), []
        for step in range(inputs.shape[2]):
            state = self.keep * state + inputs[:, :, step].sum(1)
            scores.append(torch.stack([state, -3 * state], dim=1))
        return torch.stack(scores, dim=1)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.9])
def test_exponential_forgetting_is_measured_as_it_is(keep):
    steps = late_steps(60)
    curves = dependence_curve(Forgetting(keep), torch.randn(3, 2, 60).double(), torch.tensor([0, 1, 0]), steps)
    assert curves.shape == (3, min(steps) + 1)
    expected = keep ** torch.arange(min(steps) + 1).double()
    torch.testing.assert_close(curves, torch.stack([expected, 3 * expected, expected]))
    known = math.ceil(math.log(0.05) / math.log(keep))
    assert dependence_length(curves).tolist() == [known] * 3


def test_a_memory_longer_than_the_window_is_censored():
    curves = dependence_curve(Forgetting(0.99), torch.randn(2, 1, 60).double(), torch.tensor([0, 1]), late_steps(60))
    assert dependence_length(curves).isnan().all()


def test_length_is_where_the_curve_stays_low_and_undefined_where_there_is_no_curve():
    curves = torch.tensor(
        [
            [1.0, 0.0, 0.06, 0.0, 0.0],  # comes back once
            [0.0, 0.0, 1.0, 0.04, 0.0],  # peaks late
            [1.0, 0.5, 0.2, 0.1, 0.05],  # never under 5 %
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [1.0, math.nan, 0.0, 0.0, 0.0],
        ]
    )
    found = dependence_length(curves)
    assert found[:2].tolist() == [3, 3]
    assert found[2:].isnan().all()


def test_curve_is_the_gradient_of_each_step_alone():
    torch.manual_seed(0)
    model = LSTMClassifier(2, 3, (4, 3)).double().eval()
    inputs, targets = torch.randn(3, 2, 12, dtype=torch.float64), torch.tensor([2, 0, 1])
    found = dependence_curve(model, inputs, targets, [8, 11])
    expected = torch.zeros(3, 9, dtype=torch.float64)
    for sample in range(3):
        for step in (8, 11):
            jacobian = torch.autograd.functional.jacobian(
                lambda x, step=step, sample=sample: model.step_scores(x[None])[0, step, targets[sample]], inputs[sample]
            )
            for lag in range(9):
                expected[sample, lag] += jacobian[:, step - lag].abs().mean() / 2
    torch.testing.assert_close(found, expected)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(dependence_curve(model, inputs[order], targets[order], [8, 11]), found[order])
    assert inputs.grad is None


def test_a_network_that_forgets_less_depends_longer():
    torch.manual_seed(0)
    model = LSTMClassifier(1, 2, (8,)).eval()
    inputs, targets = torch.randn(16, 1, 120), torch.arange(16) % 2
    lengths = [
        dependence_length(dependence_curve(with_forget_bias(model, shift), inputs, targets, late_steps(120)).mean(0))
        for shift in (-1.0, 0.0, 1.0)
    ]
    assert lengths[0] < lengths[1] < lengths[2]
    assert torch.equal(model.layers[0].bias_ih_l0[8:16], torch.ones(8))


@given(time=st.integers(2, 1000), count=st.integers(1, 12))
def test_late_steps_lie_in_the_last_quarter(time, count):
    steps = late_steps(time, count)
    assert steps == sorted(set(steps))
    assert len(steps) <= count
    assert 0.74 * (time - 1) - 1 <= steps[0] <= steps[-1] <= time - 1
    assert steps[-1] == time - 1 or count == 1


@given(centre=st.floats(1.7, 3.3), depth=st.floats(0.1, 10))
@settings(deadline=None)
def test_the_bottom_of_a_parabola_in_log_width_is_found(centre, depth):
    widths = (1, 5, 10, 20, 40)
    areas = [depth * (math.log(width) - centre) ** 2 for width in widths]
    width, at_edge = best_width(widths, areas)
    assert not at_edge
    assert math.log(width) == pytest.approx(centre, abs=1e-6)


def test_best_width_at_the_edge_and_undefined():
    assert best_width((1, 5, 10), (0.0, 1.0, 2.0)) == (1.0, True)
    assert best_width((1, 5, 10), (3.0, 3.0, 2.0)) == (10.0, True)
    assert math.isnan(best_width((1, 5, 10), (3.0, math.nan, 2.0))[0])


def test_slope_is_least_squares_and_its_interval_covers():
    random = np.random.default_rng(0)
    subjects = np.repeat(np.arange(30), 4)
    x = random.normal(size=120)
    y = 0.7 * x + random.normal(size=120) * 0.5
    found = slope_by_subject(x, y, subjects)
    assert found.slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert found.ci_low < 0.7 < found.ci_high
    assert (found.subjects, found.points) == (30, 120)
    order = random.permutation(120)
    shuffled = slope_by_subject(x[order], y[order], subjects[order])
    assert shuffled.slope == pytest.approx(found.slope)
    assert shuffled.ci_low == pytest.approx(found.ci_low)


def test_slope_within_subjects_ignores_what_differs_between_them():
    random = np.random.default_rng(1)
    subjects = np.repeat(np.arange(20), 3)
    level = 10.0 * random.normal(size=20)[subjects]
    x = level + random.normal(size=60)
    y = 5 * level - 0.5 * (x - level)
    assert slope_by_subject(x, y, subjects).slope > 3
    found = slope_by_subject(x, y, subjects, within=True)
    design = np.column_stack([x, np.eye(20)[subjects]])
    assert found.slope == pytest.approx(np.linalg.lstsq(design, y, rcond=None)[0][0])
    assert found.ci_low <= found.slope <= found.ci_high


def test_slope_is_undefined_where_nothing_varies_and_has_no_interval_for_few():
    subjects = np.arange(8)
    y = np.arange(8.0)
    assert math.isnan(slope_by_subject(np.full(8, 3.0), y, subjects).slope)
    few = slope_by_subject(y[:5], 2 * y[:5], subjects[:5])
    assert few.slope == pytest.approx(2)
    assert math.isnan(few.ci_low)
    gaps = slope_by_subject(np.where(y == 3, np.nan, y), 2 * y, subjects)
    assert (gaps.subjects, gaps.points) == (7, 7)
