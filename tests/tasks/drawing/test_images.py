"""Scan-line samples are drawn as the images they are, with what matters outlined and nothing hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks import drawing
from tasks.drawing import Geometry
from tasks.drawing.heat import heat
from tasks.drawing.image_cell import outline, shape_of
from tasks.drawing.style import HEAT, SIGNED

SCAN = Geometry(("intensity",), ("intensity",), 1.0, image=(4, 5))


def digit() -> np.ndarray:
    image = np.zeros((4, 5))
    image[1:3, 2] = 1.0
    image[3, 2] = 0.4
    return image.reshape(1, -1)


def test_a_sample_and_its_heat_lie_side_by_side() -> None:
    values = np.arange(20.0)[None]
    figure = drawing.sample_heatmap(digit(), values, geometry=SCAN, title="one")
    sample, heated = figure.axes[:2]
    np.testing.assert_array_equal(sample.images[0].get_array(), digit().reshape(4, 5))
    np.testing.assert_allclose(heated.images[0].get_array(), heat(values).reshape(4, 5))
    assert heated.images[0].get_cmap().name == HEAT.name
    signed = drawing.sample_heatmap(digit(), values - 5, geometry=SCAN, title="one").axes[1].images[0]
    assert signed.get_cmap().name == SIGNED.name


@given(hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 7))))
@settings(max_examples=60, deadline=None)
def test_an_outline_is_every_edge_between_inside_and_outside_once(mask: np.ndarray) -> None:
    """Each segment, cut into unit edges, against a naive count over pixels."""
    drawn = []
    for (x0, y0), (x1, y1) in outline(mask):
        steps = round(abs(x1 - x0) + abs(y1 - y0))
        across = (x1 - x0) / steps, (y1 - y0) / steps
        assert steps >= 1
        assert 0 in across
        drawn += [(x0 + across[0] * (k + 0.5), y0 + across[1] * (k + 0.5)) for k in range(steps)]
    expected = set()
    for row, column in zip(*np.nonzero(mask), strict=True):
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            beyond = (row + down, column + right)
            inside = 0 <= beyond[0] < mask.shape[0] and 0 <= beyond[1] < mask.shape[1] and mask[beyond]
            if not inside:
                expected.add((column + right / 2, row + down / 2))
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == expected


def test_the_line_runs_round_the_evidence_or_else_the_bright_pixels() -> None:
    np.testing.assert_array_equal(np.argwhere(shape_of(SCAN, digit(), None)), [[1, 2], [2, 2]])
    mask = np.zeros((1, 20), dtype=bool)
    mask[0, 0] = True
    np.testing.assert_array_equal(np.argwhere(shape_of(SCAN, digit(), mask)), [[0, 0]])
    assert not shape_of(SCAN, np.zeros((1, 20)), None).any()


@pytest.mark.parametrize("explainers", [3, 12, 14])
def test_figure_four_has_a_row_per_class_and_its_sample_first(explainers: int) -> None:
    names = [f"occlusion_w{width}" for width in range(1, explainers + 1)]
    rng = np.random.default_rng(0)
    maps = {str(label): {name: rng.random((1, 20)) for name in names} for label in range(10)}
    del maps["3"]["occlusion_w2"]
    figure = drawing.class_by_explainer(dict.fromkeys(maps, digit()), maps, geometry=SCAN, title="Figure 4")
    shown = [axes.images[0] for axes in figure.axes if axes.get_visible() and axes.images]
    bands = 1 if explainers <= 12 else 2
    assert len([image for image in shown if image.get_cmap().name == "Greys"]) == 10 * bands
    heated = [image for image in shown if image.get_cmap().name == HEAT.name]
    assert len(heated) == 10 * explainers - 1
    places = {round(image.axes.get_position().x0, 6) for image in heated}
    assert len(places) == -(-explainers // bands)
    np.testing.assert_allclose(heated[0].get_array(), heat(maps["0"]["occlusion_w1"]).reshape(4, 5))


def test_pixels_are_square() -> None:
    wide = Geometry(("intensity",), ("intensity",), 1.0, image=(2, 10))
    figure = drawing.all_explainers(digit(), {"gradient": np.arange(20.0)[None]}, geometry=wide, title="wide")
    width, height = figure.get_size_inches()
    box = figure.axes[0].get_position()
    assert box.width * width / (box.height * height) == pytest.approx(5)


def test_class_means_share_a_scale_by_explainer_and_say_how_many() -> None:
    positive, negative = np.arange(20.0)[None], -np.arange(20.0)[None]
    figure = drawing.class_mean_heatmaps(
        {"0": digit(), "1": digit()}, {"0": {"gradient": positive}, "1": {"gradient": negative}},
        geometry=SCAN, title="means", counts={"0": 1200},
    )  # fmt: skip
    shown = [axes.images[0] for axes in figure.axes if axes.get_visible() and axes.images]
    assert [image.get_cmap().name for image in shown] == ["Greys", SIGNED.name] * 2
    np.testing.assert_allclose(shown[1].get_array().ravel(), 0.5 + positive[0] / 38)
    assert figure.axes[0].get_ylabel() == "0\nn = 1,200"
