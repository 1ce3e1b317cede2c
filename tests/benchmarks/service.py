"""What the service costs: the nightly faithfulness job of ecg-beats, bare and with Prefect, MLflow and the ledger.

Each run is a process of its own, because so is a flow run; imports are not counted. A longer job has more beats to
explain, not more to report, so what is added is given in seconds, and as a share of a job of two minutes too. Both are
run once; `make soak` does it on such a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installation import STUDY, Installation
from rich.table import Table
from service_overhead import BARE, WITH_SERVICE, printed_seconds, recorded, served

NAME = "service"
SUBJECTS = 2
LONG = 120.0
"""Seconds from which a job's overhead is to be judged."""
ALLOWED = 0.10
"""Of such a job."""


@dataclass(frozen=True)
class Overhead:
    """Seconds of the job, bare and with the service."""

    bare: float
    whole: float

    @property
    def added(self) -> float:
        """Seconds that the service adds."""
        return self.whole - self.bare


def measured(folder: Path) -> Overhead:
    """Trains a version on a phantom, starts the service, and runs the job on new recordings in both ways."""
    trained = Installation(folder / "trained")
    trained.python(f'from flows.train import train\ntrain("{STUDY}")')
    recordings = recorded(trained, folder / "recordings", SUBJECTS, seed=1)
    installation = served(trained, folder / "served")
    try:
        (whole,) = printed_seconds(installation, WITH_SERVICE, recordings)
    finally:
        installation.plumbline("down")
    (bare,) = printed_seconds(trained, BARE, recordings)
    return Overhead(bare, whole)


def shown(found: Overhead) -> Table:
    """One line."""
    table = Table(title="What the service adds to a job", title_justify="left")
    for name in ("bare, s", "with service, s", "added, s", "of a job of 2 minutes", "allowed"):
        table.add_column(name, justify="right", no_wrap=True)
    share = found.added / LONG
    table.add_row(f"{found.bare:.1f}", f"{found.whole:.1f}", f"{found.added:.1f}", f"{share:.1%}", f"{ALLOWED:.0%}")
    return table
