"""Boxes and arrows of a diagram, on axes whose units are inches."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from .layout import WIDTH, inches
from .style import INK, MUTED, SMALL

LETTERS_PER_INCH = 13.0
"""Small letters that find room in an inch."""
NAME, WORDS = 0.19, 0.15
"""Inches of a box's name and of a line of words."""
_INSIDE = 0.07

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A frame with a name and, line by line, words; in inches from the lower left corner of the figure."""

    left: float
    bottom: float
    width: float
    height: float
    name: str
    words: str = ""

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.bottom + self.height

    @property
    def across(self) -> float:
        """The middle from left to right."""
        return self.left + self.width / 2

    @property
    def upright(self) -> float:
        """The middle from bottom to top."""
        return self.bottom + self.height / 2

    def draw(self, axes: Axes, *, edge: str = MUTED) -> None:
        """The frame, its name at the upper edge and the words below."""
        frame(axes, self.left, self.bottom, self.width, self.height, edge=edge)
        left, top = self.left + _INSIDE, self.top - _INSIDE
        axes.text(left, top, self.name, size=SMALL, color=INK, weight="bold", va="top")
        axes.text(left, top - NAME * (self.name.count("\n") + 1), self.words, size=SMALL, color=MUTED, va="top",
                  linespacing=1.25)  # fmt: skip


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure of the usual width and axes over all of it."""
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    axes = inches(figure, 0, 0, WIDTH, height)
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def frame(axes: Axes, left: float, bottom: float, width: float, height: float, *, edge: str = MUTED) -> None:
    """A rounded box without words."""
    patch = FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.06",
                           facecolor="#f4f6f8", edgecolor=edge, linewidth=0.8)  # fmt: skip
    axes.add_patch(patch)


def arrow(axes: Axes, start: Point, stop: Point, colour: str = INK) -> None:
    """A straight arrow."""
    axes.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.3,
                                               "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10})  # fmt: skip
