"""The schemas of class activation maps and learned masks show the numbers of the network that they were given."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from tasks.drawing.method_schemas import cam_schema, mask_schema
from tasks.drawing.network_diagram import network_diagram
from tasks.drawing.network_layers import Layer, network_layers
from tasks.drawing.network_stages import merged, stages
from tests.tasks.drawing.readable import assert_readable


class Unit(nn.Module):
    """Two branches that halve the time, added."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm1d(entering), nn.Conv1d(entering, leaving, 3, padding=1), nn.MaxPool1d(2))
        self.shortcut = nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(entering, leaving, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.body(inputs) + self.shortcut(inputs)


class SmallCAM(nn.Module):
    """Of the shape of the network whose class activation maps are shown."""

    def __init__(self, width: int = 4, depth: int = 4, margin: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.padding = nn.ZeroPad1d(margin)
        self.stem = nn.Sequential(nn.Conv1d(1, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU())
        widths = [width] * depth + [2 * width]
        self.units = nn.Sequential(*(Unit(one, other) for one, other in pairwise(widths)))
        self.norm = nn.BatchNorm1d(widths[-1])
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.norm(self.units(self.stem(self.padding(inputs)))).mean(2))


class SmallLSTM(nn.Module):
    """Of the shape of the network whose masks are shown: steps of 6 points, the last output, a perceptron."""

    def __init__(self, units: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, units, layers, batch_first=True)
        self.head = nn.Sequential(nn.Linear(units, 7), nn.ReLU(), nn.Linear(7, 5))

    def forward(self, inputs: Tensor) -> Tensor:
        steps = inputs.unflatten(2, (-1, 6)).transpose(1, 2).flatten(2)
        return self.head(self.lstm(steps)[0][:, -1])


def cam_layers(points: int = 240, **settings: int) -> tuple[Layer, ...]:
    return network_layers(SmallCAM(**settings), torch.zeros(1, 1, points))


def lstm_layers(**settings: int) -> tuple[Layer, ...]:
    return network_layers(SmallLSTM(**settings), torch.zeros(1, 1, 60))


def mask(layers: tuple[Layer, ...], restarts: int = 3) -> Figure:
    return mask_schema(layers, sparsity=1, smoothness=0.25, steps=50, restarts=restarts, title="T")


FIGURES: dict[str, Callable[[], Figure]] = {
    "cam": lambda: cam_schema(cam_layers(), title="T"),
    "cam, 1 unit": lambda: cam_schema(cam_layers(depth=1, margin=0), title="T"),
    "cam, 6 units": lambda: cam_schema(cam_layers(points=624, depth=6), title="T"),
    "cam, 1024 maps": lambda: cam_schema(cam_layers(width=512, depth=3), title="T"),
    "mask": lambda: mask(lstm_layers()),
    "mask of the CNN": lambda: mask(cam_layers(), restarts=1),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_inside_readable_and_apart(name: str) -> None:
    assert_readable(FIGURES[name]())


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def arrows(figure: Figure) -> int:
    return sum(getattr(text, "arrow_patch", None) is not None for text in figure.axes[0].texts)


def test_parts_of_a_network_are_gathered_with_their_shapes() -> None:
    assert [(part.name, part.kinds, part.shapes) for part in stages(cam_layers(depth=2))] == [
        ("inputs", "input", "1 × 240"),
        ("padding", "ZeroPad", "1 × 256"),
        ("stem", "Conv", "4 × 256"),
        ("units.0", "2×Conv, 2×MaxPool, add", "4 × 256 → 4 × 128"),
        ("units.1", "2×Conv, 2×MaxPool, add", "4 × 128 → 8 × 64"),
        ("mean", "mean", "8"),
        ("classifier", "Linear", "5"),
    ]
    assert [(part.name, part.kinds, part.shapes) for part in stages(lstm_layers())] == [
        ("inputs", "input", "1 × 60"),
        ("reshape", "unflatten, transpose, flatten", "1 × 10 × 6 → 10 × 6"),
        ("lstm", "2-layer LSTM", "10 × 3 → 3"),
        ("head", "2×Linear", "7 → 5"),
    ]


def test_no_layer_is_lost_by_gathering_or_merging() -> None:
    layers = cam_layers()
    parts = stages(layers)
    assert tuple(layer for part in parts for layer in part.layers) == layers
    assert tuple(layer for part in merged(parts) for layer in part.layers) == layers
    assert [part.name for part in merged(parts)] == [
        "inputs", "padding", "stem", "units.0–3", "mean", "classifier"
    ]  # fmt: skip


def test_an_lstm_is_one_layer_that_reads_what_came_before() -> None:
    found = {layer.kind: layer for layer in lstm_layers(layers=1)}
    assert found["1-layer LSTM"] == Layer("lstm", "1-layer LSTM", (10, 3), ("flatten",))
    assert found["crop"].inputs == ("lstm",)


def test_the_map_has_the_numbers_of_the_network() -> None:
    found = words(cam_schema(cam_layers(), title="T"))
    assert {"8 × 16", "of a class:\n8", "weights\n× maps"} <= set(found)
    assert "16 columns → 240 points by linear\ninterpolation; 16 padded points cropped" in found
    assert any(word.endswith("\n16 columns") and "w_k^c" in word for word in found)
    narrower = words(cam_schema(cam_layers(width=2, depth=2, margin=0), title="T"))
    assert {"4 × 60", "of a class:\n4", "60 columns → 240 points by linear\ninterpolation"} <= set(narrower)


@pytest.mark.parametrize("depth", [1, 4])
def test_every_part_is_joined_to_the_next_and_the_map_to_its_sources(depth: int) -> None:
    assert arrows(cam_schema(cam_layers(depth=depth), title="T")) == (depth + 5 - 1) + 6


def test_a_mask_shows_its_sources_the_network_and_three_terms() -> None:
    figure = mask(lstm_layers())
    found = words(figure)
    assert {"baseline k", "signal x", "mask m", "moved signal", "reshape", "lstm", "head"} <= set(found)
    assert "in [0, 1], learned:\n1 × 60" in found
    assert "2-layer LSTM\n10 × 3\n→ 3" in found
    (objective,) = [word for word in found if word.startswith("objective")]
    assert all(term in objective for term in ("1\\cdot\\overline{|m|}", "0.25\\cdot TV(m)", "p_c(\\varphi)"))
    assert any("50 steps of descent on m from each of 3 beginnings" in word for word in found)
    assert not any("beginnings" in word for word in words(mask(lstm_layers(), restarts=1)))
    assert arrows(figure) == 3 + 3 + 3


def test_a_network_that_ends_otherwise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layers end in \[.*'2×Linear'\]; expected maps \(channel, column\)"):
        cam_schema(lstm_layers(), title="T")
    convolution = network_layers(nn.Conv1d(1, 2, 1), torch.zeros(1, 1, 8))
    with pytest.raises(ValueError, match="end without scores of classes"):
        mask(convolution)
    with pytest.raises(ValueError, match="end without scores of classes"):
        mask(())


def test_the_diagram_of_a_network_leaves_out_what_has_no_grid() -> None:
    found = words(network_diagram(cam_layers(), title="T"))
    assert "stem.0" in found
    assert "classifier" not in found
