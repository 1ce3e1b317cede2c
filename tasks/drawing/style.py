"""One look for all figures: sizes, colours that colour-blind readers can tell apart, PNG bytes."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

WIDTH = 10.0
"""Inches; shown 1000 px wide, a point is then 1.4 px and the smallest text here 11.8 px high."""
DPI = 120
TITLE, TEXT, SMALL = 12.0, 9.0, 8.5

INK, MUTED, RULE = "#1b1f24", "#59626e", "#d9dee5"
FIRST, SECOND, UNDECIDED = "#0072b2", "#d55e00", "#7d8691"
EVIDENCE = "#3b76b8"

CONTROLS = ("random", "amplitude", "prediction", "edges")
"""What any judgement of an explainer is held against, the latter two of volumes only."""


def _heat_colours() -> LinearSegmentedColormap:
    """Reversed magma without its ends; the lowest fifth fades to a grey of the same luminance."""
    colours = colormaps["magma_r"](np.linspace(0.07, 0.85, 256))[:, :3]
    luminance = colours**2.2 @ np.array([0.2126, 0.7152, 0.0722])
    grey = np.repeat(luminance[:, None] ** (1 / 2.2), 3, axis=1)
    own = np.clip(np.linspace(0, 5, 256), 0.12, 1)[:, None]
    return LinearSegmentedColormap.from_list("heat", own * colours + (1 - own) * grey)


HEAT = _heat_colours()
"""Nearly uniform to the eye, pale to dark: the darker the more; it survives a black-and-white print."""
SIGNED = colormaps["coolwarm"]
"""Diverging around zero: blue lowers the explained score, red raises it."""

_COLOURS = {
    "gradient": "#d55e00",
    "gradient_abs": "#e69f00",
    "gradient_x_input": "#cc79a7",
    "integrated_gradients": "#009e73",
    "smoothgrad": "#882255",
}
_OTHERS = ("#44aa99", "#aa4499", "#999933", "#661100", "#117733", "#332288")
_DASHES = {
    "random": (0, (5, 2)),
    "amplitude": (0, (1, 1.4)),
    "prediction": (0, (5, 1.5, 1, 1.5)),
    "edges": (0, (8, 2, 1, 2, 1, 2)),
}
_BLUES = {1: "#a6dcf8", 5: "#45aee8", 10: "#0068b0", 20: "#3d3fa8", 40: "#1d0f5e"}
_OCCLUSION = re.compile(r"occlusion_w(\d+(?:x\d+)*)(.*)")
_PAPER = (0, (7, 2))
_VARIANTS = {
    "_single": (0, (6, 1.5, 1, 1.5)),
    "_vmean": (0, (3.5, 1.2)),
    "_vmode": (0, (2, 0.8)),
    "_v": (0, (5, 1, 2, 1)),
}
"""Lines of occlusions that differ from the plain one in what they put in, or in the channels they take."""


def explainer_style(name: str, position: int = 0) -> dict[str, Any]:
    """Colour and line style of an explainer, the same in every figure.

    Controls are grey and broken, a ``-paper`` twin has its sibling's colour in long dashes, occlusion is
    blue, darker the more points it takes away, and broken where it puts in another value than 0 or takes single
    channels. ``position`` picks the colour of a name that is not known here.
    """
    if name in CONTROLS:
        return {"color": UNDECIDED, "linestyle": _DASHES[name]}
    base = name.removesuffix("-paper")
    if occlusion := _OCCLUSION.match(base):
        colour = _blue(math.prod(int(width) for width in occlusion[1].split("x")))
        line = next((dashes for mark, dashes in _VARIANTS.items() if mark in occlusion[2]), "-")
    else:
        colour, line = _COLOURS.get(base, _OTHERS[position % len(_OTHERS)]), "-"
    return {"color": colour, "linestyle": line if base == name else _PAPER}


def _blue(width: int) -> str:
    places = np.log2(list(_BLUES))
    anchors = np.array([to_rgb(colour) for colour in _BLUES.values()])
    red, green, blue = (float(np.interp(np.log2(max(width, 1)), places, channel)) for channel in anchors.T)
    return to_hex((red, green, blue))


def plain(text: object) -> str:
    """Text that Matplotlib shows as it is: a dollar sign in a name starts no formula."""
    return str(text).replace("$", r"\$")


def wrapped(name: str, width: int) -> str:
    """The name broken after ``_``, ``-`` or a space into lines of about ``width`` characters."""
    lines = [""]
    for part in re.findall(r"[^_\- ]*[_\- ]?", name):
        if part and lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return plain("\n".join(line.strip() for line in lines))


def shortened(text: str, letters: int) -> str:
    """At most so many letters of the text; an ellipsis stands for what was cut."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def fitted(name: str, width: int) -> str:
    """As `wrapped`, with every word that is too long for a line shortened."""
    return "\n".join(shortened(line, width + 1) for line in wrapped(name, width).split("\n"))


def tidy(axes: Axes, *, grid: Literal["x", "y"] | None = None) -> None:
    """Light frame, small ticks and, on request, hairlines across ``grid`` = ``"x"`` or ``"y"``."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
        axes.spines[side].set_linewidth(0.7)
    axes.tick_params(labelsize=SMALL, labelcolor=INK, color=MUTED, length=3, width=0.7)
    if grid:
        axes.grid(axis=grid, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)


def heading(figure: Figure, title: str, note: str = "") -> None:
    """Title at the top left, and under it one muted line that says how to read the figure."""
    height = figure.get_figheight()
    figure.text(0.12 / WIDTH, 1 - 0.1 / height, plain(title), size=TITLE, weight="bold", color=INK, va="top")
    if note:
        figure.text(0.12 / WIDTH, 1 - 0.38 / height, plain(note), size=TEXT, color=MUTED, va="top")


def require_columns(table: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raises ValueError naming the columns that ``table`` lacks."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{what} lacks {missing}; found the columns {list(table.columns)}.")
    if table.empty:
        raise ValueError(f"{what} has no rows; expected at least one.")


def png_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as PNG with a palette of 256 colours, a third of the size of full colour."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    small = io.BytesIO()
    _with_palette(np.asarray(canvas.buffer_rgba())[..., :3]).save(small, format="PNG", compress_level=6)
    return small.getvalue()


def _with_palette(pixels: NDArray[np.uint8]) -> Image.Image:
    """``pixels`` (height, width, 3): the 128 commonest colours exactly, the rest by their nearest of 128.

    A common quantiser spends its palette on the edges of letters and shifts flat colours, which here
    carry the meaning: a grey band must not turn pink.
    """
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    colours, place, counts = np.unique(packed, return_inverse=True, return_counts=True)
    by_count = np.argsort(-counts, kind="stable")
    common, rare = by_count[:128], by_count[128:]
    rgb = (colours[:, None] >> np.array([16, 8, 0], dtype=np.uint32) & 255).astype(np.uint8)
    index = np.zeros(len(colours), dtype=np.uint8)
    index[common] = np.arange(len(common))
    palette = rgb[common].tobytes()
    if len(rare):
        merged = Image.fromarray(rgb[rare][None]).quantize(
            128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        index[rare] = 128 + np.asarray(merged)[0]
        palette += bytes(merged.getpalette() or b"")[: 3 * 128]
    image = Image.fromarray(index[place].reshape(packed.shape))
    image.putpalette(palette)
    return image
