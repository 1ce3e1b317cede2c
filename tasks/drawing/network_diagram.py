"""Figures 2 and Annex 1 of Tjoa et al. (2019), drawn from the network: its layers, its skips, its filtered points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .boxes import LETTERS_PER_INCH, NAME, WORDS, Point, arrow, canvas, frame
from .layout import WIDTH
from .network_layers import Layer, kind_of, scale_of
from .style import INK, MUTED, SMALL, heading, plain, wrapped

RELEVANCE, FILTER = "#c0392b", "#0b7a4b"
"""Colours of what the paper draws red, relevance on its way down, and green, the filters."""
SCORE = "score"
"""The filtered point before any layer: the network's output."""
_HEAD, _BETWEEN = 0.24, 0.45
"""Inches of the words above a box, and between two rows of boxes."""
_TOP, _BOTTOM, _SIDE, _INSIDE = 0.75, 0.2, 0.15, 0.07
_WIDEST, _APART = 2.5, 0.4


@dataclass(frozen=True)
class _Line:
    """A layer that starts a line with those that follow it, in ``words`` broken to the width of a box."""

    layers: tuple[Layer, ...]
    words: str

    @property
    def height(self) -> float:
        return NAME + WORDS * (self.words.count("\n") + 1) + 0.02


@dataclass(frozen=True)
class _Box:
    """Layers that follow each other on one grid."""

    scale: int
    lines: tuple[_Line, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """The grid that the last of its layers gives."""
        return self.lines[-1].layers[-1].shape[1:]

    @property
    def height(self) -> float:
        return _HEAD + sum(line.height for line in self.lines) + _INSIDE


@dataclass(frozen=True)
class _Placed:
    """A box and where it stands, in inches from the lower left corner of the figure."""

    box: _Box
    left: float
    top: float
    width: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top - self.box.height

    def rows(self) -> Iterator[tuple[_Line, float]]:
        """Each line with the height of its upper edge."""
        upper = self.top - _HEAD
        for line in self.box.lines:
            yield line, upper
            upper -= line.height

    def height_of(self, name: str) -> float | None:
        """The middle of the line on which a layer stands, None where it stands in another box."""
        found = (upper - line.height / 2 for line, upper in self.rows() if _names(line, name))
        return next(found, None)


def network_diagram(layers: Sequence[Layer], *, title: str) -> Figure:
    """Boxes from left to right in the order of the forward pass, a row for every halving of the grid.

    ``layers`` as `network_layers` reads them from a network. A box is what follows each other on one grid, with a line
    per layer that mixes, joins or resizes, its norm and activation beside it, and the channels that it gives. Arrows
    between boxes are the way down and up, the long ones in a row the skips. ValueError without layers.
    """
    figure, axes, placed = _laid_out(layers)
    for box in placed:
        _draw_box(axes, box)
        for line, upper in box.rows():
            axes.text(box.right - _INSIDE, upper - 0.11, str(line.layers[-1].shape[0]), size=SMALL, color=INK,
                      va="center", ha="right")  # fmt: skip
    for start, stop in _links(placed):
        arrow(axes, start, stop, INK)
    heading(figure, title, "above a box: its grid; in it, line by line: a layer with what follows it, and its "
            "channels; across: the skips")  # fmt: skip
    return figure


def propagation_diagram(layers: Sequence[Layer], points: Sequence[str], *, title: str) -> Figure:
    """The same network with relevance on its way down in red, and in green the points where a filter acts.

    ``points`` in the order of the propagation, as `xai.methods.lrp.filter_points` names them: a layer, a layer with the
    place of one of its inputs (``cat[1]``), or ``score``; each is numbered at its layer. ValueError without layers or
    for a point that no layer has.
    """
    _require_points(layers, points)
    figure, axes, placed = _laid_out(layers)
    for box in placed:
        _draw_box(axes, box)
        for line, upper in box.rows():
            _tag(axes, box.right - _INSIDE, upper - 0.11, _tags(line, layers[-1].name, points))
    for start, stop in _links(placed):
        arrow(axes, stop, start, RELEVANCE)
    heading(figure, title, f"red: relevance on its way down; green: {len(points)} filters in their order; "
            "[n]: on what a join hands to its input n")  # fmt: skip
    return figure


def _laid_out(layers: Sequence[Layer]) -> tuple[Figure, Axes, list[_Placed]]:
    """The boxes in their places, on axes whose units are inches; what has no grid is left out."""
    layers = [layer for layer in layers if layer.shape[1:]]
    if not layers:
        raise ValueError("layers is empty; expected the layers of a network.")
    runs = _runs(layers)
    width, step = _widths(len(runs))
    boxes = [_Box(scale, tuple(_line(layers, width) for layers in lines)) for scale, lines in runs]
    scales = sorted({box.scale for box in boxes})
    heights = [max(box.height for box in boxes if box.scale == scale) for scale in scales]
    height = _TOP + sum(heights) + _BETWEEN * (len(heights) - 1) + _BOTTOM
    figure, axes = canvas(height)
    tops = {scale: height - _TOP - sum(heights[:row]) - row * _BETWEEN for row, scale in enumerate(scales)}
    placed = [_Placed(box, _SIDE + place * step, tops[box.scale], width) for place, box in enumerate(boxes)]
    return figure, axes, placed


def _runs(layers: Sequence[Layer]) -> list[tuple[int, list[list[Layer]]]]:
    """Scale and lines of each run of layers at one scale."""
    runs: list[tuple[int, list[list[Layer]]]] = []
    for layer in layers:
        scale = scale_of(layer, layers[0])
        if not runs or runs[-1][0] != scale:
            runs.append((scale, [[layer]]))
        elif layer.starts:
            runs[-1][1].append([layer])
        else:
            runs[-1][1][-1].append(layer)
    return runs


def _line(layers: Sequence[Layer], width: float) -> _Line:
    kinds = ", ".join(map(kind_of, layers))
    return _Line(tuple(layers), wrapped(kinds, int((width - 2 * _INSIDE) * LETTERS_PER_INCH)))


def _names(line: _Line, name: str) -> bool:
    return any(layer.name == name for layer in line.layers)


def _widths(boxes: int) -> tuple[float, float]:
    """Width of a box, and how far apart two begin: boxes of one row, two steps apart or more, keep their distance."""
    room = WIDTH - 2 * _SIDE
    if boxes == 1:
        return _WIDEST, 0.0
    steps = boxes - 1
    width = min(_WIDEST, (2 * room / steps - _APART) / (1 + 2 / steps))
    return width, min((room - width) / steps, 0.75 * width)


def _draw_box(axes: Axes, placed: _Placed) -> None:
    frame(axes, placed.left, placed.bottom, placed.width, placed.box.height - _HEAD + 0.03)
    grid = " × ".join(map(str, placed.box.grid))
    axes.text(placed.left + 0.02, placed.top - 0.1, grid, size=SMALL, color=MUTED, va="center")
    left = placed.left + _INSIDE
    for line, upper in placed.rows():
        axes.text(left, upper - 0.11, plain(line.layers[0].name), size=SMALL, color=INK, weight="bold", va="center")
        axes.text(left, upper - NAME - 0.01, line.words, size=SMALL, color=MUTED, va="top", linespacing=1.15)


def _links(placed: Sequence[_Placed]) -> Iterator[tuple[Point, Point]]:
    """Start and end of the arrows: from each box to the next, and from a layer to one in a later box that reads it."""
    for one, other in pairwise(placed):
        yield _onward(one, other)
    for number, other in enumerate(placed):
        for line, upper in other.rows():
            read = {name for layer in line.layers for name in layer.inputs}
            for one in placed[: max(number - 1, 0)]:
                for start in (one.height_of(name) for name in read):
                    if start is not None:
                        yield (one.right + 0.03, start), (other.left - 0.03, upper - line.height / 2)


def _onward(one: _Placed, other: _Placed) -> tuple[Point, Point]:
    """Down or up, in the middle of where both boxes stand."""
    at = (max(one.left, other.left) + min(one.right, other.right)) / 2
    if one.top > other.top:
        return (at, one.bottom - 0.03), (at, other.top)
    return (at, one.top), (at, other.bottom - 0.03)


def _require_points(layers: Sequence[Layer], points: Sequence[str]) -> None:
    known = {SCORE, *(layer.name for layer in layers)}
    unknown = [point for point in points if point.partition("[")[0] not in known]
    if unknown:
        raise ValueError(f"points names {', '.join(unknown)}; expected layers of the network or {SCORE!r}.")


def _tags(line: _Line, last: str, points: Sequence[str]) -> list[str]:
    """The filters that act on a line, by number; what the score hands down arrives at the last layer."""
    found = []
    for number, point in enumerate(points, start=1):
        name, _, place = point.partition("[")
        if _names(line, last if name == SCORE else name):
            found.append(f"{number} [{place}" if place else str(number))
    return found


def _tag(axes: Axes, right: float, height: float, tags: Sequence[str]) -> None:
    """Green labels in a row that ends at ``right``."""
    for tag in reversed(tags):
        axes.text(right - 0.02, height, tag, size=SMALL, color="white", weight="bold", va="center", ha="right",
                  bbox={"boxstyle": "round,pad=0.15", "facecolor": FILTER, "edgecolor": "none"})  # fmt: skip
        right -= 0.12 + 0.07 * len(tag)
