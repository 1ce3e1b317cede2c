"""How often each model of the regression finds an effect where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .intervals import beside, draw_interval
from .layout import Margins, grid
from .style import FIRST, INK, MUTED, SECOND, SMALL, TEXT, heading, plain, require_columns, tidy

COLUMNS = ("model", "false_positive_rate", "ci_low", "ci_high", "nominal")


def false_positives(calibration: pd.DataFrame, *, draws: int, title: str) -> Figure:
    """The share of tests that a model calls significant over ``draws`` deals of the factors at random.

    ``calibration`` has the columns model, false_positive_rate, ci_low, ci_high and nominal (all in [0, 1]), a row
    per model. Blue: the interval reaches down to the nominal rate; orange: it lies above. ValueError where a
    column is missing or the nominal rates differ.
    """
    require_columns(calibration, COLUMNS, "calibration")
    nominal = calibration["nominal"].unique()
    if len(nominal) != 1:
        raise ValueError(f"calibration has the nominal rates {nominal.tolist()}; expected one.")
    rows = calibration.reset_index(drop=True)
    figure, cells = grid(1, 1, 0.34 * len(rows) + 0.2, Margins(2.3, 2.0, 0.95, 0.6))
    axes = cells[0, 0]
    axes.axvline(nominal[0], color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.text(nominal[0], -0.65, f"nominal {nominal[0]:.0%}", size=SMALL, color=MUTED, va="bottom", ha="left")
    for position, row in rows.iterrows():
        place = int(str(position))
        colour = SECOND if row["ci_low"] > nominal[0] else FIRST
        face = colour if np.isfinite(row["ci_low"]) else "white"
        draw_interval(axes, place, row["false_positive_rate"], row, (colour, "o", face, ""))
        axes.text(1.03, place, _rate(row), **beside(axes))
    axes.set_yticks(range(len(rows)), labels=[plain(name) for name in rows["model"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(0.12, min(1.0, 1.08 * rows[["false_positive_rate", "ci_high"]].max().max())))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("tests that find an effect where there is none", size=TEXT, color=INK)
    heading(figure, title, f"n = {draws:,} deals of the factors to the subjects at random; models and relevance kept")
    return figure


def _rate(row: pd.Series) -> str:
    if not np.isfinite(row["false_positive_rate"]):
        return "undefined"
    if not np.isfinite(row["ci_low"]):
        return f"{row['false_positive_rate']:.1%} (no interval)"
    return f"{row['false_positive_rate']:.1%} [{row['ci_low']:.1%}, {row['ci_high']:.1%}]"
