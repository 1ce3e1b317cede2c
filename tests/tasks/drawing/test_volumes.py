"""Volumes are drawn as the slice that matters, the attribution over the map, the evidence in a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from tasks import drawing
from tasks.drawing import Geometry
from tasks.drawing.heat import heat
from tasks.drawing.slices import chosen_slice, leading_channel, volume_mask
from tasks.drawing.style import SIGNED
from tasks.drawing.volume_cell import LINE, MOST_OPAQUE, coloured, grey_range

SHAPE = (5, 6, 8)
BRAIN = Geometry(("ADC", "MTT"), ("1e-6 mm2/s", "s"), 1.0, volume=SHAPE)


def signal(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, *SHAPE)) + 5


def attribution(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, *SHAPE))


def lesion(depth: int = 3) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[depth, 2:4, 3:6] = True
    mask[depth - 1, 2, 3] = True
    return mask


def pictures(figure: Figure) -> list[list[np.ndarray]]:
    """The images of every visible cell, from below to above."""
    return [
        [np.asarray(image.get_array()) for image in axes.images]
        for axes in figure.axes
        if axes.get_visible() and axes.images
    ]


def lines(figure: Figure) -> list[LineCollection]:
    found = [one for axes in figure.axes for one in axes.collections if isinstance(one, LineCollection)]
    return [line for line in found if same_color(line.get_color()[0], LINE)]


def test_the_slice_with_most_evidence_is_shown_else_that_with_most_attribution() -> None:
    chosen = chosen_slice([attribution()], lesion(3))
    assert (chosen.depth, chosen.words) == (3, "slice 4 of 5 (most evidence)")
    loud, quiet = np.zeros((2, *SHAPE)), np.zeros((2, *SHAPE))
    loud[0, 4, 0, 0] = 1e6
    quiet[:, 1] = 0.01
    assert chosen_slice([loud, quiet], None).depth == 1, "no map outvotes the others by its size"
    assert chosen_slice([loud], None).words == "slice 5 of 5 (most attribution)"
    assert chosen_slice([loud], np.zeros(SHAPE, dtype=bool)).reason == "most attribution"
    assert chosen_slice([np.full((2, *SHAPE), np.nan)], None).depth == 0


def test_the_leading_channel_has_most_attribution_in_that_slice() -> None:
    values = np.zeros((2, *SHAPE))
    values[0, 0] = 100
    values[1, 3] = -1
    assert (leading_channel(values, 0), leading_channel(values, 3)) == (0, 1)


@pytest.mark.parametrize("mask", [lesion(), lesion()[None], np.stack([np.zeros(SHAPE, dtype=bool), lesion()])])
def test_evidence_of_any_channel_is_evidence(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(volume_mask(BRAIN, mask), lesion())


def test_evidence_of_another_shape_is_named() -> None:
    assert volume_mask(BRAIN, None) is None
    with pytest.raises(ValueError, match=r"shape \(3, 5, 6, 8\); expected \(channel or 1, \*\(5, 6, 8\)\)"):
        volume_mask(BRAIN, np.stack([lesion()] * 3))


def test_a_sample_is_a_column_per_channel_with_its_heat_below() -> None:
    values = attribution()
    figure = drawing.sample_heatmap(signal(), values, geometry=BRAIN, title="one", evidence=lesion()[None])
    shown = pictures(figure)
    assert [len(cell) for cell in shown[:4]] == [1, 1, 2, 2]
    for channel in (0, 1):
        np.testing.assert_allclose(shown[channel][0], signal()[channel, 3])
        np.testing.assert_allclose(shown[2 + channel][0], signal()[channel, 3])
        expected = coloured(heat(values, signed=True)[channel, 3])
        np.testing.assert_allclose(shown[2 + channel][1], expected)
    assert len(lines(figure)) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["ADC (1e-6 mm2/s)", "MTT (s)"]
    assert "slice 4 of 5" in figure.texts[1].get_text()


@given(st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_heat_is_as_opaque_as_it_is_large_and_has_the_diverging_colours(value: float) -> None:
    rgba = coloured(np.array([0.5 + value / 2]))[0]
    assert rgba[3] == pytest.approx(MOST_OPAQUE * abs(value))
    np.testing.assert_allclose(rgba[:3], SIGNED(0.5 + value / 2)[:3])
    assert coloured(np.array([0.5 + value / 2]), opaque=True)[0, 3] == 1


def test_what_is_unknown_is_transparent() -> None:
    assert coloured(np.array([np.nan]))[0, 3] == 0
    assert coloured(np.array([np.inf]))[0, 3] == MOST_OPAQUE


def test_each_explainer_is_shown_on_the_channel_it_gives_most() -> None:
    first, second = np.zeros((2, *SHAPE)), np.zeros((2, *SHAPE))
    first[0, 3, 0, 0], second[1, 3, 0, 0] = 1, -1
    figure = drawing.all_explainers(
        signal(), {"gradient": first, "random": second}, geometry=BRAIN, title="all", evidence=lesion(),
        low_is_important=["random"],
    )  # fmt: skip
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles[0] == "gradient\nADC"
    assert titles[1].replace("\n", " ") == "random (low = important) MTT"
    shown = pictures(figure)
    np.testing.assert_allclose(shown[1][0], signal()[1, 3])


def test_a_class_without_a_map_keeps_its_cell_empty_and_has_its_own_slice() -> None:
    maps = {"lesion": {"gradient": attribution(), "random": attribution(2)}, "background": {"random": attribution(3)}}
    figure = drawing.class_by_explainer(
        {"lesion": signal(), "background": signal(5)}, maps, geometry=BRAIN, title="x", evidence={"lesion": lesion(1)}
    )
    assert len(pictures(figure)) == 3
    assert figure.axes[0].get_ylabel() == "lesion\n2 of 5"
    assert len(lines(figure)) == 2


def test_a_map_without_contrast_and_a_slice_that_shows_little_are_said() -> None:
    flat = drawing.sample_heatmap(signal(), np.zeros((2, *SHAPE)), geometry=BRAIN, title="x", evidence=lesion())
    assert [text.get_text() for axes in flat.axes for text in axes.texts] == ["no contrast"] * 2
    spike = attribution() / 100
    spike[0, 0, 0, 0] = 10
    shown = drawing.sample_heatmap(signal(), spike, geometry=BRAIN, title="x", evidence=lesion())
    words = [text.get_text() for axes in shown.axes for text in axes.texts]
    strongest = np.abs(spike[0, 3]).max() / 10
    assert words[0] == f"at most {100 * strongest:.2g} % of its peak"


def test_a_bright_voxel_darkens_nothing() -> None:
    channel = np.linspace(0, 1, 1000).reshape(10, 10, 10)
    channel[0, 0, 0] = 1e6
    low, high = grey_range(channel)
    assert 0 <= low < 0.02
    assert 0.98 < high < 1.01
    assert grey_range(np.full((2, 2, 2), 3.0)) == (3.0, 4.0)
    assert grey_range(np.full((2, 2, 2), np.nan)) == (0.0, 1.0)


def test_voxels_have_their_true_shape() -> None:
    flat = Geometry(("T1",), ("",), 1.0, volume=SHAPE, spacing=(5.0, 1.0, 2.0))
    figure = drawing.sample_heatmap(signal()[:1], attribution()[:1], geometry=flat, title="x")
    width, height = figure.get_size_inches()
    box = figure.axes[0].get_position()
    assert box.width * width / (box.height * height) == pytest.approx(8 * 2 / 6)
    assert figure.axes[0].get_aspect() == 0.5


def test_class_means_of_volumes_are_refused() -> None:
    with pytest.raises(ValueError, match="samples are volumes; expected signals or images"):
        drawing.class_mean_heatmaps({"a": signal()}, {"a": {"g": attribution()}}, geometry=BRAIN, title="x")


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected \(channel, depth, height, width\)"):
        drawing.all_explainers(signal()[:1], {}, geometry=BRAIN, title="x")
    with pytest.raises(ValueError, match="attribution of 'g'"):
        drawing.all_explainers(signal(), {"g": attribution()[0]}, geometry=BRAIN, title="x")
