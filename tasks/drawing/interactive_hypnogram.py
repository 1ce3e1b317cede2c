"""Figure 3 to zoom into: hypnogram, signals and relevance over one axis of time, with their values on hover."""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots

from .hypnogram import PREDICTED, TRUE, WRONG
from .interactive import looks, rounded, safe
from .night import Night, visible_range
from .part_colours import part_colours
from .share_boxes import SHARE_LABEL
from .stretches import envelope, stretches
from .style import MUTED

COLUMNS = 6000
"""Stretches a signal is drawn by: of two hours 1.2 s each."""
_STAGES, _SIGNAL, _SHARES, _GAP = 170, 100, 190, 16
_TOP, _BOTTOM = 104, 56
"""Pixels of the panels, between them, and around them."""


def interactive_hypnogram(night: Night, *, title: str) -> Figure:
    """The timeline of :func:`tasks.drawing.hypnogram.hypnogram`, its panels zooming together in time.

    A signal is drawn by its least and greatest value in each of at most 6,000 stretches, so that no spike is
    lost and the page stays small; its axis first shows all but the outermost 0.2 % of them. Hovering tells the
    stages, a signal's value, and the shares of an epoch.
    """
    pixels = [_STAGES, *[_SIGNAL] * len(night.channels), _SHARES]
    height = sum(pixels) + _GAP * (len(pixels) - 1)
    figure = make_subplots(
        len(pixels), 1, shared_xaxes=True, vertical_spacing=_GAP / height, row_heights=[p / sum(pixels) for p in pixels]
    )
    _add_stages(figure, night)
    for channel, colour in enumerate(part_colours(night.channels).values()):
        _add_signal(figure, night, channel, colour)
    _add_shares(figure, night, row=len(pixels))
    _shade_wrong(figure, night)
    looks(figure, title, height=height + _TOP + _BOTTOM, top=_TOP)
    words = "Drag to zoom, double-click to go back. Black: true stage; green: predicted; shaded: wrong class."
    figure.update_layout(
        title_subtitle={"text": words, "font": {"size": 12, "color": MUTED}}, hovermode="x", hoverdistance=40,
        showlegend=True, margin_l=92,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}},
    )  # fmt: skip
    figure.update_xaxes(title_text="time from the beginning of the recording (min)", row=len(pixels), col=1)
    figure.update_xaxes(range=[night.starts[0] / 60, (night.starts[-1] + night.epoch_s) / 60])
    return figure


def _add_stages(figure: Figure, night: Night) -> None:
    names = [safe(name) for name in night.from_top]
    for stages, word, colour, width, below in (
        (night.true, "true stage", TRUE, 3, 0.0),
        (night.predicted, "predicted stage", PREDICTED, 1.6, 0.12),
    ):
        times, rows = night.steps(night.heights(stages))
        told = [names[int(row)] if np.isfinite(row) else None for row in rows]
        line = Scatter(
            x=rounded(times, 6), y=rounded(rows + below, 4), customdata=told, mode="lines", name=word,
            line={"color": colour, "width": width}, hovertemplate=f"{word}: %{{customdata}}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(line, row=1, col=1)
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5], row=1, col=1)


def _add_signal(figure: Figure, night: Night, channel: int, colour: str) -> None:
    """One line that runs, stretch by stretch, from the least to the greatest value."""
    signal = night.signals[channel]
    ends = envelope(signal, COLUMNS)
    edges = stretches(len(signal), COLUMNS)
    step = len(signal) / (len(edges) - 1) / night.rate / 60
    unit = safe(night.units[channel])
    line = Scatter(
        x0=night.signals_from / 60 + step / 4, dx=step / 2, y=rounded(ends.ravel()), mode="lines",
        line={"color": colour, "width": 0.8}, showlegend=False,
        hovertemplate=f"{safe(night.channels[channel])}: %{{y:.3~g}} {unit}<extra></extra>",
    )  # fmt: skip
    figure.add_trace(line, row=2 + channel, col=1)
    words = safe(night.channels[channel]).replace(" ", "<br>", 1)
    title = words + (f"<br>({unit})" if unit else "")
    figure.update_yaxes(title_text=title, nticks=4, range=visible_range(ends), row=2 + channel, col=1)


def _add_shares(figure: Figure, night: Night, row: int) -> None:
    for number, (part, colour) in enumerate(part_colours(night.parts).items()):
        times, shares = night.steps(night.shares[:, number])
        line = Scatter(
            x=rounded(times, 6), y=rounded(shares), mode="lines", name=safe(part), line={"color": colour, "width": 1.6},
            hovertemplate=f"{safe(part)}: %{{y:.1f}} %<extra></extra>",
        )  # fmt: skip
        figure.add_trace(line, row=row, col=1)
    figure.update_yaxes(title_text=SHARE_LABEL.replace("absolute", "absolute<br>"), range=[0, 100], row=row, col=1)


def _shade_wrong(figure: Figure, night: Night) -> None:
    """One shape per run of epochs in a wrong class, through all panels."""
    wrong = night.starts[night.wrong]
    if not len(wrong):
        return
    for run in np.split(wrong, np.flatnonzero(np.diff(wrong) > 1.001 * night.epoch_s) + 1):
        figure.add_shape(
            type="rect", xref="x", yref="paper", x0=run[0] / 60, x1=(run[-1] + night.epoch_s) / 60, y0=0, y1=1,
            fillcolor=WRONG, line_width=0, layer="below",
        )  # fmt: skip
