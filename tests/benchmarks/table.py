"""The table of all rows: to read, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from rich.table import Table

from .row import NEVER_SLOWER
from .running import Outcome


def frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One line per row and peer, all that was measured."""
    return pd.DataFrame([asdict(one) | {"met": one.met, "verdict": one.verdict} for one in outcomes])


def shown(outcomes: Sequence[Outcome], machine: str) -> Table:
    """What a reader wants to know of it."""
    table = Table(title=f"Plumbline against its peers\n{machine}", title_justify="left", padding=(0, 1))
    for name in ("job", "best peer", "peer, ms", "ours, ms", "ratio", "goal", "", "difference", "over limit"):
        text = name in ("job", "best peer", "")
        table.add_column(name, justify="left" if text else "right", no_wrap=name != "job", overflow="fold")
    former = None
    for one in outcomes:
        table.add_row(
            "" if one.row == former else f"[bold]{one.row}[/bold] {one.job}",
            f"{one.peer}, {one.batching}" if one.batching else one.peer,
            _time(one.theirs),
            _time(one.ours),
            f"{one.ratio:.{_digits(one.ratio)}f} [{one.ratio_low:.{_digits(one.ratio)}f}, "
            f"{one.ratio_high:.{_digits(one.ratio)}f}]".replace("[", r"\["),
            f"≥ {one.goal:.2f}" if one.goal < 1 else f"{one.goal:g}",
            f"[green]{one.verdict}[/green]" if one.met else f"[red]{one.verdict}[/red]",
            f"{_small(one.equal)} / {_small(one.equal_timed)}",
            "–" if math.isnan(one.distance) else f"{one.distance:.1f}",
            end_section=False,
        )
        former = one.row
    table.caption = (
        "Medians of CPU time (on a GPU of the time that passed), contenders taking turns; ratio of a peer's time to "
        f"ours with its 95 % interval. Where no goal is set, its lower end must reach {NEVER_SLOWER}. Difference: of "
        "the largest value, in float64 on a small form / of what is timed; – where the peer means something else. "
        "Over limit: our time over that of as many operations in plain matrix products."
    )
    table.caption_justify = "left"
    return table


def _time(milliseconds: float) -> str:
    return f"{milliseconds:,.{_digits(milliseconds)}f}"


def _digits(value: float) -> int:
    """So many decimals that three figures are seen."""
    return max(0, 2 - math.floor(math.log10(value))) if value < 100 else 0


def _small(difference: float) -> str:
    return "–" if math.isnan(difference) else f"{difference:.0e}"
