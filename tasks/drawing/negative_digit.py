"""Images beside their block occlusion maps: is a map the digit or its negative?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from .geometry import Floats, Geometry, Mask
from .image_cell import draw_heat, draw_sample
from .layout import Margins, grid
from .style import HEAT, INK, MUTED, SMALL, TEXT, WIDTH, heading, plain


@dataclass(frozen=True)
class ShownDigit:
    """One image ``(1, time)`` of a class, its stroke ``(time,)``, and by name its maps ``(1, time)``, each with its
    correlation.
    """

    label: str
    signal: Floats
    stroke: Mask
    maps: Mapping[str, tuple[Floats, float]]


def negative_digit(geometry: Geometry, digits: Sequence[ShownDigit], *, title: str) -> Figure:
    """A row per image: the image, then its maps, each scaled by itself from lowest (pale) to highest (dark), the stroke
    outlined.

    ValueError where there is no image.
    """
    if not digits:
        raise ValueError("digits is empty; expected at least one image.")
    names = list(digits[0].maps)
    margins = Margins(0.6, 0.15, 1.1, 0.2, between_columns=0.12, between_rows=0.28)
    columns = len(names) + 1
    side = (WIDTH - margins.left - margins.right - (columns - 1) * margins.between_columns) / columns
    figure, axes = grid(len(digits), columns, side, margins)
    for row, digit in zip(axes, digits, strict=True):
        draw_sample(row[0], geometry, digit.signal)
        row[0].set_ylabel(plain(digit.label), rotation=0, ha="right", va="center", size=TEXT, color=INK, labelpad=8)
        for cell, (values, correlation) in zip(row[1:], digit.maps.values(), strict=True):
            draw_heat(cell, geometry, digit.signal, values, digit.stroke, HEAT, small=True)
            words = f"r = {correlation:.2f}".replace("-", "−") if np.isfinite(correlation) else "r undefined"
            cell.text(0.5, -0.03, words, transform=cell.transAxes, size=SMALL, color=MUTED, ha="center", va="top")
    for cell, name in zip(axes[0], ["image", *names], strict=True):
        cell.set_title(plain(name), size=TEXT, color=INK, pad=4)
    heading(
        figure, title, "pale = lowest, dark = highest of each map; r: correlation with the stroke, below 0: negative"
    )
    return figure
