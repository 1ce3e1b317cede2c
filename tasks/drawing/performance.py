"""How well the model itself does: the confusion of its classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .layout import inches
from .style import HEAT, INK, MUTED, SMALL, TEXT, WIDTH, heading, wrapped


def confusion(matrix: ArrayLike, classes: Sequence[str], *, title: str = "Confusion of the classes") -> Figure:
    """Counts ``(true class, predicted class)``, each cell with its share of the true class.

    A class without samples has undefined shares and stays white. ValueError where the matrix is not
    square with a row per class.
    """
    counts = np.asarray(matrix)
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(f"matrix has shape {counts.shape}; expected {(size, size)}, a row per class.")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    rows = [f"{wrapped(name, 24)}\nn = {total:,}" for name, total in zip(classes, totals[:, 0], strict=True)]
    cell = min(0.62, 6.5 / size)
    figure = Figure(figsize=(WIDTH, cell * size + 1.6), facecolor="white")
    width = min(1.3, 7.2 / size)
    axes = inches(figure, 2.4, 0.85, width * size, cell * size)
    axes.imshow(np.ma.masked_invalid(shares), cmap=HEAT.with_extremes(bad="white"), vmin=0, vmax=1, aspect="auto")
    _write_cells(axes, counts, shares)
    axes.set_xticks(range(size), labels=[wrapped(name, int(12 * width)) for name in classes])
    axes.set_yticks(range(size), labels=rows)
    axes.tick_params(labelsize=SMALL, labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class", size=TEXT, color=INK, labelpad=6)
    middle = (0.85 + cell * size / 2) / figure.get_figheight()
    figure.text(0.15 / WIDTH, middle, "true class", size=TEXT, color=INK, rotation=90, va="center")
    heading(figure, title, "number of samples, and share of the true class")
    return figure


def _write_cells(axes: Axes, counts: NDArray[np.integer], shares: NDArray[np.floating]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        shade = MUTED if np.isnan(share) or count == 0 else "white" if share > 0.45 else INK
        text = f"{count:,}" if np.isnan(share) or count == 0 else f"{count:,}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", size=SMALL, color=shade)
