"""Figures 1 and 2 of Vijayarangan et al. (2020): how a class activation map and a learned mask come about.

Both are drawn from the layers of the network that they explain, so that another network gives other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .boxes import LETTERS_PER_INCH, NAME, WORDS, Box, Point, arrow, canvas
from .layout import WIDTH
from .network_layers import Layer
from .network_stages import Stage, merged, stages
from .style import FIRST, MUTED, SECOND, SMALL, fitted, heading, wrapped

_SIDE, _TOP, _BETWEEN, _BOTTOM = 0.15, 0.8, 0.45, 0.2
"""Inches beside the boxes, above them, between two rows, and below."""
_GAP, _WIDEST, _NARROWEST, _ROOM = 0.22, 1.7, 0.85, 0.2
"""Inches between two boxes of a row, of the widest and the narrowest, and inside one around its words."""
_LOW = NAME + 2 * WORDS + _ROOM
"""Inches of a box with two lines of words."""
_SOURCE, _MOVED = 1.55, 1.75
"""Inches across the boxes of what goes into the moved signal, and of it."""


def cam_schema(layers: Sequence[Layer], *, title: str) -> Figure:
    """Above, the network from left to right; below, how its last maps and its weights become the map of a class.

    ``layers`` as `network_layers` reads them from a network on signals that ends in the mean over columns and one
    linear layer. ValueError where it ends otherwise.
    """
    parts = stages(layers)
    _require_linear_end(parts)
    parts = _as_fit(parts, _SIDE)
    height = _height(parts)
    figure, axes = canvas(_TOP + height + 2 * (_BETWEEN + _LOW) + _BOTTOM)
    row = _row(parts, _SIDE, figure.get_figheight() - _TOP - height)
    _chain(axes, row)
    total = _draw_sum(axes, row[-3:], *parts[-3].shape)
    points, padded = layers[0].shape[1], max(layer.shape[1] for layer in layers if len(layer.shape) == 2)
    _draw_map(axes, total, parts[-3].shape[1], points, padded - points)
    heading(figure, title, "above: the network, channels × time of every part; below, in blue: the map of a class c")
    return figure


def _draw_sum(axes: Axes, ends: Sequence[Box], features: int, columns: int) -> Box:
    """Below the last three boxes of the network the maps, the sum and the weights; returns the sum."""
    names = (("maps $f_k$", f"{features} × {columns}"), ("$\\Sigma_k$", "weights\n× maps"),
             ("weights $w_k$", f"of a class:\n{features}"))  # fmt: skip
    maps, total, weights = (
        Box(above.left, above.bottom - _BETWEEN - _LOW, above.width, _LOW, name, words)
        for above, (name, words) in zip(ends, names, strict=True)
    )
    for box in (maps, total, weights):
        box.draw(axes, edge=FIRST)
    for above, box in ((ends[0], maps), (ends[2], weights)):
        arrow(axes, (above.across, above.bottom), (above.across, box.top), FIRST)
    arrow(axes, *_rightwards(maps, total), FIRST)
    arrow(axes, (weights.left, weights.upright), (total.right, total.upright), FIRST)
    return total


def _draw_map(axes: Axes, total: Box, columns: int, points: int, padded: int) -> None:
    """Below the sum the map that it gives and, left of it, what becomes of it."""
    bottom, left = total.bottom - _BETWEEN - _LOW, total.right - 2.6
    activation = Box(left, bottom, 2.6, _LOW, "class activation map of class c",
                     f"$M_c(t) = \\Sigma_k\\, w_k^c\\, f_k(t)$\n{columns} columns")  # fmt: skip
    cropped = f"; {padded} padded points cropped" if padded else ""
    spread = Box(left - 4.0, bottom, 3.6, _LOW, "brought to the signal",
                 f"{columns} columns → {points} points by linear\ninterpolation{cropped}")  # fmt: skip
    for box in (activation, spread):
        box.draw(axes, edge=FIRST)
    arrow(axes, (total.across, total.bottom), (total.across, activation.top), FIRST)
    arrow(axes, (activation.left, activation.upright), (spread.right, spread.upright), FIRST)


def mask_schema(
    layers: Sequence[Layer], *, sparsity: float, smoothness: float, steps: int, restarts: int, title: str
) -> Figure:
    """A signal moved by a mask towards a baseline, the network that reads it, and the three terms that move the mask.

    ``layers`` as `network_layers` reads them from a classifier of signals. ``sparsity`` and ``smoothness`` weigh the
    mask's mean and its mean absolute difference of neighbours (lambda 1 and 2 of Eq. 2 in its corrected form), beside
    the probability of the class; ``steps`` of descent are made from each of ``restarts`` masks. ValueError where the
    network gives no scores of classes.
    """
    parts = stages(layers)
    if len(parts) < 2 or len(parts[-1].shape) != 1:
        raise ValueError("layers end without scores of classes; expected those of a classifier.")
    figure, axes = canvas(_TOP + 4 * _LOW + 2 * _GAP + _BETWEEN + _BOTTOM)
    sources, moved = _draw_sources(axes, figure.get_figheight() - _TOP, " × ".join(map(str, layers[0].shape)))
    left = moved.right + _GAP
    parts = _as_fit(parts[1:], left)
    row = _row(parts, left, moved.upright - _height(parts, left) / 2)
    arrow(axes, *_rightwards(moved, row[0]))
    _chain(axes, row)
    kept = f" from each of {restarts} beginnings; the mask with the lowest J is kept" if restarts > 1 else ""
    words = (
        "few points are moved  +  those next to each other  +  the class c loses its probability\n"
        f"{steps} steps of descent on m{kept}"
    )
    terms = f"$J(m) = {sparsity:g}\\cdot\\overline{{|m|}} + {smoothness:g}\\cdot TV(m) + p_c(\\varphi)$"
    _draw_objective(axes, sources[-1], row[-1], f"objective  {terms}", words)
    heading(figure, title, "black: forwards; orange: the objective's slope moves the mask, the network stays as it is")
    return figure


def _draw_sources(axes: Axes, top: float, shape: str) -> tuple[list[Box], Box]:
    """Baseline, signal and mask below each other, and right of them the signal that they make."""
    words = (("baseline k", f"what stands for\nnothing: {shape}"), ("signal x", f"a window:\n{shape}"),
             ("mask m", f"in [0, 1], learned:\n{shape}"))  # fmt: skip
    sources = [
        Box(_SIDE, top - _LOW - number * (_LOW + _GAP), _SOURCE, _LOW, *pair) for number, pair in enumerate(words)
    ]
    middle = sources[1].upright
    moved = Box(_SIDE + _SOURCE + 0.4, sources[1].bottom, _MOVED, _LOW, "moved signal",
                "$\\varphi = (1 - m)\\,x + m\\,k$")  # fmt: skip
    for box in (*sources, moved):
        box.draw(axes)
    for source in sources:
        arrow(axes, (source.right, source.upright), (moved.left, middle + (source.upright - middle) / 6))
    return sources, moved


def _draw_objective(axes: Axes, mask: Box, last: Box, name: str, words: str) -> None:
    """The sum of the terms below all, what enters it from the mask and the network, and what comes back."""
    objective = Box(_SIDE, mask.bottom - _BETWEEN - _LOW, WIDTH - 2 * _SIDE, _LOW, name, words)
    objective.draw(axes, edge=SECOND)
    for at, bottom in ((mask.across - 0.25, mask.bottom), (last.across, last.bottom)):
        arrow(axes, (at, bottom), (at, objective.top))
    arrow(axes, (mask.across + 0.25, objective.top), (mask.across + 0.25, mask.bottom), SECOND)
    axes.text(last.across - 0.08, objective.top + _BETWEEN / 2, "softmax, $p_c$", size=SMALL, color=MUTED, ha="right",
              va="center")  # fmt: skip


def _require_linear_end(parts: Sequence[Stage]) -> None:
    shapes = [part.shape for part in parts]
    if len(parts) < 4 or [len(shape) for shape in shapes[-3:]] != [2, 1, 1] or shapes[-3][0] != shapes[-2][0]:
        raise ValueError(
            f"layers end in {[part.kinds for part in parts[-3:]]}; expected maps (channel, column), their mean over "
            "columns and one linear layer."
        )


def _as_fit(parts: tuple[Stage, ...], left: float) -> tuple[Stage, ...]:
    """The parts, or where their boxes would be too narrow those of a series as one."""
    return parts if _width(len(parts), left) >= _NARROWEST else merged(parts)


def _width(count: int, left: float) -> float:
    """Of each of so many boxes in a row that begins so far left."""
    return min(_WIDEST, (WIDTH - _SIDE - left + _GAP) / count - _GAP)


def _words(part: Stage, width: float) -> str:
    letters = int(width * LETTERS_PER_INCH) - 2
    return wrapped(part.kinds, letters) + "\n" + part.shapes.replace(" → ", "\n→ ")


def _height(parts: Sequence[Stage], left: float = _SIDE) -> float:
    """Inches of a row of boxes: of the one with most words."""
    lines = max(_words(part, _width(len(parts), left)).count("\n") + 1 for part in parts)
    return NAME + lines * WORDS + _ROOM


def _row(parts: Sequence[Stage], left: float, bottom: float) -> list[Box]:
    """A box per part, side by side."""
    width, height = _width(len(parts), left), _height(parts, left)
    return [
        Box(left + number * (width + _GAP), bottom, width, height,
            fitted(part.name, int(width * LETTERS_PER_INCH) - 1), _words(part, width))
        for number, part in enumerate(parts)
    ]  # fmt: skip


def _chain(axes: Axes, row: Sequence[Box]) -> None:
    for box in row:
        box.draw(axes)
    for one, other in pairwise(row):
        arrow(axes, *_rightwards(one, other))


def _rightwards(one: Box, other: Box) -> tuple[Point, Point]:
    return (one.right, one.upright), (other.left, one.upright)
