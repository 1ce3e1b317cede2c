"""What all interactive figures share: their look, plain text, few digits, a key of colours and a menu."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_hex
from numpy.typing import NDArray
from plotly.graph_objects import Figure, Scatter

from .style import INK, MUTED, RULE

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, "DejaVu Sans", sans-serif'
STOPS = 17


def safe(text: object) -> str:
    """Text that Plotly shows as it is: it would obey markup in names."""
    return html.escape(str(text), quote=False)


def rounded(values: NDArray[Any], digits: int = 3) -> list[Any]:
    """Nested lists of so many significant digits, None where not finite: small as JSON."""
    values = np.asarray(values, dtype=float)
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]


def stops_of(colours: Colormap) -> list[list[Any]]:
    """A colour map as Plotly's list of places and colours."""
    places = np.linspace(0, 1, STOPS)
    return [[round(float(place), 4), to_hex(colours(place))] for place in places]


def looks(figure: Figure, title: str, *, height: int, top: int = 90) -> Figure:
    """Sets title, fonts and frame; ``height`` and the room on ``top`` are pixels. Returns the figure."""
    figure.update_layout(
        template=None,
        title={"text": safe(title), "x": 0, "xref": "paper", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 14}, "font": {"size": 16, "color": INK, "weight": 700}},
        font={"family": FONT, "size": 12, "color": INK},
        height=height,
        margin={"l": 64, "r": 24, "t": top, "b": 56},
        paper_bgcolor="white",
        plot_bgcolor="white",
        showlegend=False,
        hoverlabel={"bgcolor": "white", "bordercolor": MUTED, "font": {"family": FONT, "size": 12, "color": INK}},
    )  # fmt: skip
    figure.update_xaxes(linecolor=MUTED, ticks="outside", ticklen=4, tickcolor=MUTED, zeroline=False, showgrid=False)
    figure.update_yaxes(linecolor=RULE, ticks="outside", ticklen=4, tickcolor=RULE, zeroline=False, showgrid=False)
    return figure


def add_key(figure: Figure, height: int, *, bottom: int) -> None:
    """A colour bar from 0 to 1 under panels of ``height`` pixels, carried by a trace without points.

    ``bottom``: the pixels under the panels. Colours and title are those of ``layout.coloraxis``.
    """
    figure.add_trace(Scatter(x=[None], y=[None], mode="markers", marker={"color": [0], "coloraxis": "coloraxis"}))
    bar = {"orientation": "h", "x": 0, "xanchor": "left", "y": -52 / height, "yanchor": "top", "len": 260,
           "lenmode": "pixels", "thickness": 10, "tickvals": [0, 0.5, 1], "outlinewidth": 0, "ticklen": 3,
           "title": {"side": "top", "font": {"size": 12}}}  # fmt: skip
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "colorbar": bar}, margin_b=bottom)


def add_menu(
    figure: Figure, choices: Sequence[dict[str, Any]], height: int, *, above: int, words: str, marked: bool
) -> None:
    """A menu of buttons ``above`` pixels over panels of ``height`` pixels; under the title the ``words`` on its use."""
    menu = {"buttons": choices, "x": 0, "xanchor": "left", "y": 1 + (above + 4) / height, "yanchor": "bottom",
            "bgcolor": "white", "bordercolor": MUTED, "font": {"size": 12}}  # fmt: skip
    words += "; drag to zoom, double-click to see all." + (" Marked: the evidence." if marked else "")
    figure.update_layout(updatemenus=[menu], title_subtitle={"text": words, "font": {"size": 12, "color": MUTED}})


def show(figure: Figure, choice: dict[str, Any]) -> None:
    """Does to the figure what a menu's button does in the browser."""
    restyle, relayout, traces = choice["args"]
    for name, values in restyle.items():
        for place, trace in enumerate(traces):
            value = values[place % len(values)]
            if value is not None and name.split(".")[0] in figure.data[trace]:
                figure.data[trace][name] = value
    for name, value in relayout.items():
        figure.layout[name] = value
