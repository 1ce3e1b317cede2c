"""`python -m benchmarks`: every row, one table."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from tasks.allocator import keep_freed_memory
from tasks.settings import Settings, prepare_environment

from . import growth, service
from .machine import described, use_tf32
from .row import Row, Setting
from .rows import ROWS
from .running import NotEqualError, Outcome, run
from .table import frame, shown

GROWTH_SHARE = 0.2
"""Of the time, for the second table."""


def main(
    rows: Annotated[str, typer.Option(help="Only rows whose name matches, as in 'lrp-*'.")] = "*",
    minutes: Annotated[float, typer.Option(help="Time for all; every round is finished, and five are made.")] = 10.0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
) -> None:
    """Runs every contender of every row in turns, results compared first, and prints one table.

    The table is also kept as CSV, with a figure, under the folder bench of PLUMBLINE_HOME, and in MLflow's experiment
    plumbline/bench. On a GPU all is measured twice: products in full precision, then with TF32. The exit code is 1
    where results differ, else 0: a missed goal is a result.
    """
    torch.set_num_threads(1)
    keep_freed_memory()  # as flows do; the peers gain from it as well
    warnings.simplefilter("ignore")
    prepare_environment(Settings())
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    chosen = [row for row in ROWS if fnmatch(row.name, rows) and (where == "cpu" or row.gpu)]
    growing = [one for one in growth.GROWTHS if fnmatch(one.name, rows)]
    with_service = where == "cpu" and fnmatch(service.NAME, rows)
    if not chosen and not growing and not with_service:
        known = ", ".join([*(row.name for row in ROWS), service.NAME])
        raise typer.BadParameter(f"no row matches {rows!r}; expected some of {known}.")
    ends = time.monotonic() + 60 * minutes
    if with_service:
        _service()
    modes = [False] if where == "cpu" else [False, True]
    seconds = max(0.0, ends - time.monotonic()) / len(modes)
    equal = [_table(chosen, growing, where, tf32, seconds) for tf32 in modes if chosen or growing]
    sys.exit(0 if all(equal) else 1)


def _service() -> None:
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as folder:
        Console(width=150).print(service.shown(service.measured(Path(folder))))


def _table(rows: list[Row], growing: list[growth.Growth], device: str, tf32: bool, seconds: float) -> bool:
    """Measures and shows all; whether all results were equal."""
    use_tf32(tf32)
    machine, console = described(device), Console()
    console.width = max(console.width, 150)  # else a table in a file would be folded
    ends = time.monotonic() + seconds * (1 - GROWTH_SHARE * bool(growing))
    outcomes: list[Outcome] = []
    failures = []
    for place, row in enumerate(rows):
        began = time.monotonic()
        try:
            found = list(run(row, Setting(device), max(0.0, ends - began) / (len(rows) - place)))
        except NotEqualError as problem:
            failures.append(str(problem))
            continue
        outcomes.extend(found)
        for one in found:
            console.print(
                f"{one.row:>24} {one.ratio:8.3g} over {one.peer} \\[{one.ratio_low:.3g}, {one.ratio_high:.3g}], "
                f"{one.rounds} rounds, {time.monotonic() - began:.0f} s",
                highlight=False,
            )
    grown = growth.measured(growing, Setting(device), seconds * GROWTH_SHARE)
    _keep(outcomes, grown, machine, Settings().root / "bench" / ("tf32" if tf32 else device), console)
    for failure in failures:
        console.print(f"[red]not timed, results differ: {failure}[/red]")
    return not failures


def _keep(outcomes: list[Outcome], grown: list[growth.Grown], machine: str, folder: Path, console: Console) -> None:
    """Prints both tables and writes them, with the figure, to files and to MLflow."""
    from .plot import draw  # MLflow and Matplotlib come up after the timing: neither is to share its memory
    from .publishing import publish

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    if outcomes:
        console.print(shown(outcomes, machine))
        files = [folder / "bench.csv", folder / "bench.png"]
        frame(outcomes).to_csv(files[0], index=False)
        draw(outcomes, machine, files[1])
    if grown:
        console.print(growth.shown(grown))
        files.append(folder / "growth.csv")
        growth.frame(grown).to_csv(files[-1], index=False)
    run_id = publish(outcomes, machine, files)
    console.print(f"{folder}; MLflow run {run_id} of plumbline/bench", highlight=False)


if __name__ == "__main__":
    typer.run(main)
