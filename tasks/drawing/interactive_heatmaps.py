"""Figures 3, 4 and 5 to explore: choose the explainer, zoom, and read time, value and attribution of a point."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Colormap
from plotly.graph_objects import Figure, Heatmap, Scatter
from plotly.subplots import make_subplots

from .geometry import Floats, Geometry, Mask, mask_of
from .heat import LOW_IS_IMPORTANT, colours_by_explainer, scales_for
from .image_cell import outline, shape_of
from .interactive import add_key, add_menu, looks, rounded, safe, show, stops_of
from .signal_cell import extremes, spans
from .slice_viewer import slice_viewer
from .style import EVIDENCE, INK, SIGNED

IMAGES_PER_ROW = 5
_TOP, _BOTTOM, _NAME = 122, 116, 20
"""Pixels above the panels, below them, and above each panel for its name."""
_LINE, _STACKED, _IMAGE = 130, 90, 165
"""Pixels of a panel: of a signal alone, of one channel of several, of an image."""

Maps = Mapping[str, Floats]


@dataclass(frozen=True)
class _Painted:
    """A trace that changes its colours with the explainer: of a class, and of a channel where it is no image.

    ``points``: the colours are those of points on a line, else of a heatmap's cells.
    """

    trace: int
    label: str
    channel: int | None
    points: bool


def interactive_heatmaps(
    samples: Mapping[str, Floats],
    attributions: Mapping[str, Mapping[str, Floats]],
    *,
    geometry: Geometry,
    title: str,
    evidence: Mapping[str, Mask] | None = None,
    low_is_important: Collection[str] = (),
) -> Figure:
    """One sample per class in the colours of an explainer chosen from a menu; scaled as in the still figure.

    ``samples`` holds one signal ``(channel, *grid)`` per class, ``attributions`` per class the maps by
    explainer, ``evidence`` masks ``(channel, *grid)`` or ``grid``. Signals are lines, a row per channel, that
    zoom together in time; images are images; volumes are slices to scroll through
    (:func:`tasks.drawing.slice_viewer.slice_viewer`). Numbers are rounded to 3 digits. ValueError where a shape is
    not the geometry's or a class lacks the map of an explainer.
    """
    signals = {label: geometry.signal(signal) for label, signal in samples.items()}
    if geometry.volume:
        return slice_viewer(
            geometry, signals, _complete(geometry, signals, attributions), title=title, evidence=evidence or {}
        )
    colours = colours_by_explainer(attributions.values(), low_is_important)
    figure, painted, height = (_images if geometry.image else _lines)(geometry, signals, evidence or {})
    choices = []
    for name, scale in colours.items():
        maps = {label: _map(geometry, signals[label], attributions, label, name) for label in signals}
        choices.append(_choice(geometry, painted, maps, name, scale, low=name in low_is_important))
    looks(figure, title, height=height + _TOP + _BOTTOM, top=_TOP)
    add_key(figure, height, bottom=_BOTTOM)
    add_menu(figure, choices, height, above=_NAME, words="Choose an explainer", marked=bool(evidence))
    show(figure, choices[0])
    return figure


def _complete(geometry: Geometry, signals: Maps, attributions: Mapping[str, Maps]) -> dict[str, dict[str, Floats]]:
    """The checked maps of every explainer for every class."""
    names = dict.fromkeys(name for maps in attributions.values() for name in maps)
    return {
        label: {name: _map(geometry, signal, attributions, label, name) for name in names}
        for label, signal in signals.items()
    }


def _map(geometry: Geometry, signal: Floats, attributions: Mapping[str, Maps], label: str, name: str) -> Floats:
    if name not in attributions.get(label, {}):
        raise ValueError(f"the attributions of {label!r} lack {name!r}; expected every explainer for every class.")
    return geometry.map_of(signal, attributions[label][name], name)


def _lines(geometry: Geometry, signals: Maps, evidence: Mapping[str, Mask]) -> tuple[Figure, list[_Painted], int]:
    """A panel per class and channel: the thin line of the signal, points on it and a strip under it for the heat."""
    panels = [(label, channel) for label in signals for channel in range(len(geometry.channels))]
    panel = _LINE if len(geometry.channels) == 1 else _STACKED
    height = len(panels) * panel + (len(panels) - 1) * _NAME
    figure = make_subplots(len(panels), 1, shared_xaxes=True, vertical_spacing=_NAME / height)
    painted = []
    for row, (label, channel) in enumerate(panels, start=1):
        signal = signals[label][channel]
        painted += _add_line(figure, geometry, label, channel, signal, row)
        mask = mask_of(evidence.get(label), channel)
        for left, right in spans(geometry, mask) if mask is not None else []:
            figure.add_vrect(left, right, row=row, col=1, fillcolor=EVIDENCE, opacity=0.15, line_width=0, layer="below")
        _name_panel(figure, f"<b>{safe(label)}</b>  {safe(geometry.channel_label(channel))}", row)
    figure.update_xaxes(title_text=geometry.time_label, row=len(panels), col=1)
    times, half = geometry.times(len(signals[panels[0][0]][0])), geometry.half_step()
    figure.update_xaxes(range=[times[0] - half, times[-1] + half])
    figure.update_yaxes(nticks=4)
    figure.update_layout(hovermode="x", hoverdistance=40)
    return figure, painted, height


def _add_line(figure: Figure, geometry: Geometry, label: str, channel: int, signal: Floats, row: int) -> list[_Painted]:
    times, values = rounded(geometry.times(len(signal)), 5), rounded(signal, 4)
    name, unit = geometry.channels[channel], geometry.units[channel]
    hover = (
        f"<b>{safe(label)}</b><br>time: %{{x:.4~g}} {geometry.time_unit}<br>{safe(name)}: %{{y:.3~g}} {safe(unit)}"
        "<br>attribution: %{marker.color:.3~g}<extra></extra>"
    )
    low, high = extremes(signal)
    span = (high - low) or 1.0
    thin = {"color": INK, "width": 1}
    figure.add_trace(Scatter(x=times, y=values, mode="lines", line=thin, hoverinfo="skip"), row=row, col=1)
    size = float(np.clip(900 / len(signal), 6, 9))
    points = Scatter(x=times, y=values, mode="markers", marker={"size": size}, hovertemplate=hover)
    strip = Heatmap(
        x=times, y=rounded(np.array([low - 0.34 * span, low - 0.14 * span]), 4), showscale=False, hoverinfo="skip"
    )
    figure.add_traces([points, strip], rows=row, cols=1)
    last = len(figure.data) - 1
    return [_Painted(last - 1, label, channel, points=True), _Painted(last, label, channel, points=False)]


def _images(geometry: Geometry, signals: Maps, evidence: Mapping[str, Mask]) -> tuple[Figure, list[_Painted], int]:
    """A panel per class: the heat of each pixel, and a line round the evidence or else the sample's shape."""
    columns = min(len(signals), IMAGES_PER_ROW)
    rows = -(-len(signals) // columns)
    height = rows * _IMAGE + (rows - 1) * 2 * _NAME
    figure = make_subplots(rows, columns, horizontal_spacing=0.015, vertical_spacing=2 * _NAME / height)
    painted = []
    for place, (label, signal) in enumerate(signals.items()):
        row, column = divmod(place, columns)
        cell = {"row": row + 1, "col": column + 1}
        hover = (
            f"<b>{safe(label)}</b><br>row %{{y}}, column %{{x}}<br>{safe(geometry.channels[0])}: %{{customdata:.3~g}}"
            "<br>attribution: %{z:.3~g}<extra></extra>"
        )
        values = rounded(geometry.picture(signal))
        figure.add_trace(Heatmap(customdata=values, hovertemplate=hover, showscale=False), **cell)
        painted.append(_Painted(len(figure.data) - 1, label, None, points=False))
        x, y = _polyline(outline(shape_of(geometry, signal, evidence.get(label))))
        line = {"color": INK, "width": 1}
        figure.add_trace(Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip"), **cell)
        figure.update_xaxes(visible=False, constrain="domain", **cell)
        axis = figure.get_subplot(**cell).xaxis.plotly_name.replace("axis", "")
        figure.update_yaxes(visible=False, autorange="reversed", scaleanchor=axis, constrain="domain", **cell)
        _name_panel(figure, f"<b>{safe(label)}</b>", place + 1)
    figure.update_layout(hovermode="closest")
    return figure, painted, height


def _polyline(segments: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The segments as one line with gaps."""
    corners = [point for one, other in segments for point in (one, other, (None, None))]
    return [x for x, _ in corners], [y for _, y in corners]


def _name_panel(figure: Figure, text: str, number: int) -> None:
    axis = "" if number == 1 else str(number)
    figure.add_annotation(
        text=text, showarrow=False, x=0, xref=f"x{axis} domain", xanchor="left", y=1, yref=f"y{axis} domain",
        yanchor="bottom", font={"size": 12, "color": INK},
    )  # fmt: skip


def _choice(
    geometry: Geometry, painted: Sequence[_Painted], maps: Maps, name: str, colours: Colormap, *, low: bool
) -> dict[str, Any]:
    """A menu's button: repaints the traces in an explainer's values, and the key in its scale."""
    signed = colours is SIGNED
    states = [_state(geometry, one, maps[one.label], signed=signed) for one in painted]
    restyle: dict[str, list[Any]] = {key: [state.get(key) for state in states] for state in states for key in state}
    restyle["marker.colorscale"] = restyle["colorscale"] = [stops_of(colours)]
    (words,) = scales_for([colours], low_is_important=low)
    key = {
        "coloraxis.colorscale": stops_of(colours),
        "coloraxis.colorbar.title.text": words,
        "coloraxis.colorbar.ticktext": ["−1", "0", "+1"] if signed else ["0", "0.5", "1"],
    }
    label = safe(f"{name} {LOW_IS_IMPORTANT}" if low else name)
    return {"label": label, "method": "update", "args": [restyle, key, [one.trace for one in painted]]}


def _state(geometry: Geometry, painted: _Painted, values: Floats, *, signed: bool) -> dict[str, Any]:
    """A trace's values and the ends of their scale, which all channels of a map share."""
    low, high = _ends(values, signed=signed)
    if painted.channel is None:
        return {"z": rounded(geometry.picture(values)), "zmin": low, "zmax": high}
    if painted.points:
        return {"marker.color": rounded(values[painted.channel]), "marker.cmin": low, "marker.cmax": high}
    return {"z": rounded(values[[painted.channel]]), "zmin": low, "zmax": high}


def _ends(values: Floats, *, signed: bool) -> tuple[float, float]:
    """A constant map lies at the pale end, or where it is signed in the neutral middle: it has no contrast."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    if low == high:
        return (low - 1, low + 1) if signed else (low, low + 1)
    most = max(abs(low), abs(high))
    return (-most, most) if signed else (low, high)
