"""The three databases: MLflow's, Prefect's and the ledger, brought up to date by one command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url

from ..ledger import open_ledger
from ..progress import track
from ..settings import Settings
from .processes import ServiceError
from .record import MLFLOW, NAMES, PREFECT, read_record
from .servers import process_environment

LEDGER = "ledger"


@dataclass(frozen=True)
class Database:
    """One of the three; ``setting`` is the variable that names another place for it."""

    name: str
    setting: str
    url: URL

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None on a server."""
        return Path(str(self.url.database)) if self.url.get_backend_name() == "sqlite" else None

    @property
    def kind(self) -> str:
        """`SQLite` or `PostgreSQL`."""
        return "PostgreSQL" if self.file is None else "SQLite"

    @property
    def address(self) -> str:
        """The URL without anything secret."""
        return self.url.set(query={}).render_as_string(hide_password=True)


def databases(settings: Settings) -> tuple[Database, ...]:
    """The ledger first: a backup then knows nothing as done that MLflow's part of it does not show."""
    return (
        Database(LEDGER, "PLUMBLINE_LEDGER_URL", make_url(settings.ledger)),
        Database(MLFLOW, "PLUMBLINE_MLFLOW_DATABASE", make_url(settings.mlflow_store)),
        Database(PREFECT, "PLUMBLINE_PREFECT_DATABASE", make_url(settings.prefect_store)),
    )


def require_down(settings: Settings, what: str) -> None:
    """Raises ServiceError if a process of this home's service runs."""
    record = read_record(settings)
    running = [name for name in NAMES if record.running(name)]
    if running:
        raise ServiceError(
            f"{', '.join(running)} of {settings.root} still run; run `plumbline down` before `plumbline {what}`."
        )


def upgrade(settings: Settings) -> tuple[str, ...]:
    """Brings the tables of all three databases to what the installed programs expect; makes them where none are.

    Call it once before several processes use a new database: MLflow's tables are not made by two at once.
    Returns the addresses without passwords. ServiceError if the service runs or a migration fails.
    """
    require_down(settings, "upgrade")
    settings.root.mkdir(parents=True, exist_ok=True)
    steps: list[Callable[[Settings], None]] = [_upgrade_ledger, _upgrade_mlflow, _upgrade_prefect]
    for step in track(steps, "plumbline upgrade"):
        step(settings)
    return tuple(f"{database.name}: {database.address}" for database in databases(settings))


def _upgrade_ledger(settings: Settings) -> None:
    open_ledger(settings.ledger).close()


def _upgrade_mlflow(settings: Settings) -> None:
    # As `mlflow db upgrade` does, but the URL with its password is not in a command line for all to see.
    program = "import os; from mlflow.db import upgrade; upgrade.callback(os.environ['MLFLOW_BACKEND_STORE_URI'])"
    environment = process_environment(settings) | {"MLFLOW_BACKEND_STORE_URI": settings.mlflow_store}
    _run(settings, MLFLOW, ["-c", program], environment)


def _upgrade_prefect(settings: Settings) -> None:
    Path(process_environment(settings)["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    command = ["-m", "prefect", "server", "database", "upgrade", "-y"]
    _run(settings, PREFECT, command, process_environment(settings))


def _run(settings: Settings, name: str, command: list[str], environment: dict[str, str]) -> None:
    log = settings.root / "logs" / "upgrade.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run([sys.executable, *command], env=environment, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        raise ServiceError(f"The database of {name} could not be upgraded; see {log}.")
