"""Matches of units with wavelets: the bank, the correlations, planted units, and honesty about the best of many."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from torch import Tensor

from models.lstm import LSTMClassifier
from xai.methods.wavelet_match import (
    bank_elements,
    bank_lags,
    choose,
    coefficients,
    compared_steps,
    correlation_sums,
    correlations_at,
    cross_fit,
    hidden_states,
)

STEPS = 64
ELEMENTS = bank_elements(STEPS, 1)
WAVELETS = torch.tensor([number for number, element in enumerate(ELEMENTS) if element.part != "input"])
INPUT = torch.tensor([number for number, element in enumerate(ELEMENTS) if element.part == "input"])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def halves(samples: int) -> Tensor:
    return torch.arange(samples) % 2 == 0


# The bank.


@pytest.mark.parametrize(("steps", "levels"), [(216, 4), (100, 3), (64, 3), (784, 6)])
def test_every_level_keeps_eight_coefficients_and_none_is_missed(steps: int, levels: int) -> None:
    elements = bank_elements(steps, 2)
    assert {e.level for e in elements if e.part == "detail"} == set(range(1, levels + 1))
    assert len(pywt.wavedec(np.zeros(steps), "db1", mode="periodization", level=levels)[0]) >= 8
    assert -(-steps // 2 ** (levels + 1)) < 8
    assert len(set(elements)) == len(elements)
    assert [e.name for e in elements if e.part == "input"] == ["input", "input"]


def test_a_window_too_short_for_one_level_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"steps is 14; expected at least 16"):
        bank_elements(14, 1)
    assert bank_elements(16, 1)


def test_haar_coefficients_are_what_one_computes_by_hand() -> None:
    """Detail 1 is the scaled difference of neighbours, approximation 2 the scaled mean of four."""
    signal = noise(3, 1, STEPS)
    found = dict(zip([e.name for e in ELEMENTS], coefficients(signal, ELEMENTS).unbind(dim=2), strict=True))
    for sample, values in enumerate(signal[:, 0].numpy()):
        detail = [(values[2 * k] - values[2 * k + 1]) / np.sqrt(2) for k in range(STEPS // 2)]
        for step in range(STEPS):
            # Each stands in the middle of its two steps; the ends meet.
            left, share = int(np.floor((step - 0.5) / 2)), ((step - 0.5) / 2) % 1
            expected = (1 - share) * detail[left] + share * detail[(left + 1) % len(detail)]
            assert found["db1 D1"][sample, step].item() == pytest.approx(expected)
        middles = found["db1 A2"][sample, [1, 2]].mean().item()
        assert middles == pytest.approx(values[:4].sum() / 2, abs=abs(values[:8]).sum() / 8)
        assert found["input"][sample].tolist() == values.tolist()


def test_coefficients_do_not_depend_on_the_batch_and_follow_the_channel() -> None:
    elements = bank_elements(STEPS, 2)
    signal = noise(4, 2, STEPS)
    together = coefficients(signal, elements)
    torch.testing.assert_close(together[2:3], coefficients(signal[2:3], elements))
    moved = signal.clone()
    moved[:, 1] += noise(4, STEPS, seed=1)
    changed = (coefficients(moved, elements) != together).any(dim=0).any(dim=0)
    assert changed.tolist() == [element.channel == 1 for element in elements]


def test_a_symmetric_continuous_wavelet_stays_where_the_impulse_is() -> None:
    signal = torch.zeros(1, 1, STEPS, dtype=torch.float64)
    signal[0, 0, 30] = 1
    found = coefficients(signal, ELEMENTS)[0]
    for number, element in enumerate(ELEMENTS):
        if element.wavelet == "mexh":
            assert abs(int(found[:, number].abs().argmax()) - 30) <= 1


def test_every_coefficient_stands_where_its_wavelet_is() -> None:
    """The energy of an impulse's coefficients lies around the impulse: a lag is then a delay of the unit."""
    elements, steps = bank_elements(216, 1), torch.arange(216.0, dtype=torch.float64)
    moments = torch.zeros(len(elements), dtype=torch.float64)
    for impulse in range(92, 124):
        signal = torch.zeros(1, 1, 216, dtype=torch.float64)
        signal[0, 0, impulse] = 1
        energy = coefficients(signal, elements)[0].square()
        moments += (energy * (steps - impulse)[:, None]).sum(dim=0) / energy.sum(dim=0) / 32
    for element, moment in zip(elements, moments.tolist(), strict=True):
        coarse = 0 if element.part in ("continuous", "input") else 2**element.level
        assert abs(moment) < 1 + coarse / 2, element.name


# Correlation.


def plain_means(hidden: Tensor, bank: Tensor, weights: Tensor) -> np.ndarray:
    """``(unit, element, lag)`` by SciPy, one pair at a time; NaN where under half of the weight is defined."""
    lags, steps = bank_lags(hidden.shape[1]), compared_steps(hidden.shape[1])
    means = np.full((len(lags), hidden.shape[2], bank.shape[2]), np.nan)
    for place, unit, element in np.ndindex(means.shape):
        total, weight = 0.0, 0.0
        for sample in range(len(hidden)):
            left = hidden[sample, steps, unit].numpy()
            right = bank[sample, steps.start - lags[place] : steps.stop - lags[place], element].numpy()
            if np.isfinite(left).all() and np.isfinite(right).all() and np.ptp(left) and np.ptp(right):
                total += float(weights[sample]) * pearsonr(left, right)[0]
                weight += float(weights[sample])
        if weight > 0.5 * float(weights.sum()):
            means[place, unit, element] = total / weight
    return means


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_means_are_those_of_a_plain_loop(samples: int, units: int, elements: int, seed: int) -> None:
    hidden, bank = noise(samples, 32, units, seed=seed), noise(samples, 32, elements, seed=seed + 1) + 5
    weights = noise(samples, seed=seed + 2).abs() + 0.1
    hidden[0, :, 0] = 0.7
    bank[-1, 3, 0] = torch.nan
    found = correlation_sums(hidden, bank, weights).mean()
    np.testing.assert_allclose(found, plain_means(hidden, bank, weights), atol=1e-10)


def test_single_precision_is_enough() -> None:
    hidden, bank = noise(6, STEPS, 5) + 3, noise(6, STEPS, 7, seed=1) * 100 - 20
    exact = correlation_sums(hidden, bank, torch.ones(6)).mean()
    single = correlation_sums(hidden.float(), bank.float(), torch.ones(6)).mean()
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, exact, atol=2e-5)


def test_correlations_at_a_choice_are_those_that_were_averaged() -> None:
    hidden, bank, weights = noise(5, STEPS, 4), noise(5, STEPS, 6, seed=1), torch.ones(5)
    choice = choose(correlation_sums(hidden, bank, weights).peaks(), bank_lags(STEPS), torch.arange(6))
    found = correlations_at(hidden, bank, choice)
    torch.testing.assert_close(found.mean(dim=0), choice.correlation)


# Planted units.


class Planted:
    """A network whose only layer puts out the given function of its inputs."""

    def __init__(self, units: list[tuple[int, int, float]]) -> None:
        self.units = units

    def trace(self, inputs: Tensor) -> list[SimpleNamespace]:
        bank = coefficients(inputs, ELEMENTS)
        outputs = [sign * bank[:, :, element].roll(lag, dims=1) for element, lag, sign in self.units]
        return [SimpleNamespace(hidden=torch.stack(outputs, dim=2))]


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_a_planted_unit_is_found_with_its_lag_and_sign(data: st.DataObject) -> None:
    element = data.draw(st.sampled_from(WAVELETS.tolist()))
    lag, sign = data.draw(st.sampled_from(list(bank_lags(STEPS)))), data.draw(st.sampled_from([1.0, -1.0]))
    signal = noise(6, 1, STEPS, seed=data.draw(st.integers(0, 100)))
    (hidden,) = hidden_states(Planted([(element, lag, sign)]), signal)
    bank = coefficients(signal, ELEMENTS)
    (match,) = cross_fit(hidden, bank, torch.ones(6), halves(6), [WAVELETS])
    for choice in (match.overall, *match.halves):
        assert (choice.element.tolist(), choice.lag.tolist(), choice.sign.tolist()) == ([element], [lag], [sign])
    assert match.held_out.numpy() == pytest.approx(1, abs=1e-9)


def test_a_copy_of_the_input_is_told_apart_from_wavelets() -> None:
    signal = noise(8, 1, STEPS)
    (hidden,) = hidden_states(Planted([(int(INPUT[0]), 3, 1.0)]), signal)
    bank = coefficients(signal, ELEMENTS)
    wavelet, copied = cross_fit(hidden, bank, torch.ones(8), halves(8), [WAVELETS, INPUT])
    assert copied.overall.lag.tolist() == [3]
    assert copied.held_out.numpy() == pytest.approx(1, abs=1e-9)
    assert float(wavelet.held_out.mean()) < 0.95


def test_constant_units_are_undefined_and_leave_the_others_alone() -> None:
    signal = noise(6, 1, STEPS)
    bank = coefficients(signal, ELEMENTS)
    hidden = torch.stack([bank[:, :, 4], torch.full((6, STEPS), 0.3, dtype=torch.float64)], dim=2)
    for precision in (torch.float64, torch.float32):
        data = (hidden.to(precision), bank.to(precision))
        (match,) = cross_fit(*data, torch.ones(6), halves(6), [WAVELETS])
        assert match.overall.element.tolist() == [4, -1]
        assert match.overall.correlation.isnan().tolist() == [False, True]
        assert match.held_out.isnan().all(dim=0).tolist() == [False, True]


def test_a_unit_that_varies_in_few_samples_is_not_matched_by_these() -> None:
    signal = noise(8, 1, STEPS)
    bank = coefficients(signal, ELEMENTS)
    hidden = torch.zeros(8, STEPS, 1, dtype=torch.float64)
    hidden[:2, :, 0] = bank[:2, :, 4]
    (match,) = cross_fit(hidden, bank, torch.ones(8), halves(8), [WAVELETS])
    assert match.overall.element.tolist() == [-1]


# Honesty.


def test_the_best_of_many_is_not_taken_at_its_own_word() -> None:
    """Units that have nothing to do with the input match something where it was chosen, and nothing elsewhere."""
    signal, hidden = noise(8, 1, STEPS), noise(8, STEPS, 40, seed=1)
    (match,) = cross_fit(hidden, coefficients(signal, ELEMENTS), torch.ones(8), halves(8), [WAVELETS])
    assert float(match.halves[0].correlation.mean()) > 0.2
    assert abs(float(match.held_out.mean())) < 0.05


def test_a_sample_is_judged_by_the_other_half_only() -> None:
    signal, hidden = noise(8, 1, STEPS), noise(8, STEPS, 5, seed=1)
    bank = coefficients(signal, ELEMENTS)
    (before,) = cross_fit(hidden, bank, torch.ones(8), halves(8), [WAVELETS])
    changed = hidden.clone()
    changed[0] = noise(STEPS, 5, seed=2)
    (after,) = cross_fit(changed, bank, torch.ones(8), halves(8), [WAVELETS])
    torch.testing.assert_close(after.held_out[2::2], before.held_out[2::2])
    assert not torch.allclose(after.held_out[1::2], before.held_out[1::2])


def test_weights_make_subjects_equal() -> None:
    """A subject twice as often, each sample with half the weight, counts as once."""
    signal, hidden = noise(4, 1, STEPS), noise(4, STEPS, 5, seed=1)
    bank = coefficients(signal, ELEMENTS)
    once = correlation_sums(hidden, bank, torch.ones(4)).mean()
    order, weights = [0, 0, 1, 2, 3], torch.tensor([0.5, 0.5, 1, 1, 1])
    torch.testing.assert_close(correlation_sums(hidden[order], bank[order], weights).mean(), once)


@given(st.permutations(range(8)))
@settings(max_examples=5, deadline=None)
def test_the_order_of_samples_does_not_matter(order: list[int]) -> None:
    signal, hidden = noise(8, 1, STEPS), noise(8, STEPS, 5, seed=1)
    bank = coefficients(signal, ELEMENTS)
    (match,) = cross_fit(hidden, bank, torch.ones(8), halves(8), [WAVELETS])
    (moved,) = cross_fit(hidden[order], bank[order], torch.ones(8), halves(8)[order], [WAVELETS])
    torch.testing.assert_close(moved.held_out, match.held_out[order])


def test_units_do_not_depend_on_each_other() -> None:
    signal, hidden = noise(8, 1, STEPS), noise(8, STEPS, 6, seed=1)
    bank = coefficients(signal, ELEMENTS)
    (together,) = cross_fit(hidden, bank, torch.ones(8), halves(8), [WAVELETS])
    (alone,) = cross_fit(hidden[:, :, 2:4], bank, torch.ones(8), halves(8), [WAVELETS])
    part = together.units(2, 4)
    torch.testing.assert_close(part.held_out, alone.held_out)
    assert torch.equal(part.overall.element, alone.overall.element)
    assert torch.equal(part.halves[1].lag, alone.halves[1].lag)


def test_a_half_without_samples_leaves_the_other_unjudged() -> None:
    signal, hidden = noise(4, 1, STEPS), noise(4, STEPS, 3, seed=1)
    bank = coefficients(signal, ELEMENTS)
    (match,) = cross_fit(hidden, bank, torch.ones(4), torch.ones(4, dtype=torch.bool), [WAVELETS])
    assert bool(match.held_out.isnan().all())
    assert not bool(match.overall.correlation.isnan().any())


def test_hidden_states_are_those_of_the_layers() -> None:
    torch.manual_seed(0)
    model = LSTMClassifier(1, 2, (4, 3)).eval()
    signal = noise(40, 1, 20).float()
    first, second = hidden_states(model, signal)
    assert (first.shape, second.shape) == ((40, 20, 4), (40, 20, 3))
    torch.testing.assert_close(model.head(second), model.step_scores(signal))
    torch.testing.assert_close(hidden_states(model, signal[33:34])[0], first[33:34])
