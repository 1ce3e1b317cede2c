"""Resizing takes the voxel under each new voxel's centre, on the way there as on the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.cohorts.resizing import nearest, resized

SIDE = st.integers(1, 40)


@given(old=SIDE, new=SIDE)
def test_a_new_voxel_takes_the_old_one_in_which_its_centre_lies(old, new):
    for i, taken in enumerate(nearest(old, new)):
        centre = (i + 0.5) * old / new
        assert taken - 1e-9 <= centre <= taken + 1 + 1e-9


@given(st.tuples(SIDE, SIDE, SIDE), st.tuples(SIDE, SIDE, SIDE), st.integers(0, 2**32 - 1))
def test_it_is_torchs_nearest_exact(old, new, seed):
    volume = np.random.default_rng(seed).random((2, *old))
    expected = torch.nn.functional.interpolate(torch.tensor(volume)[None], new, mode="nearest-exact")[0].numpy()
    found = resized(volume, new)
    # torch counts in single precision, so that a centre on the border of two voxels may fall to either side.
    borders = [(2 * np.arange(n) + 1) * o % (2 * n) == 0 for o, n in zip(old, new, strict=True)]
    sure = ~(borders[0][:, None, None] | borders[1][:, None] | borders[2])
    np.testing.assert_array_equal(found[:, sure], expected[:, sure])


@given(st.tuples(SIDE, SIDE, SIDE), st.tuples(*[st.integers(1, 3)] * 3))
def test_growing_by_whole_factors_and_shrinking_back_loses_nothing(size, factors):
    volume = np.arange(np.prod(size)).reshape(size)
    grown = resized(volume, tuple(s * f for s, f in zip(size, factors, strict=True)))
    np.testing.assert_array_equal(grown, np.kron(volume, np.ones(factors, dtype=int)))
    np.testing.assert_array_equal(resized(grown, size), volume)


def test_a_mirrored_volume_gives_the_mirrored_result():
    """Nothing shifts towards either end; 7 to 5 has no centre on a border."""
    volume = np.arange(7 * 7 * 7).reshape(7, 7, 7)
    flipped = resized(volume[::-1, ::-1, ::-1], (5, 5, 5))[::-1, ::-1, ::-1]
    np.testing.assert_array_equal(flipped, resized(volume, (5, 5, 5)))


def test_masks_stay_masks_and_two_axes_are_not_enough():
    mask = np.random.default_rng(0).random((4, 1, 6, 9, 7)) < 0.5
    assert resized(mask, (3, 4, 5)).dtype == bool
    assert resized(mask, (3, 4, 5)).shape == (4, 1, 3, 4, 5)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        resized(np.zeros((3, 3)), (3, 4, 5))
