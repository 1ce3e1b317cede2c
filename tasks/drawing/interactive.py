"""What all interactive figures share: their look, plain text, few digits."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_hex
from numpy.typing import NDArray
from plotly.graph_objects import Figure

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
