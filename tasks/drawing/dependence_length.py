"""How far back networks look, and the best occlusion width against it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from .geometry import Floats
from .layout import inches
from .style import FIRST, INK, MUTED, RULE, SECOND, SMALL, TEXT, UNDECIDED, WIDTH, heading, require_columns, tidy

COLUMNS = ("forget_bias", "length", "width", "at_edge")
_HEIGHT = 4.6


def dependence_length(
    curves: Mapping[float, Floats], points: pd.DataFrame, *, share: float, note: str, title: str
) -> Figure:
    """Left: gradient relative to its peak against the lag by network; right: best width against length.

    ``curves`` are ``(lag,)`` by the shift of the forget gate's bias; ``points`` has the columns forget_bias, length
    and width (steps; points of unknown length are not drawn) and at_edge. ``note`` is the slope in words.
    ValueError where a column is missing.
    """
    require_columns(points, COLUMNS, "points")
    figure = Figure(figsize=(WIDTH, _HEIGHT), facecolor="white")
    left = inches(figure, 0.75, 0.95, 4.0, _HEIGHT - 1.75)
    right = inches(figure, 5.7, 0.95, 4.1, _HEIGHT - 1.75)
    _draw_curves(left, curves, share)
    _draw_points(right, points)
    handles, labels = (
        a + b for a, b in zip(*(axes.get_legend_handles_labels() for axes in (left, right)), strict=True)
    )
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=SMALL, handlelength=1.6)
    heading(figure, title, note)
    return figure


def _colour(shift: float) -> str:
    return INK if shift == 0 else FIRST if shift < 0 else SECOND


def _name(shift: float) -> str:
    return (
        "as trained"
        if shift == 0
        else f"forgets {'sooner' if shift < 0 else 'later'} (bias {shift:+g})".replace("-", "−")
    )


def _draw_curves(axes: Axes, curves: Mapping[float, Floats], share: float) -> None:
    lowest = share / 10
    for shift, curve in curves.items():
        shown = np.where(curve < lowest, np.nan, curve)
        axes.plot(np.arange(len(curve)), shown, color=_colour(shift), linewidth=1.7, label=_name(shift))
    axes.axhline(share, color=MUTED, linewidth=1, linestyle=(0, (5, 2)), zorder=1)
    axes.set_yscale("log")
    axes.set_ylim(lowest, 1.2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("lag (steps)", size=TEXT, color=INK)
    axes.set_ylabel("mean absolute gradient / its peak", size=TEXT, color=INK)
    tidy(axes, grid="y")


def _draw_points(axes: Axes, points: pd.DataFrame) -> None:
    known = points[np.isfinite(points["length"]) & np.isfinite(points["width"])]
    for shift, part in known.groupby("forget_bias"):
        colour = _colour(float(str(shift)))
        face = np.where(part["at_edge"], "white", colour)
        axes.scatter(part["length"], part["width"], s=26, color=face, edgecolors=colour, linewidths=1.1, zorder=3)
    _draw_fit(axes, known)
    axes.set_xlabel("dependence length (steps)", size=TEXT, color=INK)
    axes.set_ylabel("best occlusion width (steps)", size=TEXT, color=INK)
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    tidy(axes)
    if known.empty:
        axes.text(0.5, 0.5, "no length is known", transform=axes.transAxes, size=TEXT, color=MUTED, ha="center")


def _draw_fit(axes: Axes, known: pd.DataFrame) -> None:
    """The fitted line, and beside it in grey the proportion that the paper claims, through the same centre."""
    x, y = np.log(known["length"].to_numpy(dtype=float)), np.log(known["width"].to_numpy(dtype=float))
    if len(x) < 2 or np.ptp(x) == 0:
        return
    slope, height = np.polyfit(x - x.mean(), y, 1)
    ends = np.array([x.min(), x.max()])
    proportion = np.exp(height + ends - x.mean())
    axes.plot(np.exp(ends), proportion, color=RULE, linewidth=1.5, zorder=1, label="in proportion")
    axes.plot(
        np.exp(ends),
        np.exp(height + slope * (ends - x.mean())),
        color=UNDECIDED,
        linewidth=1.7,
        zorder=2,
        label="fitted",
    )
    axes.set_ylim(min(known["width"].min() / 1.4, 1), known["width"].max() * 1.4)
