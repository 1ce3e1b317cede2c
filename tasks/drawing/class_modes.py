"""Figure 6 of van der Westhuizen & Lasenby (2017): what a network holds for the purest example of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .geometry import Floats, Geometry
from .layout import Margins, banded_grid, inches
from .style import FIRST, INK, MUTED, RULE, SIGNED, SMALL, TEXT, WIDTH, heading, plain, tidy, wrapped

_IMAGES_PER_ROW = 10
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.55, 0.15, 0.95, 0.45
_BETWEEN = 0.5


@dataclass(frozen=True)
class ShownModes:
    """The modes of one class by setting, and a real window to hold against them; all in normalised units.

    ``modes``: setting to ``(start, channel, time)``, the best first. ``notes``: setting to a line on its best mode.
    ``real (channel, time)`` is the real window nearest to the best mode of the last setting, of the class
    ``real_class``.
    """

    modes: Mapping[str, Floats]
    notes: Mapping[str, str]
    real: Floats
    real_class: str


def class_modes(geometry: Geometry, shown: Mapping[str, ShownModes], *, title: str) -> Figure:
    """A row per class and channel: its modes, the best thick, by setting; beside them the nearest real window.

    Each cell has its own scale. Scan lines are drawn as images, a column per class. ValueError where there are no
    classes.
    """
    if not shown:
        raise ValueError("shown is empty; expected at least one class.")
    return _images(geometry, shown, title) if geometry.image else _signals(geometry, shown, title)


def _signals(geometry: Geometry, shown: Mapping[str, ShownModes], title: str) -> Figure:
    channels = len(geometry.channels)
    height, between = 0.9 / channels**0.5, 0.28
    rows = len(shown) * channels
    figure = Figure(figsize=(WIDTH, _TOP + rows * (height + between) + _BOTTOM), facecolor="white")
    for number, (label, modes) in enumerate(shown.items()):
        for channel in range(channels):
            row = number * channels + channel
            bottom = _BOTTOM + (rows - 1 - row) * (height + between) + 0.15
            cells = _row(figure, len(modes.modes) + 1, bottom, height)
            _draw_row(cells, geometry, modes, channel, first=channel == 0)
            middle = (bottom + height / 2) / figure.get_figheight()
            name = label if channels == 1 else f"{label}: {geometry.channels[channel]}"
            figure.text(0.12 / WIDTH, middle, wrapped(name, 14), size=TEXT, color=INK, va="center")
            for cell in cells:
                cell.tick_params(labelbottom=row == rows - 1)
    settings = list(next(iter(shown.values())).modes)
    _name_columns(figure, [*settings, "nearest real window"])
    figure.supxlabel(geometry.time_label, size=TEXT, color=INK, y=0.1 / figure.get_figheight())
    heading(figure, title, "normalised units, each cell on its own scale; thick: best of the starts, thin: the others")
    return figure


def _row(figure: Figure, columns: int, bottom: float, height: float) -> list[Axes]:
    width = _column_width(columns)
    return [inches(figure, _LEFT + k * (width + _BETWEEN), bottom, width, height) for k in range(columns)]


def _column_width(columns: int) -> float:
    return (WIDTH - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns


def _name_columns(figure: Figure, names: Sequence[str]) -> None:
    width = _column_width(len(names))
    for column, name in enumerate(names):
        left = (_LEFT + column * (width + _BETWEEN)) / WIDTH
        place = 1 - 0.7 / figure.get_figheight()
        figure.text(left, place, plain(name), size=TEXT, weight="bold", color=INK, va="center")


def _draw_row(cells: Sequence[Axes], geometry: Geometry, modes: ShownModes, channel: int, *, first: bool) -> None:
    times = geometry.times(modes.real.shape[1])
    for cell, (setting, found) in zip(cells, modes.modes.items(), strict=False):
        for start in found[:0:-1]:
            cell.plot(times, start[channel], color=MUTED, linewidth=0.6, alpha=0.7)
        cell.plot(times, found[0][channel], color=FIRST, linewidth=1.5)
        if first:
            _note(cell, modes.notes[setting])
    cells[-1].plot(times, modes.real[channel], color=INK, linewidth=1.2)
    if first:
        _note(cells[-1], modes.real_class)
    for cell in cells:
        tidy(cell)
        cell.axhline(0, color=RULE, linewidth=0.6, zorder=0)
        cell.set_xlim(times[0], times[-1])
        cell.yaxis.set_major_locator(MaxNLocator(3))
        cell.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _note(axes: Axes, text: str) -> None:
    axes.set_title(plain(text), size=SMALL, color=MUTED, loc="left", pad=2)


def _images(geometry: Geometry, shown: Mapping[str, ShownModes], title: str) -> Figure:
    columns = min(len(shown), _IMAGES_PER_ROW)
    bands = -(-len(shown) // columns)
    settings = {name: len(found) for name, found in next(iter(shown.values())).modes.items()}
    names = [f"{name}, {f'start {k + 1}' if k else 'best'}" for name, count in settings.items() for k in range(count)]
    margins = Margins(1.45, 0.15, 0.95, 0.15, between_columns=0.06, between_rows=0.06)
    side = min(1.1, (WIDTH - margins.left - margins.right) / columns - margins.between_columns)
    figure, axes = banded_grid(bands, [side] * (len(names) + 1), columns, 0.45, margins)
    for cell in axes.flat:
        cell.set_axis_off()
    for number, (label, modes) in enumerate(shown.items()):
        band, column = divmod(number, columns)
        cells = axes[band, :, column]
        cells[0].set_title(plain(label), size=TEXT, color=INK, pad=4)
        for cell, mode in zip(cells, [start for found in modes.modes.values() for start in found], strict=False):
            reach = float(np.abs(mode).max()) or 1.0
            cell.imshow(geometry.picture(mode), cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
        cells[-1].imshow(geometry.picture(modes.real), cmap="gray_r", interpolation="nearest")
    for band_axes in axes:
        for cell, name in zip(band_axes[:, 0], [*names, "nearest real image"], strict=True):
            cell.text(
                -0.12, 0.5, wrapped(name, 16), transform=cell.transAxes, size=SMALL, color=INK, ha="right", va="center"
            )
    heading(figure, title, "each mode on its own scale around zero: blue below, red above, in normalised units")
    return figure
