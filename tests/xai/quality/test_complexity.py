from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from xai.quality.complexity import complexity, entropy, gini


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30).filter(lambda values: sum(map(abs, values)) > 1e-3))
@settings(deadline=None, max_examples=40)
def test_entropy_and_gini_equal_their_definitions(values: list[float]) -> None:
    attributions = torch.tensor(values, dtype=torch.float64).view(1, 1, -1)
    magnitude = np.abs(values)
    assert float(complexity(attributions)) == pytest.approx(stats.entropy(magnitude) / np.log(len(values)), abs=1e-9)
    differences = sum(abs(a - b) for a, b in product(magnitude, magnitude))
    expected = differences / (2 * len(values) * magnitude.sum())
    assert float(gini(attributions)) == pytest.approx(expected, abs=1e-9)


def test_the_extremes() -> None:
    point = torch.zeros(1, 1, 10)
    point[..., 3] = -2.0
    even = torch.full((1, 1, 10), 0.5)
    assert (float(complexity(point)), float(complexity(even))) == (0, pytest.approx(1))
    assert (float(gini(point)), float(gini(even))) == (pytest.approx(0.9), pytest.approx(0))


def test_resolution_does_not_change_the_complexity_of_an_even_map() -> None:
    assert float(complexity(torch.ones(1, 1, 10))) == pytest.approx(float(complexity(torch.ones(1, 1, 1000))))


def test_undefined_is_nan_and_stays_with_its_sample() -> None:
    attributions = torch.stack([torch.zeros(1, 4), torch.arange(4.0).view(1, 4)])
    for metric in (complexity, gini, entropy):
        assert metric(attributions).isnan().tolist() == [True, False]
    assert complexity(torch.ones(2, 1, 1)).isnan().all()
