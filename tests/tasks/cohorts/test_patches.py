"""Patches lie where they should, cover what they should, and know where they are in space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nifti_writing import AFFINE

from tasks.cohorts.patches import corners_free_of, corners_on, patch_at, shifted, tiles

SIZE = (4, 6, 5)
SHAPES = st.tuples(st.integers(4, 20), st.integers(6, 20), st.integers(5, 20))
SEEDS = st.integers(0, 2**32 - 1)


def scattered(shape, seed: int, share: float = 0.01) -> np.ndarray:
    mask = np.random.default_rng(seed).random(shape) < share
    mask[tuple(n // 2 for n in shape)] = True
    return mask


def test_a_patch_keeps_its_place_in_space():
    volume = np.arange(2 * 9 * 8 * 7).reshape(2, 9, 8, 7)
    corner = np.array([3, 1, 2])
    patch, affine = patch_at(volume, corner, SIZE), shifted(AFFINE, corner)
    assert patch.shape == (2, *SIZE)
    assert patch[1, 2, 3, 4] == volume[1, 5, 4, 6]
    np.testing.assert_allclose(affine @ [4, 3, 2, 1], AFFINE @ [6, 4, 5, 1])
    np.testing.assert_array_equal(AFFINE[:3, 3], [30, -20, 4])


@given(SHAPES)
def test_tiles_cover_all_and_no_more_than_needed(shape):
    corners = tiles(shape, SIZE)
    covered = np.zeros(shape, dtype=int)
    for corner in corners:
        patch = patch_at(covered, corner, SIZE)
        assert patch.shape == SIZE
        patch += 1
    assert covered.min() >= 1
    assert len(corners) == np.prod([-(-n // s) for n, s in zip(shape, SIZE, strict=True)])


def test_a_volume_smaller_than_a_tile_is_refused():
    with pytest.raises(ValueError, match=r"has \(3, 9, 9\) voxels; expected \(4, 6, 5\) or more"):
        tiles((3, 9, 9), SIZE)


@given(SHAPES, SEEDS, st.integers(0, 9))
def test_patches_on_lesions_hold_one(shape, seed, count):
    mask = scattered(shape, seed)
    lesions = np.where(mask, np.cumsum(mask).reshape(shape), 0)
    corners = corners_on(lesions, SIZE, count, np.random.default_rng(seed))
    assert len(corners) == len(np.unique(corners, axis=0)) <= count
    assert (len(corners) > 0) == (count > 0)
    for corner in corners:
        assert patch_at(mask, corner, SIZE).shape == SIZE
        assert patch_at(mask, corner, SIZE).any()


def test_every_lesion_gets_its_turn_however_small():
    lesions = np.zeros((40, 40, 40), dtype=int)
    lesions[2:12, 2:12, 2:12] = 1
    lesions[35, 35, 35] = 2
    corners = corners_on(lesions, SIZE, 4, np.random.default_rng(0))
    small = [bool((patch_at(lesions, corner, SIZE) == 2).any()) for corner in corners]
    assert sum(small) == 2


def test_the_place_in_the_patch_tells_nothing_of_the_lesion():
    """Lesions at a fixed place in the patch could be told without looking."""
    lesions = np.zeros((40, 40, 40), dtype=int)
    lesions[20, 20, 20] = 1
    corners = corners_on(lesions, (8, 8, 8), 200, np.random.default_rng(0))
    places = 20 - corners
    assert places.min(axis=0).tolist() == [2, 2, 2]
    assert places.max(axis=0).tolist() == [6, 6, 6]


@given(SHAPES, SEEDS, st.integers(0, 6))
def test_patches_elsewhere_hold_no_lesion_and_are_as_many_as_there_can_be(shape, seed, count):
    mask, brain = scattered(shape, seed), scattered(shape, seed + 1, 0.5)
    corners = corners_free_of(mask, brain, SIZE, count, np.random.default_rng(seed))
    free = [
        corner
        for corner in np.ndindex(*[n - s + 1 for n, s in zip(shape, SIZE, strict=True)])
        if not patch_at(mask, np.array(corner), SIZE).any() and brain[tuple(np.array(corner) + np.array(SIZE) // 2)]
    ]
    assert len(corners) == len(np.unique(corners, axis=0)) == min(count, len(free))
    assert set(map(tuple, corners)) <= set(free)
