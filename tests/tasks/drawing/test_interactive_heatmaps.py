"""The figures to explore hold the same numbers as the still ones, for every choice, in few bytes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks.drawing import Geometry, interactive_heatmaps
from tasks.drawing.interactive import rounded

VITALS = Geometry(("ECG", "ABP"), ("mV", "mmHg"), 50.0)
SCAN = Geometry(("intensity",), ("intensity",), 1.0, image=(3, 4))
NAMES = ["gradient", "occlusion_w5", "occlusion_w5-paper"]


def maps(channels: int, steps: int, labels: list[str]) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return {
        label: {
            name: rng.normal(size=(channels, steps)) if name == "gradient" else rng.random((channels, steps))
            for name in NAMES
        }
        for label in labels
    }


def signals(channels: int, steps: int, labels: list[str]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {label: rng.normal(size=(channels, steps)) + 5 for label in labels}


def choose(figure: Any, name: str) -> list[dict[str, Any]]:
    """The traces as the browser has them after the button of an explainer was pressed."""
    (button,) = [each for each in figure.layout.updatemenus[0].buttons if each.label.split(" ")[0] == name]
    restyle, _, traces = button.args
    state: list[dict[str, Any]] = [{} for _ in traces]
    for key, values in restyle.items():
        for place, _ in enumerate(traces):
            state[place][key] = values[place % len(values)]
    return state


def test_every_channel_is_a_panel_with_its_values_and_one_scale_of_heat() -> None:
    shown = maps(2, 30, ["high", "low"])
    figure = interactive_heatmaps(signals(2, 30, ["high", "low"]), shown, geometry=VITALS, title="vitals")
    points = [trace for trace in figure.data if trace.type == "scatter" and trace.hovertemplate]
    assert len(points) == 4
    np.testing.assert_allclose(points[0].x, VITALS.times(30), rtol=1e-4)
    np.testing.assert_allclose(points[3].y, signals(2, 30, ["high", "low"])["low"][1], rtol=1e-3)
    assert "ABP: %{y:.3~g} mmHg" in points[3].hovertemplate
    assert "time: %{x:.4~g} s" in points[3].hovertemplate
    gradient, occlusion = choose(figure, "gradient"), choose(figure, "occlusion_w5")
    for place, (label, channel) in enumerate([("high", 0), ("high", 1), ("low", 0), ("low", 1)]):
        np.testing.assert_allclose(gradient[2 * place]["marker.color"], shown[label]["gradient"][channel], rtol=5e-3)
        np.testing.assert_allclose(gradient[2 * place + 1]["z"], [shown[label]["gradient"][channel]], rtol=5e-3)
        most = np.abs(shown[label]["gradient"]).max()
        assert (gradient[2 * place]["marker.cmin"], gradient[2 * place]["marker.cmax"]) == (-most, most)
        ends = shown[label]["occlusion_w5"].min(), shown[label]["occlusion_w5"].max()
        assert (occlusion[2 * place + 1]["zmin"], occlusion[2 * place + 1]["zmax"]) == ends


def test_the_first_explainer_is_shown_before_anyone_chooses() -> None:
    shown = maps(2, 30, ["high"])
    figure = interactive_heatmaps(signals(2, 30, ["high"]), shown, geometry=VITALS, title="vitals")
    points = [trace for trace in figure.data if trace.type == "scatter" and trace.hovertemplate]
    np.testing.assert_allclose(points[1].marker.color, shown["high"]["gradient"][1], rtol=5e-3)
    assert figure.layout.coloraxis.colorbar.title.text.startswith("signed")
    strips = [trace for trace in figure.data if trace.type == "heatmap"]
    np.testing.assert_allclose(strips[0].z, shown["high"]["gradient"][[0]], rtol=5e-3)


def test_images_are_images_with_row_column_intensity_and_attribution() -> None:
    labels = [str(number) for number in range(7)]
    shown, seen = maps(1, 12, labels), signals(1, 12, labels)
    figure = interactive_heatmaps(seen, shown, geometry=SCAN, title="digits", low_is_important=[NAMES[2]])
    heated = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len(heated) == 7
    np.testing.assert_allclose(heated[6].customdata, seen["6"].reshape(3, 4), rtol=5e-3)
    np.testing.assert_allclose(choose(figure, NAMES[1])[6]["z"], shown["6"][NAMES[1]].reshape(3, 4), rtol=5e-3)
    assert "row %{y}, column %{x}" in heated[0].hovertemplate
    assert figure.layout.yaxis7.scaleanchor == "x7", "pixels are square"
    assert figure.layout.yaxis.autorange == "reversed", "row 0 is on top"
    paper = figure.layout.updatemenus[0].buttons[2]
    assert paper.label == "occlusion_w5-paper (low = important)"
    assert "1 = least important" in paper.args[1]["coloraxis.colorbar.title.text"]


def test_evidence_is_shaded_in_its_channel() -> None:
    mask = np.zeros((2, 30), dtype=bool)
    mask[1, 10:20] = True
    figure = interactive_heatmaps(
        signals(2, 30, ["a"]), maps(2, 30, ["a"]), geometry=VITALS, title="x", evidence={"a": mask}
    )
    (shade,) = figure.layout.shapes
    assert (shade.x0, shade.x1) == pytest.approx((0.19, 0.39))
    assert shade.yref == "y2 domain"


def test_a_constant_map_has_no_contrast() -> None:
    flat = {"a": {"gradient": np.full((1, 12), -2.0), "occlusion_w5": np.zeros((1, 12))}}
    figure = interactive_heatmaps(signals(1, 12, ["a"]), flat, geometry=SCAN, title="x")
    gradient, occlusion = choose(figure, "gradient")[0], choose(figure, "occlusion_w5")[0]
    assert (gradient["zmin"] + gradient["zmax"]) / 2 == -2, "the neutral middle"
    assert occlusion["zmin"] == 0, "the pale end"


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    nasty = "V <a href='https://example.org'>1</a> & 2"
    figure = interactive_heatmaps(signals(2, 9, [nasty]), maps(2, 9, [nasty]), geometry=VITALS, title=nasty)
    shown = "V &lt;a href='https://example.org'&gt;1&lt;/a&gt; &amp; 2"
    assert shown in figure.layout.annotations[0].text
    assert figure.layout.title.text == shown
    assert shown in next(trace for trace in figure.data if trace.hovertemplate).hovertemplate


def test_a_missing_map_is_named() -> None:
    lacking = maps(2, 9, ["a", "b"])
    del lacking["b"]["gradient"]
    with pytest.raises(ValueError, match="attributions of 'b' lack 'gradient'"):
        interactive_heatmaps(signals(2, 9, ["a", "b"]), lacking, geometry=VITALS, title="x")


@pytest.mark.parametrize(
    ("geometry", "labels", "steps"),
    [
        (Geometry(("MLII",), ("mV",), 360.0, 108), 5, 216),
        (Geometry(("ECG", "ABP", "SpO2"), ("mV", "mmHg", "%"), 125.0), 3, 216),
        (Geometry(("intensity",), ("intensity",), 1.0, image=(28, 28)), 10, 784),
    ],
)
def test_packed_it_is_small(geometry: Geometry, labels: int, steps: int) -> None:
    """Twelve explainers of noise, the hardest to pack, that covers a third of the sample."""
    rng, channels = np.random.default_rng(0), len(geometry.channels)
    names = [str(number) for number in range(labels)]
    noise = {
        name: {f"occlusion_w{width}": rng.random((channels, steps)) * (rng.random((channels, steps)) < 0.35)
               for width in range(1, 13)}
        for name in names
    }  # fmt: skip
    figure = interactive_heatmaps(signals(channels, steps, names), noise, geometry=geometry, title="x")
    assert len(base64.b64encode(gzip.compress(figure.to_json().encode()))) < 300_000


@given(hnp.arrays(float, (2, 5), elements=st.floats(-1e6, 1e6)), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_rounding_keeps_so_many_digits_and_the_shape(values: np.ndarray, digits: int) -> None:
    found = rounded(values, digits)
    assert json.loads(json.dumps(found)) == found
    np.testing.assert_allclose(found, values, rtol=0.51 * 10.0 ** (1 - digits))


def test_what_is_not_finite_is_no_number() -> None:
    assert rounded(np.array([[1.23456, np.nan], [np.inf, 0.0]])) == [[1.23, None], [None, 0.0]]
