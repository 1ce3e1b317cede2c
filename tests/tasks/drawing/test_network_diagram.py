"""The diagrams show the network that they were given: its layers, shapes, skips and filtered points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from models.unet import UNet3d
from tasks.drawing.network_diagram import network_diagram, propagation_diagram
from tasks.drawing.network_layers import Layer, network_layers, scale_of
from tests.tasks.drawing.readable import assert_readable

POINTS = ("score", "out", "cat[1]", "cat[0]", "ups.0", "encoders.1.0", "encoders.0.0")


def layers(levels: int = 2, size: tuple[int, int, int] = (5, 8, 8), **settings: object) -> tuple[Layer, ...]:
    model = UNet3d(6, 2, width=2, levels=levels, **settings)  # type: ignore[arg-type]
    return network_layers(model, torch.zeros(1, 6, *size))


def plain_net() -> tuple[Layer, ...]:
    return network_layers(nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU()), torch.zeros(1, 2, 10))


FIGURES: dict[str, Callable[[], Figure]] = {
    "2 levels": lambda: network_diagram(layers(), title="T"),
    "4 levels, odd sizes": lambda: network_diagram(layers(4, (19, 24, 26), head="paper"), title="T"),
    "6 levels": lambda: network_diagram(layers(6, (32, 32, 32)), title="T"),
    "no levels": lambda: network_diagram(plain_net(), title="T"),
    "propagation": lambda: propagation_diagram(layers(head="paper"), POINTS, title="T"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    assert_readable(FIGURES[name]())


def test_layers_are_read_from_the_network_with_their_shapes_and_inputs() -> None:
    found = {layer.name: layer for layer in layers(head="paper")}
    assert found["inputs"] == Layer("inputs", "input", (6, 5, 8, 8))
    assert found["encoders.0.3"].shape == (4, 5, 8, 8)
    assert found["pools.0"].shape == (4, 3, 4, 4)
    assert found["ups.0"].shape == (8, 6, 8, 8), "before it is cropped"
    assert found["cat"].inputs[0] == "encoders.0.5"
    assert found["cat"].shape == (12, 5, 8, 8)
    assert found["out_activation"].inputs == ("out_norm",)
    assert "out_norm" not in {layer.name for layer in layers()}, "nothing is done there"


def test_a_step_that_does_nothing_is_skipped_over() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 1), nn.Identity(), nn.ReLU())
    assert [(layer.name, layer.inputs) for layer in network_layers(model, torch.zeros(1, 1, 4))] == [
        ("input", ()), ("0", ("input",)), ("2", ("0",))
    ]  # fmt: skip


def test_reading_a_network_leaves_it_as_it_was() -> None:
    model = UNet3d(1, 2, width=2, levels=2).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network_layers(model, torch.ones(1, 1, 4, 4, 4))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("grid", "scale"), [((45,), 0), ((46,), 0), ((23,), 1), ((24,), 1), ((12,), 2), ((6,), 3)])
def test_scales_are_halvings_however_they_were_rounded(grid: tuple[int, ...], scale: int) -> None:
    assert scale_of(Layer("a", "conv", (1, *grid)), Layer("b", "input", (1, 45))) == scale


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def arrows(figure: Figure) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Start and end of every arrow."""
    return [(text.xyann, text.xy) for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_there_are_a_box_per_level_down_and_up_and_all_arrows(levels: int) -> None:
    figure = network_diagram(layers(levels, (16, 16, 16)), title="T")
    found = boxes(figure)
    assert len(found) == 2 * levels - 1
    assert len(arrows(figure)) == 2 * (levels - 1) + (levels - 1)
    tops = [round(box.get_y() + box.get_height(), 6) for box in found]
    assert tops == tops[::-1], "the way up mirrors the way down"
    assert sorted(tops[:levels], reverse=True) == tops[:levels]
    across = [(start, stop) for start, stop in arrows(figure) if start[0] != stop[0]]
    assert len(across) == levels - 1
    assert all(start[0] < stop[0] for start, stop in across)


def test_channels_grids_and_kinds_are_written() -> None:
    found = words(network_diagram(layers(head="paper"), title="T"))
    assert {"5 × 8 × 8", "3 × 4 × 4", "encoders.0.0", "cat", "12", "Conv, BatchNorm, ReLU"} <= set(found)


def test_every_filter_is_numbered_at_its_layer_and_relevance_runs_backwards() -> None:
    figure = propagation_diagram(layers(head="paper"), POINTS, title="T")
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert {"1", "2", "3 [1]", "4 [0]", "5", "6", "7"} <= set(heights)
    for tag, layer in (("3 [1]", "cat"), ("4 [0]", "cat"), ("5", "ups.0"), ("6", "encoders.1.0"), ("1", "out")):
        assert heights[tag] == pytest.approx(heights[layer]), tag
    across = [(start, stop) for start, stop in arrows(figure) if start[0] != stop[0]]
    assert all(start[0] > stop[0] for start, stop in across)


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"points names decoders\.9; expected layers"):
        propagation_diagram(layers(), ["score", "decoders.9"], title="T")
    with pytest.raises(ValueError, match="layers is empty"):
        network_diagram([], title="T")


def test_functions_have_the_name_of_their_node() -> None:
    class Sum(nn.Module):
        def forward(self, signal: Tensor) -> Tensor:
            return torch.relu(signal) + signal

    assert [layer.kind for layer in network_layers(Sum(), torch.zeros(1, 1, 4))] == ["input", "relu", "add"]
