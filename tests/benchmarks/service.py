"""What the service costs: the nightly faithfulness job of ecg-beats, bare and with Prefect, MLflow and the ledger.

Each run is a process of its own, because so is a flow run; imports are not counted. Recordings differ from round to
round, or the second would find its work done. A longer job has more beats to explain, not more to report, so what is
added is given in seconds, and as a share of a job of two minutes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from installation import STUDY, Installation
from rich.table import Table
from service_overhead import BARE, WITH_SERVICE, copied, printed_seconds, recorded, served

NAME = "service"
ROUNDS, SUBJECTS = 2, 4
LONG = 120.0
"""Seconds from which a job's overhead is to be judged."""
ALLOWED = 0.10
"""Of such a job."""


@dataclass(frozen=True)
class Overhead:
    """Seconds of the job in each round, bare and with the service."""

    bare: tuple[float, ...]
    whole: tuple[float, ...]

    @property
    def added(self) -> float:
        """Seconds, in the median."""
        return float(np.median(np.subtract(self.whole, self.bare)))


def measured(folder: Path) -> Overhead:
    """Trains a version on a phantom, starts the service, and runs the job on new recordings in both ways, in turns."""
    trained = Installation(folder / "trained")
    trained.python(f'from flows.train import train\ntrain("{STUDY}")')
    plain, installation = copied(trained, folder / "bare"), served(trained, folder / "served")
    bare, whole = [], []
    try:
        for number in range(ROUNDS):
            recordings = recorded(plain, folder / f"recordings-{number}", SUBJECTS, seed=number)
            bare += printed_seconds(plain, BARE, recordings)
            whole += printed_seconds(installation, WITH_SERVICE, recordings)
    finally:
        installation.plumbline("down")
    return Overhead(tuple(bare), tuple(whole))


def shown(found: Overhead) -> Table:
    """One line."""
    table = Table(title="What the service adds to a job", title_justify="left")
    for name in ("bare, s", "with service, s", "added, s", "of a job of 2 minutes", "allowed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        _listed(found.bare), _listed(found.whole), f"{found.added:.1f}", f"{found.added / LONG:.1%}", f"{ALLOWED:.0%}"
    )
    return table


def _listed(seconds: tuple[float, ...]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds)
