"""Volumes to scroll through: choose slice, map and explainer, and how strongly the attribution lies over the map.

Plotly's controls know nothing of each other. So all slices lie under each other and all maps beside each other in one
large picture, of which the axes show a part: the slider of slices moves one axis, the menu of maps the other.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.graph_objects import Figure, Heatmap, Scatter
from plotly.graph_objects import Image as Picture

from .geometry import Floats, Geometry, Mask
from .heat import heat
from .image_cell import outline
from .interactive import STOPS, looks, safe
from .slices import chosen_slice, volume_mask
from .style import INK, MUTED
from .volume_cell import LINE, coloured, grey_range

MOST_PIXELS = 64
"""Of a slice along its longer side; larger ones are made smaller, so that the page stays small."""
OPACITIES = (0, 25, 50, 75, 100)
FULL_FROM = (100, 50, 25, 10)
"""Percent of a map's largest magnitude from which on its colour is full: a lower one shows what spikes hide."""
_SIDE, _TOP, _BOTTOM, _MENU = 460, 172, 186, 44
"""Pixels of the picture, above it, below it, and of a menu with its distance to the next."""

Maps = Mapping[str, Floats]


@dataclass(frozen=True)
class _Sheet:
    """How slices of ``height`` by ``width`` pixels lie: ``slices`` under each other, ``panels`` beside each other.

    A panel is a sample's label and one of its channels. Slices of the data were made smaller by ``factor``.
    """

    panels: Sequence[tuple[str, int]]
    slices: int
    height: int
    width: int
    factor: int

    @classmethod
    def of(cls, geometry: Geometry, labels: Sequence[str]) -> _Sheet:
        slices, height, width = geometry.volume or (1, 1, 1)
        factor = math.ceil(max(height, width) / MOST_PIXELS)
        panels = [(label, channel) for label in labels for channel in range(len(geometry.channels))]
        return cls(panels, slices, math.ceil(height / factor), math.ceil(width / factor), factor)

    def laid(self, volumes: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """One volume ``(slice, height, width)`` per panel as the large picture."""
        return np.concatenate([volume.reshape(-1, self.width) for volume in volumes], axis=1)

    def rows(self, depth: int) -> list[float]:
        """Ends of the axis of rows that show a slice, row 0 on top."""
        return [(depth + 1) * self.height - 0.5, depth * self.height - 0.5]

    def columns(self, panel: int) -> list[float]:
        """Ends of the axis of columns that show a panel."""
        return [panel * self.width - 0.5, (panel + 1) * self.width - 0.5]


def slice_viewer(
    geometry: Geometry,
    signals: Maps,
    attributions: Mapping[str, Maps],
    *,
    title: str,
    evidence: Mapping[str, Mask],
) -> Figure:
    """Volumes ``(channel, depth, height, width)`` by sample, each with its maps by explainer, one slice at a time.

    The slice shown first is that with most evidence in the first sample. Attribution is in whole percents of its map's
    largest magnitude. Slices longer than 64 voxels are made smaller by a whole factor: the map by means, the
    attribution by what is largest, so that no spike is lost, the evidence by what is marked at all. ValueError where
    a sample lacks the map of an explainer.
    """
    sheet = _Sheet.of(geometry, list(signals))
    masks = {label: volume_mask(geometry, evidence.get(label)) for label in signals}
    names = list(dict.fromkeys(name for maps in attributions.values() for name in maps))
    figure = Figure()
    figure.add_trace(_greys(sheet, signals))
    for name in names:
        figure.add_trace(_relevance(sheet, {label: attributions[label][name] for label in signals}, name == names[0]))
    figure.add_trace(_lines(sheet, masks))
    first = next(iter(signals))
    start = chosen_slice(attributions[first].values(), masks[first]).depth
    looks(figure, title, height=_SIDE + _TOP + _BOTTOM, top=_TOP)
    square: dict[str, Any] = {"visible": False, "constrain": "domain", "fixedrange": True}
    figure.update_xaxes(range=sheet.columns(0), **square)
    figure.update_yaxes(range=sheet.rows(start), scaleanchor="x", scaleratio=geometry.voxel_aspect, **square)
    words = "Choose a map and an explainer, scroll through the slices; hover to read the attribution."
    figure.update_layout(
        margin_b=_BOTTOM, hovermode="closest", title_subtitle={"text": words, "font": {"size": 12, "color": MUTED}}
    )
    _add_menus(figure, geometry, sheet, names, evidence=any(mask is not None for mask in masks.values()))
    _add_sliders(figure, sheet, len(names), start)
    return figure


def _greys(sheet: _Sheet, signals: Maps) -> Picture:
    """All maps in grey, as the bytes of a PNG."""
    volumes = [_blocks(signals[label][channel], sheet).mean(axis=(2, 4)) for label, channel in sheet.panels]
    written = io.BytesIO()
    Image.fromarray(sheet.laid([_grey_bytes(volume) for volume in volumes])).save(written, format="PNG", optimize=True)
    uri = f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
    return Picture(source=uri, hoverinfo="skip")


def _grey_bytes(volume: Floats) -> NDArray[np.uint8]:
    low, high = grey_range(volume)
    return np.round(255 * np.clip(np.nan_to_num((volume - low) / (high - low)), 0, 1)).astype(np.uint8)


def _relevance(sheet: _Sheet, maps: Maps, visible: bool) -> Heatmap:
    """An explainer's maps of all samples, each in percent of its largest magnitude."""
    percents = {
        label: np.clip(np.nan_to_num(200 * heat(values, signed=True) - 100), -100, 100)
        for label, values in maps.items()
    }
    volumes = [_largest(_blocks(percents[label][channel], sheet)) for label, channel in sheet.panels]
    bar = {"len": 0.9, "thickness": 10, "outlinewidth": 0, "ticklen": 3, "title": {
        "text": "attribution (% of the map's largest)", "side": "right", "font": {"size": 12}}}  # fmt: skip
    return Heatmap(
        z=np.round(sheet.laid(volumes)).astype(np.int8), zmin=-100, zmax=100, colorscale=_stops(), colorbar=bar,
        visible=visible, hovertemplate="attribution: %{z:d} % of the map's largest<extra></extra>",
    )  # fmt: skip


def _stops() -> list[list[Any]]:
    """The diverging colours as Plotly's list of places and colours, opaque as in the still figures."""
    places = np.linspace(0, 1, 2 * STOPS - 1)
    return [
        [round(float(place), 4), f"rgba({','.join(str(int(255 * part)) for part in rgba[:3])},{rgba[3]:.3f})"]
        for place, rgba in zip(places, coloured(places), strict=True)
    ]


def _lines(sheet: _Sheet, masks: Mapping[str, Mask | None]) -> Scatter:
    """The lines round the evidence in every slice of every panel."""
    corners = []
    for panel, (label, _) in enumerate(sheet.panels):
        mask = masks[label]
        if mask is not None:
            small = _blocks(mask, sheet).max(axis=(2, 4))
            corners += [_corners(one, depth * sheet.height, panel * sheet.width) for depth, one in enumerate(small)]
    points = np.concatenate([np.empty((0, 2)), *corners])
    line = {"color": LINE, "width": 2}
    return Scatter(x=_short(points[:, 0]), y=_short(points[:, 1]), mode="lines", line=line, hoverinfo="skip")


def _corners(mask: Mask, down: int, right: int) -> Floats:
    """The ends of all segments of a slice's outline, each pair followed by a gap, moved to its place."""
    segments = outline(mask)
    points = [(x + right, y + down) for one in segments for x, y in (*one, (np.nan, np.nan))]
    return np.array(points, dtype=float).reshape(-1, 2)


def _short(values: Floats) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _blocks(volume: NDArray[Any], sheet: _Sheet) -> NDArray[Any]:
    """The volume as ``(slice, height, factor, width, factor)``, its edges repeated where they fill no block."""
    missing = [(0, 0), *((0, -length % sheet.factor) for length in volume.shape[1:])]
    padded = np.pad(volume, missing, mode="edge")
    return padded.reshape(len(volume), sheet.height, sheet.factor, sheet.width, sheet.factor)


def _largest(blocks: Floats) -> Floats:
    """Of each block the value with the largest magnitude, of equals the positive one."""
    high, low = blocks.max(axis=(2, 4)), blocks.min(axis=(2, 4))
    return np.where(high >= -low, high, low)


def _add_menus(figure: Figure, geometry: Geometry, sheet: _Sheet, names: Sequence[str], *, evidence: bool) -> None:
    """The menus of maps and of explainers, and a button for the lines round the evidence."""
    several = len(sheet.panels) > len(geometry.channels)
    maps = []
    for place, (label, channel) in enumerate(sheet.panels):
        words = (f"{label}: " if several else "") + geometry.channel_label(channel)
        maps.append({"label": safe(words), "method": "relayout", "args": [{"xaxis.range": sheet.columns(place)}]})
    heats = list(range(1, len(names) + 1))
    explainers = [
        {"label": safe(name), "method": "restyle", "args": [{"visible": [one == place for one in heats]}, heats]}
        for place, name in enumerate(names, start=1)
    ]
    lines = [len(names) + 1]
    button = {"label": "line round the evidence", "method": "restyle", "args": [{"visible": True}, lines],
              "args2": [{"visible": False}, lines]}  # fmt: skip
    look: dict[str, Any] = {"yanchor": "bottom", "bgcolor": "white", "bordercolor": MUTED,
                            "font": {"size": 12, "color": INK}}  # fmt: skip
    upper, lower = 1 + (10 + _MENU) / _SIDE, 1 + 10 / _SIDE
    menus = [
        {"buttons": maps, "x": 0, "xanchor": "left", "y": upper, **look},
        {"buttons": explainers, "x": 0, "xanchor": "left", "y": lower, **look},
    ]
    if evidence:
        at_right = {"x": 1, "xanchor": "right", "y": upper}
        menus.append({"type": "buttons", "active": 0, "buttons": [button], **at_right, **look})
    figure.update_layout(updatemenus=menus)


def _add_sliders(figure: Figure, sheet: _Sheet, explainers: int, start: int) -> None:
    """Under the picture the slices, below them how opaque the attribution is and where its colour is full."""
    heats = list(range(1, explainers + 1))
    slices = [
        {"label": str(depth + 1), "method": "relayout", "args": [{"yaxis.range": sheet.rows(depth)}]}
        for depth in range(sheet.slices)
    ]
    opacities = [
        {"label": f"{percent} %", "method": "restyle", "args": [{"opacity": percent / 100}, heats]}
        for percent in OPACITIES
    ]
    scales = [
        {"label": f"{percent} %", "method": "restyle", "args": [{"zmin": -percent, "zmax": percent}, heats]}
        for percent in FULL_FROM
    ]
    rows = -16 / _SIDE, -100 / _SIDE
    figure.update_layout(
        sliders=[
            _slider("slice ", slices, start, x=0, length=1, y=rows[0]),
            _slider("opacity of the attribution: ", opacities, len(OPACITIES) - 1, x=0, length=0.47, y=rows[1]),
            _slider("full colour from ", scales, 0, x=0.53, length=0.47, y=rows[1]),
        ]
    )


def _slider(
    words: str, steps: list[dict[str, Any]], active: int, *, x: float, length: float, y: float
) -> dict[str, Any]:
    return {
        "steps": steps, "active": active, "x": x, "len": length, "y": y, "yanchor": "top", "pad": {"t": 0, "b": 0},
        "currentvalue": {"prefix": words, "font": {"size": 12, "color": INK}}, "font": {"size": 11, "color": MUTED},
        "ticklen": 4, "minorticklen": 2, "bgcolor": "white", "bordercolor": MUTED,
    }  # fmt: skip
