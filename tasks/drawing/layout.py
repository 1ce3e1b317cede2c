"""Grids measured in inches: the text keeps its size however many rows a figure has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import WIDTH

AxesGrid = np.ndarray[tuple[int, int], np.dtype[Any]]
"""``(row, column)`` of Axes."""
BandedAxes = np.ndarray[tuple[int, int, int], np.dtype[Any]]
"""``(band, row, column)`` of Axes."""


@dataclass(frozen=True)
class Margins:
    """Inches around the grid and between its cells."""

    left: float
    right: float
    top: float
    bottom: float
    between_columns: float = 0.1
    between_rows: float = 0.1


def grid(rows: int, columns: int, row_height: float, margins: Margins) -> tuple[Figure, AxesGrid]:
    """A figure 10 inches wide and as high as its rows need, with axes ``(row, column)``.

    Axes of a column share their x axis, those of a row their y axis; only the outer ones are labelled.
    """
    figure, bands = banded_grid(1, [row_height] * rows, columns, 0, margins)
    return figure, bands[0]


def banded_grid(
    bands: int,
    heights: Sequence[float],
    columns: int,
    gap: float,
    margins: Margins,
    *,
    between: Sequence[float] | None = None,
) -> tuple[Figure, BandedAxes]:
    """Grids of the same shape under each other, ``gap`` inches apart: axes ``(band, row, column)``.

    ``heights`` are those of a band's rows in inches, ``between`` the inches under each row but the last
    (default: the margins' ``between_rows``). Sharing as in :func:`grid`, band by band.
    """
    inner_width = WIDTH - margins.left - margins.right
    width = (inner_width - (columns - 1) * margins.between_columns) / columns
    under = list(between or [margins.between_rows] * len(heights))[: len(heights) - 1]
    band_height = sum(heights) + sum(under)
    height = bands * band_height + (bands - 1) * gap + margins.top + margins.bottom
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    axes = np.empty((bands, len(heights), columns), dtype=object)
    for band, row, column in np.ndindex(axes.shape):
        above = band * (band_height + gap) + sum(heights[:row]) + sum(under[:row])
        corner = (
            margins.left + column * (width + margins.between_columns),
            height - margins.top - above - heights[row],
        )
        shared: dict[str, Any] = {
            "sharex": axes[band, 0, column] if row else None,
            "sharey": axes[band, row, 0] if column else None,
        }
        cell = inches(figure, *corner, width, heights[row], **shared)
        cell.tick_params(labelbottom=row == len(heights) - 1, labelleft=column == 0)
        axes[band, row, column] = cell
    return figure, axes


def in_bands(names: Sequence[str], columns: int) -> list[list[str]]:
    """The names dealt, in order, to as few bands of at most so many columns as hold them, evenly filled."""
    return [list(map(str, band)) for band in np.array_split(list(names), -(-len(names) // columns))]


def inches(figure: Figure, left: float, bottom: float, width: float, height: float, **shared: Any) -> Axes:
    """Axes at a place given in inches from the figure's lower left corner."""
    whole_width, whole_height = figure.get_size_inches()
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    return figure.add_axes(place, **shared)
