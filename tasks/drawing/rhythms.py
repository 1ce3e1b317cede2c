"""Figure 3 of Vijayarangan et al. (2020): windows of each rhythm as dots in the colours of their saliency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .geometry import Floats, Mask
from .heat import footer, heat
from .layout import WIDTH, inches
from .signal_cell import extremes, runs, shade_runs
from .style import INK, MUTED, RULE, SMALL, TEXT, fitted, heading, plain, shortened, tidy, wrapped

RHYTHMS = ("N", "PVC", "PAC", "AFIB", "SVTA", "SBR", "LBBB", "RBBB")
"""The paper's order."""
SALIENCY = LinearSegmentedColormap.from_list("saliency", colormaps["plasma"](np.linspace(0.06, 0.9, 256)))
"""From violet to yellow, as in the paper, without the palest yellow, which is lost on white."""
SALIENCY_LABEL = "saliency, scaled per map (1 = most important)"
NOT_SHOWN = "no such window"
SALIENCY_LINE = "#a9b1bb"
"""Of the thin line beneath the dots."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 1.2, 0.15, 1.05, 1.2
_CELL, _CAPTION, _APART, _BETWEEN = 0.72, 0.21, 0.16, 0.42
"""Inches of a cell, the words above it, the room between two rhythms, and between columns for the axis of mV."""

Choice = Literal["most confident", "random"]


@dataclass(frozen=True)
class ShownRhythm:
    """One window of a rhythm and what a method found in it.

    ``signal (time,)`` in millivolt, its annotation in the middle; ``saliency (time,)`` in any unit, the more the
    higher; ``evidence (time,)`` or None; ``caption`` says whose window it is. Raises ValueError where a shape differs
    from the signal's.
    """

    class_name: str
    method: str
    choice: Choice
    signal: Floats
    saliency: Floats
    evidence: Mask | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        shape = np.shape(self.signal)
        if len(shape) != 1 or not shape[0]:
            raise ValueError(f"the signal of {self.where} has shape {shape}; expected (time,).")
        for name, values in (("saliency", self.saliency), ("evidence", self.evidence)):
            if values is not None and np.shape(values) != shape:
                raise ValueError(f"the {name} of {self.where} has shape {np.shape(values)}; expected {shape}.")

    @property
    def where(self) -> str:
        """Class, choice and method, as errors name them."""
        return f"{self.class_name} ({self.choice}, {self.method})"

    @property
    def scaled(self) -> Floats:
        """The saliency from its minimum, 0, to its maximum, 1; 0 throughout where it is constant, NaN where it is."""
        values = np.asarray(self.saliency, dtype=float)
        return np.where(np.isfinite(values), 0.0, np.nan) if self.remark else heat(values)

    @property
    def remark(self) -> str:
        """Why the map shows nothing, empty where it does."""
        known = np.asarray(self.saliency, dtype=float)
        known = known[np.isfinite(known)]
        if known.size == 0:
            return "undefined map"
        return "constant map" if np.ptp(known) == 0 else ""

    @property
    def words(self) -> str:
        """Choice, remark and caption on one line."""
        return " · ".join(part for part in (self.choice, self.remark, self.caption) if part)


@dataclass(frozen=True)
class Arrangement:
    """Windows by class, choice and method, and the order of each; a class that has none is among the ``absent``."""

    classes: tuple[str, ...]
    choices: tuple[str, ...]
    methods: tuple[str, ...]
    windows: Mapping[tuple[str, str, str], ShownRhythm]
    steps: int

    @property
    def absent(self) -> tuple[str, ...]:
        """Rhythms of the paper of which no window is shown."""
        return tuple(name for name in RHYTHMS if name not in self.classes)

    def times(self, rate: float) -> Floats:
        """Seconds from the annotation, ``(time,)``."""
        return (np.arange(self.steps) - self.steps // 2) / rate

    @property
    def marked(self) -> bool:
        """Whether any window has evidence."""
        return any(window.evidence is not None for window in self.windows.values())


def arranged(shown: Sequence[ShownRhythm], rate: float) -> Arrangement:
    """The windows in the paper's order of rhythms, others behind them; choices and methods as they come.

    Raises ValueError without windows, for two in one place, for windows of several lengths, and for a ``rate`` in
    hertz that is not positive.
    """
    if not shown:
        raise ValueError("shown is empty; expected at least one window.")
    if not rate > 0:
        raise ValueError(f"rate is {rate}; expected a positive number of hertz.")
    windows: dict[tuple[str, str, str], ShownRhythm] = {}
    for window in shown:
        place = (window.class_name, window.choice, window.method)
        if place in windows:
            raise ValueError(f"shown holds {window.where} twice; expected one window each.")
        if len(window.signal) != len(shown[0].signal):
            raise ValueError(
                f"the window of {window.where} has {len(window.signal)} points; expected {len(shown[0].signal)} as in "
                "the first."
            )
        windows[place] = window
    classes, choices, methods = (_in_order(places) for places in zip(*windows, strict=True))
    known = [name for name in RHYTHMS if name in classes]
    others = [name for name in classes if name not in RHYTHMS]
    return Arrangement((*known, *others), choices, methods, windows, len(shown[0].signal))


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def rhythm_saliency(shown: Sequence[ShownRhythm], *, rate: float, title: str) -> Figure:
    """A row per rhythm and choice, a column per method; dots from violet to yellow over a thin grey line.

    ``rate`` in hertz. Every map is scaled by itself; evidence is shaded. A place without a window says so. Raises
    ValueError as `arranged` does.
    """
    order = arranged(shown, rate)
    band = len(order.choices) * (_CAPTION + _CELL)
    height = _TOP + len(order.classes) * band + (len(order.classes) - 1) * _APART + _BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    columns = len(order.methods)
    width = (WIDTH - _LEFT - _RIGHT - (columns - 1) * _BETWEEN) / columns
    for row, name in enumerate(order.classes):
        top = height - _TOP - row * (band + _APART)
        figure.text(0.12 / WIDTH, (top - band / 2) / height, fitted(name, 8), size=TEXT, color=INK, weight="bold",
                    va="center")  # fmt: skip
        for line, choice in enumerate(order.choices):
            bottom = top - (line + 1) * (_CAPTION + _CELL)
            for column, method in enumerate(order.methods):
                axes = inches(figure, _LEFT + column * (width + _BETWEEN), bottom, width, _CELL)
                _draw(axes, order.windows.get((name, choice, method)), choice, order.times(rate), int(width * 15))
                last = name == order.classes[-1] and choice == order.choices[-1]
                axes.tick_params(labelbottom=last)
    for column, method in enumerate(order.methods):
        left = _LEFT + column * (width + _BETWEEN)
        figure.text(left / WIDTH, 1 - (_TOP - 0.04) / height, wrapped(method, int(width * 11)), size=TEXT, color=INK,
                    weight="bold", va="bottom")  # fmt: skip
    figure.supxlabel("time from the annotation (s)", size=TEXT, color=INK, y=0.68 / height)
    heading(figure, title, "signal in mV; every map on its own scale" + absent_words(order))
    footer(figure, {SALIENCY_LABEL: SALIENCY}, left=_LEFT, evidence=order.marked)
    return figure


def absent_words(order: Arrangement) -> str:
    """Names the rhythms without any window, empty where all have one."""
    return f"; no window of {', '.join(order.absent)}" if order.absent else ""


def _draw(axes: Axes, window: ShownRhythm | None, choice: str, times: Floats, letters: int) -> None:
    tidy(axes)
    half = (times[-1] - times[0]) / max(len(times) - 1, 1) / 2
    end = np.abs(times).max() + half
    axes.set_xlim(-end, end)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    words = shortened(window.words if window else choice, letters)
    axes.set_title(plain(words), size=SMALL, color=MUTED, loc="left", pad=2.5)
    if window is None:
        axes.set_yticks([])
        axes.text(0.5, 0.5, NOT_SHOWN, transform=axes.transAxes, size=SMALL, color=MUTED, ha="center", va="center")
        return
    axes.axvline(0, color=RULE, linewidth=0.8, zorder=0)
    signal, scaled = np.asarray(window.signal, dtype=float), window.scaled
    axes.plot(times, signal, color=SALIENCY_LINE, linewidth=0.7, zorder=2)
    # the strongest last: where dots crowd, they stay in sight
    order = np.argsort(np.nan_to_num(scaled, nan=-1.0), kind="stable")
    axes.scatter(
        times[order], signal[order], c=scaled[order], cmap=SALIENCY.with_extremes(bad=RULE), vmin=0, vmax=1,
        s=3.5 + 6 * np.nan_to_num(scaled[order]), linewidths=0, zorder=3, plotnonfinite=True,
    )  # fmt: skip
    if window.evidence is not None:
        shade_runs(axes, runs(times, half, np.asarray(window.evidence, dtype=bool)))
    low, high = extremes(signal)
    room = 0.12 * ((high - low) or 1.0)
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
