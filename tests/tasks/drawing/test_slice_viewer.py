"""The slices to scroll through hold every voxel in its place, for every control, in few bytes."""

from __future__ import annotations

import base64
import gzip
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.drawing import Geometry, interactive_heatmaps
from tasks.drawing.heat import heat
from tasks.drawing.image_cell import outline
from tasks.drawing.slice_viewer import FULL_FROM, MOST_PIXELS, OPACITIES
from tasks.drawing.volume_cell import grey_range

SHAPE = (4, 5, 6)
BRAIN = Geometry(("ADC", "MTT", "TTP"), ("", "s", "s"), 1.0, volume=SHAPE)
NAMES = ["gradient", "random"]


def volumes(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, *shape))


def lesion(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[2, 1:3, 2:5] = True
    mask[1, 1, 2] = True
    return mask


def viewer(labels: tuple[str, ...] = ("lesion",), mask: np.ndarray | None = None) -> Any:
    maps = {label: {name: volumes(place) for place, name in enumerate(NAMES, start=5)} for label in labels}
    signals = {label: volumes(place) for place, label in enumerate(labels)}
    evidence = {} if mask is None else {labels[0]: mask}
    return interactive_heatmaps(signals, maps, geometry=BRAIN, title="slices", evidence=evidence)


def window(figure: Any, depth: int, panel: int) -> tuple[slice, slice]:
    """What the axes show of the large picture once the controls were set: its rows and columns."""
    (rows,) = figure.layout.sliders[0].steps[depth].args
    (columns,) = figure.layout.updatemenus[0].buttons[panel].args
    bottom, top = rows["yaxis.range"]
    left, right = columns["xaxis.range"]
    assert bottom > top, "row 0 is on top"
    return slice(int(top + 0.5), int(bottom + 0.5)), slice(int(left + 0.5), int(right + 0.5))


def greys(figure: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(figure.data[0].source.partition(",")[2]))))


@given(st.integers(0, 3), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_the_controls_show_a_slice_of_a_map_of_a_sample(depth: int, panel: int) -> None:
    figure = viewer(("lesion", "background"), lesion())
    place = window(figure, depth, panel)
    sample, channel = divmod(panel, 3)
    signal, values = volumes(sample)[channel], volumes(5)
    np.testing.assert_array_equal(
        figure.data[1].z[place], np.round(200 * heat(values, signed=True)[channel, depth] - 100)
    )
    low, high = grey_range(signal)
    expected = np.clip((signal[depth] - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(greys(figure)[place], expected, atol=0.51)


def test_the_slice_with_most_evidence_is_shown_first() -> None:
    figure = viewer(mask=lesion()[None])
    assert figure.layout.sliders[0].active == 2
    assert list(figure.layout.yaxis.range) == figure.layout.sliders[0].steps[2].args[0]["yaxis.range"]
    assert list(figure.layout.xaxis.range) == figure.layout.updatemenus[0].buttons[0].args[0]["xaxis.range"]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["1", "2", "3", "4"]


def test_one_explainer_is_seen_and_the_menu_changes_which() -> None:
    figure = viewer()
    assert [trace.visible for trace in figure.data[1:3]] == [True, False]
    for place, button in enumerate(figure.layout.updatemenus[1].buttons):
        restyle, traces = button.args
        assert (button.label, list(traces)) == (NAMES[place], [1, 2])
        assert restyle["visible"] == [one == place for one in range(2)]


def test_opacity_and_scale_act_on_every_explainer() -> None:
    figure = viewer()
    opacity, scale = figure.layout.sliders[1:]
    assert [step.args[0]["opacity"] for step in opacity.steps] == [percent / 100 for percent in OPACITIES]
    assert [(step.args[0]["zmin"], step.args[0]["zmax"]) for step in scale.steps] == [(-p, p) for p in FULL_FROM]
    assert {tuple(step.args[1]) for step in (*opacity.steps, *scale.steps)} == {(1, 2)}
    assert (opacity.active, scale.active) == (len(OPACITIES) - 1, 0)


def test_the_line_runs_round_the_evidence_in_every_map_and_can_be_hidden() -> None:
    figure = viewer(mask=lesion())
    line = figure.data[-1]
    drawn = {tuple(map(tuple, ends)) for ends in _segments(line)}
    expected = {
        ((x0 + 6 * panel, y0 + 5 * depth), (x1 + 6 * panel, y1 + 5 * depth))
        for panel in range(3)
        for depth in range(4)
        for (x0, y0), (x1, y1) in outline(lesion()[depth])
    }
    assert drawn == expected
    (button,) = figure.layout.updatemenus[2].buttons
    assert (button.args[0], button.args2[0]) == ({"visible": True}, {"visible": False})
    assert list(button.args[1]) == list(button.args2[1]) == [3]
    assert len(viewer().layout.updatemenus) == 2, "nothing to hide where no evidence is known"
    assert len(viewer().data[-1].x) == 0


def _segments(line: Any) -> list[np.ndarray]:
    points = np.column_stack([line.x, line.y])
    assert np.isnan(points[2::3]).all()
    return [points[start : start + 2] for start in range(0, len(points), 3)]


def test_of_a_large_volume_spikes_of_both_signs_and_marked_voxels_stay() -> None:
    shape = (2, 2 * MOST_PIXELS + 1, 7)
    large = Geometry(("ADC",), ("",), 1.0, volume=shape)
    values, mask = np.zeros((1, *shape)), np.zeros(shape, dtype=bool)
    values[0, 1, 100, 3], values[0, 0, 0, 0], mask[1, 128, 6] = -8, 4, True
    signal = np.arange(values.size, dtype=float).reshape(values.shape)
    figure = interactive_heatmaps(
        {"a": signal}, {"a": {"g": values}}, geometry=large, title="x", evidence={"a": mask}
    )  # fmt: skip
    rows = 43
    assert figure.data[1].z.shape == (2 * rows, 3)
    np.testing.assert_array_equal(np.argwhere(figure.data[1].z), [[0, 0], [rows + 33, 1]])
    assert figure.data[1].z.min() == -100
    assert figure.data[1].z[0, 0] == 50
    assert greys(figure).shape == (2 * rows, 3)
    np.testing.assert_allclose(np.nanmean(figure.data[-1].y), 2 * rows - 1)


def test_a_constant_map_is_neutral() -> None:
    figure = interactive_heatmaps({"a": volumes()}, {"a": {"g": np.ones((3, *SHAPE))}}, geometry=BRAIN, title="x")
    assert not figure.data[1].z.any()
    middle = figure.data[1].colorscale[len(figure.data[1].colorscale) // 2]
    assert middle[0] == 0.5
    assert middle[1].endswith(",0.000)"), "transparent"


def test_what_is_not_finite_is_full_or_nothing() -> None:
    values = np.zeros((3, *SHAPE))
    values[0, 0, 0, :4] = np.inf, -np.inf, np.nan, 2
    figure = interactive_heatmaps({"a": volumes()}, {"a": {"g": values}}, geometry=BRAIN, title="x")
    np.testing.assert_array_equal(figure.data[1].z[0, :5], [100, -100, 0, 100, 0])


def test_samples_are_named_where_there_are_several_and_markup_is_not_obeyed() -> None:
    assert [button.label for button in viewer().layout.updatemenus[0].buttons] == ["ADC", "MTT (s)", "TTP (s)"]
    labels = [button.label for button in viewer(("<b>a</b>", "b")).layout.updatemenus[0].buttons]
    assert labels[0] == "&lt;b&gt;a&lt;/b&gt;: ADC"
    assert len(labels) == 6


def test_a_missing_map_is_named() -> None:
    with pytest.raises(ValueError, match="attributions of 'b' lack 'gradient'"):
        interactive_heatmaps(
            {"a": volumes(), "b": volumes()}, {"a": {"gradient": volumes()}, "b": {}}, geometry=BRAIN, title="x"
        )


def test_packed_it_is_small() -> None:
    """Six explainers of noise, the hardest to pack, on six maps of 19 slices of 64 by 64."""
    shape = (19, 64, 64)
    maps = Geometry(tuple("abcdef"), ("",) * 6, 1.0, volume=shape)
    rng = np.random.default_rng(0)
    noise = {str(number): rng.normal(size=(6, *shape)) for number in range(6)}
    figure = interactive_heatmaps({"lesion": rng.random((6, *shape))}, {"lesion": noise}, geometry=maps, title="x")
    assert len(base64.b64encode(gzip.compress(figure.to_json().encode()))) < 5_000_000
