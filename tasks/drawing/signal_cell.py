"""One cell of a heatmap figure: a channel of a signal coloured by its attribution, with the evidence shaded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap
from matplotlib.ticker import MaxNLocator

from .geometry import Floats, Geometry, Mask, mask_of
from .heat import SHADE, heat
from .stretches import envelope, stretches, strongest
from .style import EVIDENCE, INK, MUTED, RULE, SIGNED, SMALL, tidy

MOST_POINTS = 800
"""Points of a signal that a cell draws; it has fewer pixels."""


def draw_channels(
    cells: Iterable[Axes], geometry: Geometry, signal: Floats, values: Floats, mask: Mask | None, colours: Colormap
) -> None:
    """Draws a sample into a cell per channel: each its own scale of the signal, all of them one of the heat.

    ``signal`` and ``values`` are ``(channel, time)``, ``mask`` that or ``(time,)``.
    """
    heated = heat(values, signed=colours is SIGNED)
    for channel, axes in enumerate(cells):
        paint(axes, geometry, signal[channel], heated[channel], colours)
        shade(axes, geometry, mask_of(mask, channel))
    if not np.isfinite(heated).any():
        axes.text(0.99, 0.93, "no contrast", transform=axes.transAxes, size=SMALL, color=MUTED, ha="right", va="top")


def paint(axes: Axes, geometry: Geometry, signal: Floats, heated: Floats, colours: Colormap) -> None:
    """Draws one channel: a thin line on a broad one in the colours of its heat, that heat as a strip below.

    ``signal`` (physical units) and ``heated`` ([0, 1] or NaN) are ``(time,)``. The strip keeps flat and
    steep parts of the signal equally legible.
    """
    whole, half = geometry.times(len(signal)), geometry.half_step()
    low, high = extremes(signal)
    span = (high - low) or 1.0
    bottom, strip_top = low - 0.34 * span, low - 0.14 * span
    time, signal, heated = _legible(whole, signal, heated, neutral=0.5 if colours is SIGNED else 0.0)
    points = np.column_stack([time, signal])
    middle = (heated[:-1] + heated[1:]) / 2
    colour_of = colours.with_extremes(bad=RULE)
    axes.add_collection(
        LineCollection(
            list(np.stack([points[:-1], points[1:]], axis=1)),
            colors=colour_of(np.ma.masked_invalid(middle)),
            linewidths=3.4,
            capstyle="round",
            zorder=3,
        )
    )
    axes.plot(time, signal, color=INK, linewidth=0.6, alpha=0.75, zorder=4)
    axes.imshow(
        np.ma.masked_invalid(heated)[None],
        extent=(whole[0] - half, whole[-1] + half, bottom, strip_top),
        aspect="auto",
        cmap=colour_of,
        vmin=0,
        vmax=1,
        interpolation="nearest",
        zorder=2,
    )
    axes.set_xlim(whole[0] - half, whole[-1] + half)
    axes.set_ylim(bottom, high + 0.12 * span)
    _frame(axes, geometry, low, high)


def _legible(time: Floats, signal: Floats, heated: Floats, neutral: float) -> tuple[Floats, Floats, Floats]:
    """Time, signal and heat as they are or, of more points than a cell can show, by stretches.

    A stretch becomes its least and its greatest value, both in its strongest heat.
    """
    if len(signal) <= MOST_POINTS:
        return time, signal, heated
    columns = MOST_POINTS // 2
    middles = time[stretches(len(time), columns)[:-1]]
    return (
        np.repeat(middles, 2),
        envelope(signal, columns).ravel(),
        np.repeat(strongest(heated, columns, neutral), 2),
    )


def extremes(signal: Floats) -> tuple[float, float]:
    """The lowest and the highest known value, 0 and 0 where none is known."""
    known = signal[np.isfinite(signal)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _frame(axes: Axes, geometry: Geometry, low: float, high: float) -> None:
    tidy(axes)
    mark_beat(axes, geometry)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])


def mark_beat(axes: Axes, geometry: Geometry, colour: str = RULE) -> None:
    """A hairline at time 0, where the window has its beat there."""
    if geometry.origin:
        axes.axvline(0, color=colour, linewidth=0.8, zorder=0)


def shade(axes: Axes, geometry: Geometry, mask: Mask | None) -> None:
    """Shades each run of the evidence ``(time,)`` from edge to edge of the cell."""
    if mask is not None:
        shade_runs(axes, spans(geometry, mask))


def shade_runs(axes: Axes, found: Iterable[tuple[float, float]]) -> None:
    """Shades the evidence from each start to its end."""
    for left, right in found:
        axes.axvspan(left, right, facecolor=EVIDENCE, alpha=SHADE, linewidth=0, zorder=0)
        axes.axvspan(left, right, ymin=0.975, facecolor=EVIDENCE, linewidth=0, zorder=1)


def spans(geometry: Geometry, mask: Mask) -> list[tuple[float, float]]:
    """Start and end, in the geometry's time, of each run of a mask ``(time,)``."""
    return runs(geometry.times(len(mask)), geometry.half_step(), mask)


def runs(times: Floats, half_step: float, mask: Mask) -> list[tuple[float, float]]:
    """Start and end of each run of a mask ``(time,)`` whose points lie at ``times``, from edge to edge of them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(float(times[start] - half_step), float(times[stop - 1] + half_step)) for start, stop in pairs]
