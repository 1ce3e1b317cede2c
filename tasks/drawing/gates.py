"""Figure 1 of van der Westhuizen & Lasenby (2017), weights and cells, with the saturation of every gate below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .geometry import Floats, Geometry
from .image_cell import draw_sample
from .layout import inches
from .signal_cell import mark_beat
from .style import (
    FIRST,
    INK,
    MUTED,
    RULE,
    SECOND,
    SIGNED,
    SMALL,
    TEXT,
    WIDTH,
    heading,
    plain,
    require_columns,
    tidy,
)

SATURATION = ("network", "layer", "gate", "open", "shut")
BLOCKS = ("input gate", "forget gate", "candidate", "output gate")

_UNIT_COLOURS = (FIRST, SECOND, "#009e73", "#aa4499", "#999933", "#332288")
_LAYERS = ((FIRST, "o"), (SECOND, "^"), ("#009e73", "s"), ("#aa4499", "D"))
_TOP, _SIDE, _LEFT, _RIGHT, _BOTTOM = 1.0, 1.86, 0.62, 5.45, 0.85
"""Inches: head, side of a square of weights, left edges of weights and of curves, foot."""
_SCATTER, _BETWEEN = 2.5, 1.05

_FRESH: dict[str, Any] = {
    "color": MUTED, "marker": "o", "linestyle": "", "markersize": 9, "fillstyle": "none", "markeredgewidth": 1.1
}  # fmt: skip
"""A ring that shows where points lie under others."""


@dataclass(frozen=True)
class ShownUnits:
    """Some units of one layer over time: their ``numbers (unit,)``, ``cell`` and ``hidden (time, unit)``."""

    layer: int
    numbers: Sequence[int]
    cell: Floats
    hidden: Floats


@dataclass(frozen=True)
class LayerWeights:
    """``inputs (4 unit, feature)`` and ``hidden (4 unit, unit)`` of one layer, its gates in the order of `BLOCKS`."""

    layer: int
    inputs: Floats
    hidden: Floats


def gates_figure(
    geometry: Geometry,
    signal: Floats,
    weights: LayerWeights,
    units: ShownUnits,
    saturation: pd.DataFrame,
    *,
    title: str,
) -> Figure:
    """Weights on the left, one sample with the cells and outputs of a few units on the right, saturation below.

    ``signal (channel, time)`` in physical units. ``saturation`` has a row per unit and gate, columns network (trained,
    untrained), layer, gate and the shares of time ``open`` and ``shut``. ValueError where a column is missing.
    """
    require_columns(saturation, SATURATION, "saturation")
    signal = geometry.signal(signal)
    strip = 0.13 * max(2, min(6, weights.inputs.shape[1]))
    block = strip + 0.06 + _SIDE
    upper = 2 * block + 0.42
    figure = Figure(figsize=(WIDTH, _TOP + upper + 0.55 + _BETWEEN + _SCATTER + _BOTTOM), facecolor="white")
    top = figure.get_figheight() - _TOP
    _draw_weights(figure, weights, top, strip)
    _draw_sample_and_units(figure, geometry, signal, units, top, upper)
    _draw_saturation(figure, saturation)
    heading(figure, title, "left: weights; right: one sample, and what the units hold and put out while it is read")
    return figure


def _draw_weights(figure: Figure, weights: LayerWeights, top: float, strip: float) -> None:
    """Four blocks, a gate each: from every input (strip) and from every unit (square) to every unit."""
    units = weights.hidden.shape[1]
    scales = [_limit(weights.inputs), _limit(weights.hidden)]
    for number, name in enumerate(BLOCKS):
        row, column = divmod(number, 2)
        left, high = _LEFT + column * (_SIDE + 0.16), top - row * (strip + 0.06 + _SIDE + 0.42)
        part = slice(number * units, (number + 1) * units)
        upper = inches(figure, left, high - strip, _SIDE, strip)
        _matrix(upper, weights.inputs[part].T, scales[0])
        upper.set_title(name, size=TEXT, color=INK, loc="left", pad=3)
        square = inches(figure, left, high - strip - 0.06 - _SIDE, _SIDE, _SIDE)
        _matrix(square, weights.hidden[part].T, scales[1])
        if row == 1:
            square.set_xlabel("to unit", size=SMALL, color=INK, labelpad=3)
        if column == 0:
            upper.set_ylabel("from\ninput", size=SMALL, color=INK, labelpad=4, rotation=0, ha="right", va="center")
            square.set_ylabel("from unit", size=SMALL, color=INK, labelpad=4)
    below = top - 2 * (strip + 0.06 + _SIDE) - 0.42 - 0.62
    for number, (name, scale) in enumerate(zip(("input", "recurrent"), scales, strict=True)):
        label = f"{name} weights, layer {weights.layer}"
        _colour_bar(figure, _LEFT + number * (_SIDE + 0.16), below, scale, label)


def _limit(weights: Floats) -> float:
    """The largest magnitude but for one in a thousand: a single outlier would bleach all others."""
    return float(np.quantile(np.abs(weights), 0.999)) or 1.0


def _matrix(axes: Axes, values: Floats, limit: float) -> None:
    axes.imshow(values, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(RULE)


def _colour_bar(figure: Figure, left: float, bottom: float, limit: float, label: str) -> None:
    axes = inches(figure, left, bottom, _SIDE * 0.85, 0.1)
    scale = ScalarMappable(Normalize(-limit, limit), SIGNED)
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", extend="both")
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"{limit:.2g}"])
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=2, pad=1)
    axes.set_title(label, size=SMALL, color=INK, loc="left", pad=3)


def _draw_sample_and_units(
    figure: Figure, geometry: Geometry, signal: Floats, units: ShownUnits, top: float, upper: float
) -> None:
    """The sample, and under it on the same clock the cells and the outputs of the units."""
    gap, width = 0.42, WIDTH - _RIGHT - 0.2
    sample = 1.5 if geometry.image else min(0.55 + 0.3 * len(signal), 0.35 * upper)
    each = (upper - sample - 2 * gap) / 2
    times, label = clock(geometry, signal.shape[1])
    if geometry.image:
        image = inches(figure, _RIGHT, top - sample, sample * geometry.image[1] / geometry.image[0], sample)
        draw_sample(image, geometry, signal)
    else:
        draw_lines(inches(figure, _RIGHT, top - sample, width, sample), geometry, signal)
    cells = inches(figure, _RIGHT, top - sample - gap - each, width, each)
    outputs = inches(figure, _RIGHT, top - upper, width, each, sharex=cells)
    for axes, values, name in ((cells, units.cell, "cell c"), (outputs, units.hidden, "output h")):
        for line, number, colour in zip(values.T, units.numbers, _UNIT_COLOURS, strict=False):
            axes.plot(times, line, color=colour, linewidth=1.2, label=f"unit {number}")
        axes.axhline(0, color=RULE, linewidth=0.8, zorder=0)
        mark_beat(axes, geometry)
        tidy(axes)
        axes.set_xlim(times[0], times[-1])
        axes.set_title(f"{name} of layer {units.layer}", size=TEXT, color=INK, loc="left", pad=3)
    cells.tick_params(labelbottom=False)
    outputs.set_xlabel(plain(label), size=TEXT, color=INK)
    place = (_RIGHT / WIDTH, (top - upper - 0.72) / figure.get_figheight())
    figure.legend(
        *cells.get_legend_handles_labels(), loc="lower left", bbox_to_anchor=place, ncols=len(units.numbers),
        frameon=False, fontsize=SMALL, labelcolor=INK, handlelength=1.4, columnspacing=1.2, borderaxespad=0,
    )  # fmt: skip


def clock(geometry: Geometry, steps: int) -> tuple[Floats, str]:
    """Place of each step on the axis of time and that axis' words; an image has pixels, no time."""
    if geometry.image:
        return np.arange(1, steps + 1, dtype=float), "pixel, row by row"
    return geometry.times(steps), geometry.time_label


def draw_lines(axes: Axes, geometry: Geometry, signal: Floats) -> None:
    """A signal ``(channel, time)``: one channel in its unit, several above each other, each scaled by itself."""
    times, channels = geometry.times(signal.shape[1]), len(signal)
    if channels == 1:
        axes.plot(times, signal[0], color=INK, linewidth=1.1)
        axes.set_title(plain(geometry.channel_label(0)), size=TEXT, color=INK, loc="left", pad=3)
        axes.locator_params(axis="y", nbins=4)
    else:
        for channel, values in enumerate(signal):
            low, high = np.nanmin(values), np.nanmax(values)
            scaled = (values - low) / ((high - low) or 1.0)
            axes.plot(times, channels - 1 - channel + 0.1 + 0.75 * scaled, color=INK, linewidth=1.0)
        places = channels - 0.55 - np.arange(channels)
        axes.set_yticks(places, labels=[plain(name) for name in geometry.channels])
        axes.set_ylim(0, channels)
    tidy(axes)
    mark_beat(axes, geometry)
    axes.set_xlim(times[0], times[-1])
    axes.tick_params(labelbottom=False)
    if channels > 1:
        axes.tick_params(axis="y", length=0)


def _draw_saturation(figure: Figure, saturation: pd.DataFrame) -> None:
    """A panel per gate: each unit at its shares of time open and shut, untrained units in grey behind."""
    gates = list(dict.fromkeys(saturation["gate"]))
    width = (WIDTH - 0.75 - 0.2 - 0.3 * (len(gates) - 1)) / len(gates)
    layers = sorted(saturation["layer"].unique())
    trained = saturation["network"] == "trained"
    for number, gate in enumerate(gates):
        axes = inches(figure, 0.75 + number * (width + 0.3), _BOTTOM, width, _SCATTER)
        axes.plot([0, 1], [1, 0], color=RULE, linewidth=0.8, zorder=0)
        mine = saturation["gate"] == gate
        fresh = saturation[mine & ~trained]
        axes.plot(fresh["open"], fresh["shut"], **_FRESH, zorder=3)
        for layer, (colour, marker) in zip(layers, _LAYERS, strict=False):
            part = saturation[mine & trained & (saturation["layer"] == layer)]
            axes.plot(
                part["open"], part["shut"], marker, color=colour, markersize=4.5, alpha=0.6, markeredgewidth=0, zorder=2
            )
        tidy(axes)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_title(f"{gate} gate", size=TEXT, color=INK, loc="left", pad=4)
        axes.set_xlabel("share of time open (> 0.9)", size=TEXT, color=INK)
        axes.tick_params(labelleft=number == 0)
        if number == 0:
            axes.set_ylabel("share of time shut (< 0.1)", size=TEXT, color=INK)
    _saturation_key(figure, layers)


def _saturation_key(figure: Figure, layers: Sequence[int]) -> None:
    several = len(layers) > 1
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5, markeredgewidth=0,
               label=f"unit of layer {layer}, trained" if several else "unit, trained")
        for layer, (colour, marker) in zip(layers, _LAYERS, strict=False)
    ]  # fmt: skip
    keys.append(Line2D([], [], **_FRESH, label="unit, untrained (many lie on each other)"))
    figure.legend(
        handles=keys, loc="lower center", ncols=len(keys), frameon=False, fontsize=SMALL, labelcolor=INK,
        bbox_to_anchor=(0.5, 0.04 / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip
