"""One cell of a figure of volumes: a slice of a map in grey, attribution laid over it, a line round a mask."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from .geometry import Floats, Geometry, Mask
from .image_cell import bare, outline
from .style import INK, SIGNED, SMALL

LINE = "#f0c808"
"""Of the line round a mask: apart from greys and from both ends of the diverging colours."""
MOST_OPAQUE = 0.9
FAINT = 0.1
"""Largest heat in a cell, as a share of the map's largest, below which the cell says how little it shows."""


def draw_grey(axes: Axes, geometry: Geometry, channel: Floats, depth: int) -> None:
    """A slice of ``channel (depth, height, width)`` in grey, dark to bright over the channel's own range.

    The range leaves out the outermost 0.5 % of the voxels, so that one bright vessel does not darken all else.
    """
    low, high = grey_range(channel)
    axes.imshow(channel[depth], cmap="gray", vmin=low, vmax=high, interpolation="nearest", aspect=geometry.voxel_aspect)
    bare(axes)


def grey_range(channel: Floats) -> tuple[float, float]:
    """The values drawn black and white: the quantiles 0.005 and 0.995 of what is known, apart at least a little."""
    known = channel[np.isfinite(channel)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.quantile(known, [0.005, 0.995]))
    return (low, high) if high > low else (low, low + 1.0)


def draw_heat(axes: Axes, geometry: Geometry, heated: Floats, *, opaque: bool = False) -> None:
    """Heat ``(height, width)`` in [0, 1] around 0.5 in diverging colours over what the cell shows.

    It is the more opaque the farther from 0.5, or ``opaque`` throughout. Heat that is NaN throughout, of a map without
    contrast, is said to be that, and where the map's largest values lie elsewhere the cell says so.
    """
    axes.imshow(coloured(heated, opaque=opaque), interpolation="nearest", aspect=geometry.voxel_aspect)
    bare(axes)
    strongest = np.nanmax(np.abs(2 * heated - 1), initial=0.0)
    if not np.isfinite(heated).any():
        _say(axes, "no contrast")
    elif strongest < FAINT:
        _say(axes, f"at most {100 * strongest:.2g} % of its peak")


def _say(axes: Axes, words: str) -> None:
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    axes.text(0.5, 0.02, words, transform=axes.transAxes, size=SMALL, color=INK, ha="center", va="bottom", bbox=box)


def coloured(heated: Floats, *, opaque: bool = False) -> NDArray[np.float64]:
    """RGBA ``(..., 4)`` of heat in [0, 1] around 0.5, as opaque as it is far from 0.5; NaN is transparent."""
    shown = np.clip(np.nan_to_num(heated, nan=0.5), 0, 1)
    colours = np.asarray(SIGNED(shown), dtype=float)
    colours[..., 3] = 1.0 if opaque else MOST_OPAQUE * np.abs(2 * shown - 1)
    return colours


def draw_line(axes: Axes, mask: Mask | None, depth: int, line: str = LINE) -> None:
    """A line round a slice of ``mask (depth, height, width)``, dark below so that it shows on bright ground too."""
    if mask is None:
        return
    for colour, width in ((INK, 2.0), (line, 1.1)):
        axes.add_collection(
            LineCollection(outline(mask[depth]), colors=colour, linewidths=width, capstyle="projecting")
        )
