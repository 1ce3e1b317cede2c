"""What Vijayarangan et al. (2020) saw in Figure 3, as numbers: a row per rhythm and method, with its verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from .intervals import beside, digits_for, draw_interval, interval_text, widen_to_zero
from .layout import WIDTH, Margins, grid
from .style import FIRST, INK, MUTED, RULE, SECOND, SMALL, TEXT, UNDECIDED, fitted, heading, require_columns, tidy

COLUMNS = (
    "rhythm", "method", "words", "value", "ci_low", "ci_high", "control", "control_low", "control_high", "verdict"
)  # fmt: skip
VERDICTS = {
    "supported": (FIRST, "o", FIRST, "supported"),
    "contradicted": (SECOND, "s", SECOND, "contradicted"),
    "undecided": (UNDECIDED, "D", UNDECIDED, "undecided"),
}
"""Colour, marker and fill of each, and its word."""
UNDEFINED = "undefined"
_CONTROL = ("#aeb6c0", "o", "white", "control: amplitude")
_LINE, _ROOM = 0.16, 0.16
"""Inches of a line of words, and around the words of a row."""
_APART, _BELOW = 0.3, 0.3
"""In rows: between two rhythms, and from a value down to its control."""
_NAMES = {"rhythm": (0.12, 9), "method": (0.98, 14), "words": (2.12, 32)}
"""Inches from the left edge, and letters, of what stands left of the axes."""


def claim_forest(claims: pd.DataFrame, *, title: str) -> Figure:
    """Of each claim the relevance in the claimed region beyond chance, its interval and verdict, and the control.

    ``claims`` has a row per rhythm and method and the columns rhythm, method, words (what the paper says the method
    looks at), value, ci_low, ci_high, control, control_low, control_high (the same of the signal's amplitude) and
    verdict, ``supported``, ``contradicted`` or ``undecided``: the figure colours it and decides nothing. Where the
    value is not finite, that is written. Rows keep their order, those of a rhythm come together. ValueError where a
    column is missing or a verdict is another.
    """
    require_columns(claims, COLUMNS, "claims")
    _require_verdicts(claims)
    rows = claims.assign(group=pd.factorize(claims["rhythm"])[0]).sort_values("group", kind="stable")
    rows["place"] = np.arange(len(rows)) + _APART * rows["group"]
    names = {column: [fitted(str(name), letters) for name in rows[column]] for column, (_, letters) in _NAMES.items()}
    lines = max(name.count("\n") + 1 for column in names.values() for name in column)
    last = rows["place"].iloc[-1]
    figure, cells = grid(1, 1, (_LINE * max(lines, 2) + _ROOM) * (last + 1), Margins(4.3, 2.5, 0.8, 1.1))
    axes = cells[0, 0]
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    _draw(axes, rows)
    _name(figure, axes, rows, names)
    axes.set_ylim(last + 0.55, -0.55)
    axes.set_yticks([])
    tidy(axes, grid="x")
    axes.spines["left"].set_visible(False)
    widen_to_zero(axes, rows[list(COLUMNS[3:9])])
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("relevance in the region beyond chance", size=TEXT, color=INK)
    _key(figure)
    heading(figure, title, "relevance in the region that the paper names, less what chance puts there (0), with its "
            "interval")  # fmt: skip
    return figure


def _require_verdicts(claims: pd.DataFrame) -> None:
    known = claims[np.isfinite(claims["value"].astype(float))]
    others = sorted(set(map(str, known["verdict"])) - set(VERDICTS))
    if others:
        raise ValueError(f"claims has the verdicts {others}; expected some of {list(VERDICTS)}.")


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    """Value, control and their words, row by row."""
    digits = digits_for(rows["value"])
    for _, row in rows.iterrows():
        place, control = row["place"], row["place"] + _BELOW
        limits = pd.Series({"ci_low": row["control_low"], "ci_high": row["control_high"]})
        draw_interval(axes, control, row["control"], limits, _CONTROL)
        if not np.isfinite(row["value"]):
            axes.text(1.03, place, UNDEFINED, **beside(axes) | {"color": MUTED})
            continue
        look = VERDICTS[row["verdict"]]
        draw_interval(axes, place, row["value"], row, look)
        axes.text(1.03, place, look[3], **beside(axes) | {"color": look[0], "weight": "bold"})
        axes.text(1.03, control + 0.06, interval_text(row["value"], row, digits), **beside(axes))


def _name(figure: Figure, axes: Axes, rows: pd.DataFrame, names: dict[str, list[str]]) -> None:
    """Rhythm, method and words left of the axes, each rhythm once, and a hairline above it."""
    at = blended_transform_factory(figure.transFigure, axes.transData)
    begins = (~rows["group"].duplicated()).to_numpy()
    for number, place in enumerate(rows["place"]):
        for column, colour, weight in (("rhythm", INK, "bold"), ("method", MUTED, "normal"), ("words", INK, "normal")):
            if column != "rhythm" or begins[number]:
                axes.text(_NAMES[column][0] / WIDTH, place, names[column][number], transform=at, size=SMALL,
                          color=colour, weight=weight, va="center")  # fmt: skip
        if number and begins[number]:
            above = place - 0.5 - _APART / 2
            axes.plot([0.012, 0.988], [above] * 2, transform=at, color=RULE, linewidth=0.7, clip_on=False, zorder=0)


def _key(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, markersize=6, linewidth=2, label=label)
        for colour, marker, face, label in [*VERDICTS.values(), _CONTROL]
    ]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=SMALL,
                  bbox_to_anchor=(0.5, 0.1 / figure.get_figheight()))  # fmt: skip
