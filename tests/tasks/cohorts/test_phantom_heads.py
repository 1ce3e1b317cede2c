"""The generated head: where its voxels are, how far they lie from a line, which tissue is where."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cohorts.phantoms.brain import CSF, GREY, SKULL, WHITE, draw_head, near, swollen
from tasks.cohorts.phantoms.volume_grids import Grid, turned


def grid_of(spacing=(5.0, 5.0, 6.0), shape=(40, 44, 24), tilt=0.0, stretch=1.0) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = turned(tilt) @ np.diag([-spacing[0], -spacing[1], spacing[2]])
    affine[:3, 3] = np.array([0.0, -16.0, 18.0]) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return Grid(shape, affine, np.diag([stretch, stretch, stretch, 1.0]))


@given(tilt=st.floats(-30, 30), x=st.floats(1, 6), z=st.floats(1, 6), stretch=st.floats(0.9, 1.1))
@settings(max_examples=30, deadline=None)
def test_points_and_spacing_are_what_the_affine_says(tilt, x, z, stretch):
    grid = grid_of((x, x, z), (4, 3, 5), tilt, stretch)
    np.testing.assert_allclose(grid.spacing, (x, x, z))
    for voxel in ((0, 0, 0), (3, 2, 4), (1, 0, 2)):
        expected = stretch * (grid.affine @ [*voxel, 1])[:3]
        np.testing.assert_allclose(grid.points()[:, *voxel], expected, atol=1e-9)


@given(st.lists(st.tuples(*[st.floats(-40, 40)] * 3), min_size=2, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_distance_to_a_line_is_right_to_a_voxel(corners):
    grid = grid_of(tilt=10)
    path = np.array(corners)
    samples = np.concatenate([np.linspace(a, b, 60) for a, b in pairwise(path)])
    points = grid.points().reshape(3, -1).T[::37]
    exact = np.sqrt(((points[:, None] - samples[None]) ** 2).sum(axis=2).min(axis=1))
    found = near(grid, [path]).reshape(-1)[::37]
    diagonal = np.linalg.norm(grid.spacing)
    assert np.abs(found - exact).max() < diagonal + 2


def test_a_field_has_mean_0_and_sd_1_and_is_smooth_over_its_width():
    grid = grid_of((4.0, 4.0, 4.0), (40, 40, 40))
    rough, smooth = (grid.field(np.random.default_rng(0), width) for width in (2.0, 12.0))
    for field in (rough, smooth):
        assert field.mean() == pytest.approx(0, abs=1e-12)
        assert field.std() == pytest.approx(1)
    assert np.diff(smooth, axis=0).std() < 0.5 * np.diff(rough, axis=0).std()


def test_a_field_is_as_smooth_across_thick_slices_as_within_them():
    """Of a Gaussian's autocorrelation exp(-(d / 2 SD)^2), at a distance of 8 mm along each axis."""
    field = grid_of((2.0, 4.0, 8.0), (80, 60, 50)).field(np.random.default_rng(0), 8.0)
    for axis, step in enumerate((4, 2, 1)):
        moved = np.roll(field, step, axis)
        assert np.corrcoef(field.ravel(), moved.ravel())[0, 1] == pytest.approx(np.exp(-0.25), abs=0.06)


def test_a_stroke_strikes_neither_ventricles_nor_the_fissure():
    head = draw_head(np.random.default_rng(0), grid_of((2.0, 2.0, 4.0), (96, 110, 40)), 1.0)
    assert head.ventricles.any()
    assert not (head.strikable & (head.ventricles | ~head.brain)).any()
    assert np.abs(head.points[0][head.strikable]).min() > 1.8
    assert (head.strikable & (head.tissue == CSF)).any()


def test_tissues_have_the_shares_and_places_of_a_head():
    head = draw_head(np.random.default_rng(0), grid_of((2.0, 2.0, 4.0), (96, 110, 40)), 1.0)
    voxel = 2 * 2 * 4 / 1000
    assert 1_100 < head.brain.sum() * voxel < 1_600
    assert 10 < head.ventricles.sum() * voxel < 60
    grey, matter = (head.tissue == GREY).sum(), head.parenchyma.sum()
    assert 0.3 < grey / matter < 0.65
    assert not (head.tissue[head.brain] <= SKULL).any()
    assert head.depth[head.tissue == WHITE].mean() > head.depth[(head.tissue == GREY)].mean()
    right = head.ventricles & head.right
    assert right.sum() == pytest.approx(head.ventricles.sum() / 2, rel=0.1)


def test_ventricles_grow_as_asked_and_nothing_else_does():
    small, large = (draw_head(np.random.default_rng(0), grid_of(), size) for size in (0.8, 1.3))
    assert large.ventricles.sum() > 1.5 * small.ventricles.sum()
    np.testing.assert_array_equal(small.depth, large.depth)
    changed = small.tissue != large.tissue
    assert (changed <= large.ventricles).all()


def test_swelling_closes_the_sulci_of_the_core_and_no_others():
    head = draw_head(np.random.default_rng(0), grid_of(), 1.0)
    core = head.strikable & (head.points[0] > 30)
    after = swollen(head, core)
    assert (head.tissue[core] == CSF).any()
    assert not (after.tissue[core] == CSF).any()
    np.testing.assert_array_equal(after.tissue[~core], head.tissue[~core])
