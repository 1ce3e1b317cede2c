"""The paper's filter calculus, its errors included, on the filters that LRP uses and on filters of fixed amplitude."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from torch import Tensor

from xai.methods.lrp.filters import Clamp, Pass
from xai.quality.filter_calculus import (
    POINTS,
    Filter,
    band_area,
    composition_gap,
    least_bound,
    probability_of_bound,
    recovery,
)

alphas = st.floats(0.02, 1)


def fixed(low: float, high: float) -> Filter:
    """Keeps the amplitudes from ``low`` to ``high`` themselves, whatever the maximum."""

    def keep(relevance: Tensor) -> Tensor:
        return relevance * ((relevance.abs() >= low) & (relevance.abs() <= high))

    return keep


@given(alphas)
@settings(max_examples=50, deadline=None)
def test_the_area_of_a_pass_filter_is_half_of_alpha_squared_and_under_its_bound(alpha: float) -> None:
    area = band_area(Pass(0, alpha))
    assert area == pytest.approx(alpha**2 / 2, abs=2 / POINTS)
    assert area <= alpha**2  # the paper prints >=


@given(alphas)
@settings(max_examples=50, deadline=None)
def test_the_area_of_a_clamp(alpha: float) -> None:
    assert band_area(Clamp(alpha)) == pytest.approx(alpha - alpha**2 / 2, abs=2 / POINTS)


@given(st.tuples(alphas, alphas, alphas, alphas), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_filters_of_fixed_amplitude_compose_to_the_intersection(bounds, seed: int) -> None:
    first, second = sorted(bounds[:2]), sorted(bounds[2:])
    relevance = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    both = fixed(max(first[0], second[0]), min(first[1], second[1]))
    assert composition_gap(fixed(*first), fixed(*second), both, relevance).tolist() == [0, 0, 0]


def test_filters_by_the_maximum_do_not() -> None:
    relevance = torch.linspace(0, 1, 101, dtype=torch.float64).view(1, 1, -1)
    half = Pass(0, 0.5)
    assert composition_gap(half, half, half, relevance).item() == pytest.approx(0.5)
    assert composition_gap(half, half, Pass(0, 0.25), relevance).item() == 0
    assert composition_gap(half, half, half, relevance * 0).isnan().all()


def test_what_the_paper_says_of_recovery_does_not_hold() -> None:
    truth = Pass(0.1, 0.5)
    whole = (0.5**2 - 0.1**2) / 2
    for high in (0.1, 0.3, 0.5, 0.8):
        found = recovery(Pass(0, high), truth)
        assert found.lost == pytest.approx(max(0.5**2 - high**2, 0) / 2 / whole, abs=1e-3)
        added = 0.1**2 / 2 + max(high**2 - 0.5**2, 0) / 2
        assert found.added == pytest.approx(added / whole, abs=1e-3)
    # "up to alpha0 = 0.1": nothing but the rubbish below the band is left of it
    assert recovery(Pass(0, 0.1), truth).lost == pytest.approx(1, abs=1e-3)
    # it is as a lower bound that alpha0 works up to 0.1
    assert recovery(Pass(0.05, 1), truth).lost == 0
    assert recovery(Pass(0.2, 1), truth).lost > 0.1
    exact = recovery(Pass(0.1, 0.5), truth)
    assert (exact.lost, exact.added) == (0, 0)
    with pytest.raises(ValueError, match="truth lets nothing of a uniform band through"):
        recovery(truth, lambda relevance: relevance * 0)


def _wilson(inside: int, count: int, z: float) -> tuple[float, float]:
    share = inside / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(centre - half, 0), min(centre + half, 1)


@given(inside=st.integers(0, 12))
@settings(max_examples=13, deadline=None)
def test_the_probability_of_a_bound_has_wilsons_interval_over_subjects(inside: int) -> None:
    mu = np.full((12, 6), 0.1)
    mu[inside:, 3] = 0.6  # one channel is enough
    found = probability_of_bound(mu, 0.5)
    assert (found.inside, found.subjects, found.share) == (inside, 12, inside / 12)
    assert (found.low, found.high) == pytest.approx(_wilson(inside, 12, 1.959964), abs=1e-6)


def test_undefined_channels_are_left_out_and_undefined_subjects_too() -> None:
    mu = np.array([[0.1, np.nan], [np.nan, np.nan], [0.9, 0.2]])
    found = probability_of_bound(mu, 0.5)
    assert (found.inside, found.subjects) == (1, 2)
    with pytest.raises(ValueError, match="mu is undefined in all 2 subjects"):
        probability_of_bound(np.full((2, 3), np.nan), 0.5)


def test_the_least_bound_is_the_smallest_that_holds_with_confidence() -> None:
    mu = np.linspace(0.01, 0.5, 50).reshape(50, 1)
    found = least_bound(mu, 0.8)
    assert found.low >= 0.8
    assert probability_of_bound(mu, found.bound - 1e-9).low < 0.8
    assert np.isnan(least_bound(mu[:4], 0.8).bound)  # of 4 subjects the interval starts at 4 / (4 + 3.84) or lower
    with pytest.raises(ValueError, match=r"probability is 1\.0; expected a number between 0 and 1"):
        least_bound(mu, 1.0)


def test_the_interval_covers_the_true_probability_as_often_as_it_says() -> None:
    truth, count = 0.85, 40
    covered = 0.0
    for inside in range(count + 1):
        mu = np.zeros((count, 1))
        mu[inside:] = 1.0
        found = probability_of_bound(mu, 0.5)
        covered += binom.pmf(inside, count, truth) * (found.low <= truth <= found.high)
    assert 0.93 < covered < 0.98
