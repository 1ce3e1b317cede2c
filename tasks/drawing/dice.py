"""How well every case is segmented, member by member."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from .layout import Margins, grid
from .style import INK, SMALL, TEXT, UNDECIDED, heading, plain, require_columns, tidy

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#332288")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_NAMES = 70
"""More cases than this are not named: their names would overlap."""


def dice_by_case(cases: pd.DataFrame, *, title: str = "Dice of every case") -> Figure:
    """A point per case and member, cases from the best to the worst, with what marking all signal would reach.

    ``cases`` has the columns recording, member, dice and dice_by_chance; a case of several samples is shown by their
    mean. Undefined values are left out. ValueError where a column is missing or there is no row.
    """
    require_columns(cases, ("recording", "member", "dice", "dice_by_chance"), "cases")
    means = cases.groupby(["recording", "member"])["dice"].mean().unstack("member")
    means = means.loc[means.mean(axis=1).sort_values(ascending=False, na_position="last").index]
    chance = cases.groupby("recording")["dice_by_chance"].mean().reindex(means.index)
    named = len(means) <= _MOST_NAMES
    figure, axes = grid(1, 1, 3.2, Margins(0.7, 1.6, 0.75, 1.1 if named else 0.5))
    panel = axes[0, 0]
    places = range(len(means))
    for number, (member, values) in enumerate(means.items()):
        panel.plot(
            places, values, linestyle="none", marker=_MARKS[number % len(_MARKS)], markersize=5.5,
            color=_COLOURS[number % len(_COLOURS)], markeredgecolor="white", markeredgewidth=0.5,
            label=f"member {member}",
        )  # fmt: skip
    panel.plot(places, chance, linestyle="none", marker="_", markersize=7, color=UNDECIDED, label="all signal")
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlim(-0.7, len(means) - 0.3)
    panel.set_ylabel("Dice", size=TEXT, color=INK)
    tidy(panel, grid="y")
    panel.set_xticks(places if named else [], labels=[plain(name) for name in means.index] if named else [])
    panel.tick_params(axis="x", rotation=90, labelsize=SMALL)
    if not named:
        panel.set_xlabel(f"{len(means)} cases", size=TEXT, color=INK)
    panel.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=SMALL, labelcolor=INK)
    average = means.mean(axis=1).mean()
    note = f"mean {average:.3f}; a point per member that was tested on the case, a dash for marking all signal"
    heading(figure, title, note)
    return figure
