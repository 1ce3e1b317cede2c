"""The table that `plumbline run` ends with: per study the winner, the gate's verdict and what was quarantined."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tasks.settings import Settings

from .main_job import Outcome


def show_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """Prints the table, what was found in words, and how to open the pages."""
    table = Table(
        "study", "version", "most faithful", "gate", "quarantined", "time", title="Plumbline", show_lines=True
    )
    for outcome in outcomes:
        table.add_row(
            outcome.study,
            outcome.version,
            outcome.winner,
            outcome.gate,
            str(outcome.quarantined),
            f"{outcome.seconds:.0f} s",
        )
    console.print(table)
    for outcome in outcomes:
        for line in outcome.lines:
            console.print(f"  {line}", highlight=False, markup=False)
    settings = Settings()
    pages = f"{settings.mlflow_url} (MLflow) and http://{settings.host}:{settings.prefect_port} (Prefect)"
    console.print(f"Open the pages: plumbline up, then {pages}", highlight=False)
