"""Figure 3 of Vijayarangan et al. (2020) to explore: choose a rhythm, zoom, and read a point's saliency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from .geometry import Floats
from .interactive import add_key, add_menu, looks, rounded, safe, show, stops_of
from .rhythms import (
    NOT_SHOWN,
    SALIENCY,
    SALIENCY_LABEL,
    SALIENCY_LINE,
    Arrangement,
    ShownRhythm,
    absent_words,
    arranged,
)
from .signal_cell import runs
from .style import EVIDENCE, INK, RULE, shortened

_TOP, _BOTTOM, _CELL, _NAME = 144, 116, 190, 40
"""Pixels above the panels and below them, of a panel, and above each for its name."""
_LETTERS = 130
"""That find room above all panels of a row."""


def rhythm_saliency_interactive(shown: Sequence[ShownRhythm], *, rate: float, title: str) -> Figure:
    """One rhythm at a time, chosen from a menu: a row per choice, a column per method, zooming together in time.

    The windows, scales and evidence are those of :func:`tasks.drawing.rhythms.rhythm_saliency`; hovering tells time,
    millivolt and saliency. Numbers are rounded to 3 digits. Raises ValueError as
    :func:`tasks.drawing.rhythms.arranged` does.
    """
    order = arranged(shown, rate)
    rows, columns = len(order.choices), len(order.methods)
    height = rows * _CELL + (rows - 1) * _NAME
    figure = make_subplots(
        rows, columns, shared_xaxes="all", horizontal_spacing=0.06, vertical_spacing=_NAME / height if rows > 1 else 0
    )
    times = order.times(rate)
    for row, column in np.ndindex(rows, columns):
        figure.add_trace(_panel(times), row=row + 1, col=column + 1)
    looks(figure, title, height=height + _TOP + _BOTTOM, top=_TOP)
    end = float(np.abs(times).max()) + 0.5 / rate
    figure.update_xaxes(range=[-end, end])
    figure.update_xaxes(title_text="time from the annotation (s)", row=rows)
    figure.update_yaxes(nticks=4)
    figure.update_yaxes(title_text="mV", col=1)
    choices = [_choice(order, name, rate) for name in order.classes]
    add_key(figure, height, bottom=_BOTTOM)
    figure.update_layout(
        coloraxis_colorscale=stops_of(SALIENCY), coloraxis_colorbar_title_text=SALIENCY_LABEL, hovermode="closest"
    )
    words = f"Choose a rhythm{absent_words(order)}"
    add_menu(figure, choices, height, above=_NAME, words=words, marked=order.marked)
    show(figure, choices[0])
    return figure


def _panel(times: Floats) -> Scatter:
    """Dots on a thin line, whose values come with the choice of a rhythm."""
    marker = {"size": 6, "colorscale": stops_of(SALIENCY), "cmin": 0, "cmax": 1}
    hover = "time: %{x:.3f} s<br>signal: %{y:.3~g} mV<br>saliency: %{marker.color:.3~g}<extra></extra>"
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    return Scatter(
        x0=float(times[0]), dx=step, mode="lines+markers", line={"color": SALIENCY_LINE, "width": 1}, marker=marker,
        hovertemplate=hover,
    )  # fmt: skip


def _choice(order: Arrangement, name: str, rate: float) -> dict[str, Any]:
    """The menu's button of a rhythm: its windows, their names and their evidence."""
    windows = [order.windows.get((name, choice, method)) for choice in order.choices for method in order.methods]
    restyle = {
        "y": [rounded(window.signal) if window else [] for window in windows],
        "marker.color": [rounded(window.scaled) if window else [] for window in windows],
    }
    relayout = {"annotations": list(_names(order, name)), "shapes": list(_marks(order, windows, rate))}
    return {"label": safe(name), "method": "update", "args": [restyle, relayout, list(range(len(windows)))]}


def _names(order: Arrangement, name: str) -> Iterator[dict[str, Any]]:
    """Above each panel its method and what is known of its window; inside, where there is none, that."""
    places = [(choice, method) for choice in order.choices for method in order.methods]
    for number, (choice, method) in enumerate(places, start=1):
        window = order.windows.get((name, choice, method))
        axis = "" if number == 1 else str(number)
        common = {"showarrow": False, "xref": f"x{axis} domain", "yref": f"y{axis} domain", "font": {"color": INK}}
        lines = (
            shortened(line, _LETTERS // len(order.methods)) for line in (method, window.words if window else choice)
        )
        words = "<b>{}</b><br>{}".format(*map(safe, lines))
        yield common | {"text": words, "x": 0, "xanchor": "left", "align": "left", "y": 1, "yanchor": "bottom"}
        if window is None:
            yield common | {"text": NOT_SHOWN, "x": 0.5, "y": 0.5}


def _marks(order: Arrangement, windows: Sequence[ShownRhythm | None], rate: float) -> Iterator[dict[str, Any]]:
    """The annotation's hairline in each panel, and its evidence."""
    for number, window in enumerate(windows, start=1):
        axis = "" if number == 1 else str(number)
        common = {"xref": f"x{axis}", "yref": f"y{axis} domain", "y0": 0, "y1": 1, "layer": "below"}
        yield common | {"type": "line", "x0": 0, "x1": 0, "line": {"color": RULE, "width": 1}}
        if window is None or window.evidence is None:
            continue
        for left, right in runs(order.times(rate), 0.5 / rate, np.asarray(window.evidence, dtype=bool)):
            shade = {"type": "rect", "fillcolor": EVIDENCE, "opacity": 0.15, "line": {"width": 0}}
            yield common | shade | {"x0": round(left, 4), "x1": round(right, 4)}
