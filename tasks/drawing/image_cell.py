"""One cell of a figure of images: a scan-line sample as the image it is, or its heat with what matters outlined."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from .geometry import Floats, Geometry, Mask
from .heat import heat
from .style import INK, MUTED, RULE, SIGNED, SMALL

Segment = tuple[tuple[float, float], tuple[float, float]]
"""Ends ``(column, row)`` of a line, in pixels; a pixel's centre is whole."""


def draw_sample(axes: Axes, geometry: Geometry, signal: Floats) -> None:
    """The sample ``(1, time)`` as an image, white to black as ink on paper."""
    axes.imshow(geometry.picture(signal), cmap="Greys", interpolation="nearest")
    bare(axes)


def draw_heat(
    axes: Axes,
    geometry: Geometry,
    signal: Floats,
    values: Floats,
    mask: Mask | None,
    colours: Colormap,
    *,
    small: bool = False,
) -> None:
    """The heat of ``values`` ``(1, time)`` as an image, and round the evidence or else the sample's shape a line.

    In a ``small`` cell the line is a hair, so that it hides no heat.
    """
    heated = geometry.picture(heat(values, signed=colours is SIGNED))
    axes.imshow(
        np.ma.masked_invalid(heated), cmap=colours.with_extremes(bad=RULE), vmin=0, vmax=1, interpolation="nearest"
    )
    line = outline(shape_of(geometry, signal, mask))
    for colour, width in [(INK, 0.45)] if small else [("white", 2.0), (INK, 0.9)]:
        axes.add_collection(LineCollection(line, colors=colour, linewidths=width, capstyle="projecting"))
    bare(axes)
    if not np.isfinite(heated).any():
        axes.text(0.5, 0.5, "no contrast", transform=axes.transAxes, size=SMALL, color=MUTED, ha="center", va="center")


def bare(axes: Axes) -> None:
    """No ticks: rows and columns of an image need no numbers; a hairline frame shows where it ends."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(RULE)
    axes.spines[:].set_linewidth(0.7)


def shape_of(geometry: Geometry, signal: Floats, mask: Mask | None) -> Mask:
    """What a line is drawn round, ``(height, width)``: the evidence, else the pixels above half the range."""
    if mask is not None:
        return np.asarray(geometry.picture(mask), dtype=bool)
    image = geometry.picture(signal)
    low, high = np.nanmin(image), np.nanmax(image)
    return np.asarray(image > (low + high) / 2)


def outline(mask: Mask) -> list[Segment]:
    """The border of a mask ``(height, width)`` along the edges of its pixels, each straight run one segment."""
    padded = np.pad(np.asarray(mask, dtype=bool), 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    upright = padded[1:-1, 1:] != padded[1:-1, :-1]
    horizontal: list[Segment] = [((a, row), (b, row)) for row, a, b in _runs(across)]
    return horizontal + [((column, a), (column, b)) for column, a, b in _runs(upright.T)]


def _runs(border: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Of each line of the border its place and the start and end of each run, in pixels."""
    steps = np.diff(np.pad(border, ((0, 0), (1, 1))).astype(int), axis=1)
    found: list[tuple[float, float, float]] = []
    for line, step in enumerate(steps):
        ends: Any = zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1), strict=True)
        found += [(line - 0.5, float(start) - 0.5, float(stop) - 0.5) for start, stop in ends]
    return found
