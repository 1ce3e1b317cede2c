"""Temporal scores against a run of every prefix, and the change-point against evidence planted at a known step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from models.lstm import LSTMClassifier
from xai.methods.temporal_scores import (
    first_decision,
    first_stable_correct,
    margins,
    prefix_scores,
    rise,
    running_mean,
)

NAN = float("nan")


@given(
    hidden=st.sampled_from([(5,), (4, 3)]),
    channels=st.integers(1, 3),
    length=st.integers(1, 25),
    samples=st.integers(1, 4),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_prefix_scores_equal_a_run_of_every_prefix(hidden, channels, length, samples, seed):
    torch.manual_seed(seed)
    model = LSTMClassifier(channels, 4, hidden).double().eval()
    inputs = torch.randn(samples, channels, length, dtype=torch.float64)
    found = prefix_scores(model, inputs)
    with torch.no_grad():
        expected = torch.stack([model(inputs[:, :, :stop]) for stop in range(1, length + 1)], dim=1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert not found.requires_grad


def test_a_sample_does_not_depend_on_its_batch_or_order():
    torch.manual_seed(0)
    model = LSTMClassifier(2, 3, (6,)).eval()
    inputs = torch.randn(5, 2, 40)
    whole = prefix_scores(model, inputs)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(prefix_scores(model, inputs[order]), whole[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(prefix_scores(model, inputs[2:3]), whole[2:3], rtol=0, atol=1e-6)


def test_the_running_mean_keeps_its_digits_over_a_long_window():
    scores = torch.full((1, 200_000, 1), 0.1)
    assert running_mean(scores).dtype == torch.float32
    assert float(running_mean(scores)[0, -1, 0]) == float(torch.tensor(0.1))


@pytest.mark.parametrize(
    ("decisions", "target", "expected"),
    [
        ([1, 1, 1], 1, 0.0),
        ([0, 1, 1], 1, 1.0),
        ([1, 0, 1], 1, 2.0),
        ([1, 1, 0], 1, NAN),
        ([0, 0, 0], 1, NAN),
        ([1], 1, 0.0),
    ],
)
def test_first_stable_correct_on_decisions_written_down(decisions, target, expected):
    found = first_stable_correct(torch.tensor([decisions]), torch.tensor([target]))
    assert found.dtype == torch.float64
    np.testing.assert_equal(found.numpy(), [expected])


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(0, 2))
@settings(deadline=None)
def test_first_stable_correct_is_the_first_step_with_nothing_wrong_after_it(decisions, target):
    found = float(first_stable_correct(torch.tensor([decisions]), torch.tensor([target])))
    right = [step for step in range(len(decisions)) if all(d == target for d in decisions[step:])]
    assert found == right[0] if right else math.isnan(found)


def test_first_decision_is_a_vote_of_the_first_steps():
    decisions = torch.tensor([[2, 0, 0, 1, 1, 1, 1], [1, 1, 2, 2, 0, 0, 0], [2, 2, 2, 0, 0, 0, 0]])
    assert first_decision(decisions, 3).tolist() == [0, 1, 2]
    assert first_decision(decisions, 4).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="steps is 8; expected 1 to the number of decisions, 7"):
        first_decision(decisions, 8)


def test_margins_are_above_zero_where_the_step_names_the_target():
    torch.manual_seed(1)
    scores, targets = torch.randn(6, 20, 4), torch.arange(6) % 4
    found = margins(scores, targets)
    assert torch.equal(found > 0, scores.argmax(2) == targets[:, None])
    for sample, target in enumerate(targets.tolist()):
        others = [c for c in range(4) if c != target]
        expected = scores[sample, :, target] - scores[sample][:, others].amax(1)
        assert torch.equal(found[sample], expected)
    with pytest.raises(ValueError, match="1 classes; expected 2 or more"):
        margins(scores[:, :, :1], targets * 0)


def naive_rise(values: np.ndarray) -> float:
    """Squared error of two means at every split, one at a time."""
    best, least = NAN, math.inf
    for split in range(1, len(values)):
        before, after = values[:split], values[split:]
        error = ((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum()
        if after.mean() > before.mean() + 1e-9 * np.abs(values).max() and error < least - 1e-9:
            best, least = split, error
    return best


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=30))
@settings(deadline=None)
def test_rise_leaves_the_smallest_squared_error_among_the_splits_that_rise(values):
    values = np.array(values, dtype=float) + 1e-3 * np.sin(np.arange(len(values)))  # no two splits are equal
    np.testing.assert_equal(float(rise(torch.from_numpy(values)[None])), naive_rise(values))


def test_rise_does_not_depend_on_shift_scale_or_batch_and_is_undefined_without_a_rise():
    torch.manual_seed(2)
    values = torch.randn(7, 50).cumsum(1)
    found = rise(values)
    assert torch.equal(rise(3 * values + 100).nan_to_num(-1), found.nan_to_num(-1))
    assert torch.equal(rise(values[4:5]).nan_to_num(-1), found[4:5].nan_to_num(-1))
    flat = torch.stack([torch.full((50,), 0.1), -torch.arange(50.0), torch.zeros(50)])
    assert rise(flat).isnan().all()
    assert rise(torch.zeros(2, 1)).isnan().all()


def test_rise_marks_where_evidence_that_fades_again_sets_in():
    values = torch.zeros(1, 100)
    values[:, 60:80] = 5.0
    values[:, 10] = 9.0  # a single loud step
    assert rise(values).item() == 60


def planted(samples: int, seed: int, steps: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Noise that from a step of its own on lies higher (class 1) or lower (class 2): inputs, targets, first steps."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(samples) % 3
    first = torch.randint(12, 40, (samples,), generator=generator)
    noise = 0.4 * torch.randn(samples, 1, steps, generator=generator)
    level = torch.tensor([0.0, 1.0, -1.0])[targets]
    return noise + (level[:, None] * (torch.arange(steps) >= first[:, None]))[:, None], targets, first


def trained() -> LSTMClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LSTMClassifier(1, 3, (8,), dropout=0.0)
        adam = torch.optim.Adam(model.parameters(), 0.02)
        inputs, targets, _ = planted(384, 1)
        for _ in range(150):
            chosen = torch.randint(0, len(inputs), (64,))
            adam.zero_grad()
            cross_entropy(model(inputs[chosen]), targets[chosen]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
    return model.eval()


def test_the_change_point_finds_planted_evidence_within_three_steps_and_the_decision_lags_behind():
    model = trained()
    inputs, targets, first = planted(300, 2)
    with torch.no_grad():
        scores = model.step_scores(inputs)
    decisions = running_mean(scores).argmax(2)
    decided, found = first_stable_correct(decisions, targets), rise(margins(scores, targets))
    told = (targets > 0) & ~decided.isnan()
    assert told.sum() > 190
    missed = (found - first)[told].abs()
    assert missed.median() <= 2
    assert (missed <= 3).double().mean() > 0.9
    lag = (decided - found)[told]
    assert 3 < lag.median() < 15
    later = torch.corrcoef(torch.stack([decided[told], first[told].double()]))[0, 1]
    assert later > 0.9
