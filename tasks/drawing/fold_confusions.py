"""Confusion of the classes in every fold, beside all folds together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .layout import Margins, grid
from .share_boxes import folds_counted
from .style import HEAT, INK, MUTED, SMALL, TEXT, WIDTH, heading, plain, require_columns, wrapped

COLUMNS = ("fold", "true", "predicted", "count")
_PANELS_PER_ROW = 4
_WIDEST = 2.4
_LEFT, _RIGHT = 1.2, 0.15


def fold_confusions(table: pd.DataFrame, classes: Sequence[str], *, title: str, samples: str = "epochs") -> Figure:
    """A panel for all folds together and one per fold: percent of each true class (row) put into each class (column).

    ``table`` has the columns fold, true, predicted (names of ``classes``) and count. A class without samples in a
    fold is left white, with a dash. ValueError where a column is missing or a class is unknown.
    """
    require_columns(table, COLUMNS, "table")
    unknown = sorted((set(table["true"]) | set(table["predicted"])) - set(classes), key=str)
    if unknown:
        raise ValueError(f"table has the classes {unknown}; expected some of {list(classes)}.")
    panels = {"all folds": table, **{f"fold {fold}": rows for fold, rows in table.groupby("fold")}}
    columns = min(len(panels), _PANELS_PER_ROW)
    width = min(_WIDEST, (WIDTH - _LEFT - _RIGHT) / columns - 0.12)
    right = WIDTH - _LEFT - columns * width - (columns - 1) * 0.12
    margins = Margins(_LEFT, right, 0.95, 1.1, between_columns=0.12, between_rows=0.42)
    figure, axes = grid(-(-len(panels) // columns), columns, width * 0.9, margins)
    for spare in list(axes.flat)[len(panels) :]:
        spare.set_visible(False)
    for (name, rows), panel in zip(panels.items(), axes.flat, strict=False):
        counts = _counts(rows, classes)
        _panel(panel, counts, small=len(classes) > 5)
        panel.set_title(f"{plain(name)}: {counts.sum():,} {samples}", size=TEXT, color=INK, loc="left", pad=4)
    for number, panel in enumerate(axes.flat):
        panel.set_xticks(range(len(classes)), labels=[wrapped(c, 12) for c in classes], rotation=90, size=SMALL)
        panel.tick_params(labelbottom=len(panels) - columns <= number < len(panels))
    for line in axes:
        line[0].set_yticks(range(len(classes)), labels=[wrapped(name, 14) for name in classes], size=SMALL)
    figure.text(0.12 / WIDTH, 0.12 / figure.get_figheight(), "rows: true class; columns: predicted class", size=SMALL,
                color=MUTED)  # fmt: skip
    heading(figure, title, f"n = {folds_counted(table)}; percent of the true class")
    return figure


def _counts(rows: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    pivot = rows.pivot_table(index="true", columns="predicted", values="count", aggfunc="sum", fill_value=0)
    return pivot.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy(dtype=np.int64)


def _panel(axes: Axes, counts: NDArray[np.int64], *, small: bool) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    axes.imshow(np.ma.masked_invalid(shares), cmap=HEAT.with_extremes(bad="white"), vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = "–" if np.isnan(share) else f"{100 * share:.0f}"
        if not (small and share < 0.005):
            colour = "white" if share > 0.45 else INK if share > 0 else MUTED
            axes.text(column, row, text, ha="center", va="center", size=SMALL, color=colour)
    axes.tick_params(labelcolor=INK, length=0)
    axes.spines[:].set_visible(False)
