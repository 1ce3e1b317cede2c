"""One figure: every ratio with its interval, beside its goal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from .row import NEVER_SLOWER
from .running import Outcome

MET, MISSED, GOAL = "#1b7f5c", "#c8442f", "#222222"
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def draw(outcomes: Sequence[Outcome], machine: str, file: Path) -> None:
    """Writes the figure, a line per row and peer, the axis in logarithms."""
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.32 * len(outcomes)), layout="constrained")
    for place, one in enumerate(outcomes):
        colour = MET if one.met else MISSED
        axes.plot([one.ratio_low, one.ratio_high], [place] * 2, color=colour, linewidth=3, solid_capstyle="round")
        axes.plot(one.ratio, place, "o", color=colour, markersize=6)
        if one.goal != NEVER_SLOWER:
            axes.plot(one.goal, place, "|", color=GOAL, markersize=13, markeredgewidth=2)
        beside = max(one.ratio_high, one.goal if one.goal < 2 * one.ratio_high else 0)  # no mark through the number
        axes.annotate(
            f"{one.ratio:.3g}", (beside, place), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, color=colour,
        )  # fmt: skip
    axes.axvline(1, color="0.6", linewidth=1, zorder=0)
    axes.set_yticks(range(len(outcomes)), [f"{one.row}   vs {one.peer}" for one in outcomes], fontsize=8)
    axes.set_ylim(len(outcomes) - 0.4, -0.6)
    axes.set_xscale("log")
    low = min(one.ratio_low for one in outcomes)
    high = max(max(one.ratio_high, one.goal) for one in outcomes)
    axes.set_xlim(min(0.7, 0.85 * low), 1.7 * high)
    ticks = [tick for tick in TICKS if 0.85 * low <= tick <= 1.7 * high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("the peer's time over Plumbline's (log), with 95 % interval")
    axes.set_title(f"Plumbline against its peers, results equal\n{machine}", loc="left", fontsize=10)
    axes.plot([], [], "o-", color=MET, label="goal met")
    axes.plot([], [], "o-", color=MISSED, label="missed")
    axes.plot([], [], "|", color=GOAL, markersize=13, markeredgewidth=2, linestyle="none", label="goal")
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=8)
    figure.savefig(file, dpi=140)
    plt.close(figure)
