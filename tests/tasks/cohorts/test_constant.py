"""Whether values are all equal, wherever the first that differs lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cohorts.constant import is_constant


@given(size=st.integers(1, 50_000), place=st.integers(0, 49_999), value=st.floats(allow_nan=False))
def test_one_value_that_differs_is_found_wherever_it_lies(size: int, place: int, value: float) -> None:
    values = np.full(size, 3.0)
    assert is_constant(values)
    values[place % size] = value
    assert is_constant(values) == (size == 1 or value == 3.0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 40_000), (40_000, 1)])
def test_any_shape_and_order_in_memory(shape: tuple[int, ...]) -> None:
    values = np.zeros(shape, order="F")
    assert is_constant(values)
    values[(-1,) * len(shape)] = 1
    assert not is_constant(values)


def test_nan_equals_nothing() -> None:
    assert not is_constant(np.array([np.nan, np.nan]))
    assert not is_constant(np.array([1.0, np.nan]))
