"""`service.json` under home: which processes run for this home, so that any later command finds them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..settings import Settings
from .processes import ServerProcess

MLFLOW, PREFECT, WORKER = "mlflow", "prefect", "worker"
NAMES = (MLFLOW, PREFECT, WORKER)


@dataclass(frozen=True)
class Record:
    """The processes by name, and the digest of the deployments that were applied last."""

    processes: dict[str, ServerProcess]
    deployments: str | None = None

    def running(self, name: str) -> bool:
        """Whether the process ``name`` was started and is alive."""
        return name in self.processes and self.processes[name].running


def record_file(settings: Settings) -> Path:
    """Where the record lies."""
    return settings.root / "service.json"


def read_record(settings: Settings) -> Record:
    """The record, empty if nothing was started for this home."""
    path = record_file(settings)
    if not path.exists():
        return Record({})
    content = json.loads(path.read_text())
    processes = (ServerProcess(**entry) for entry in content["processes"])
    return Record({process.name: process for process in processes}, content["deployments"])


def write_record(settings: Settings, processes: Iterable[ServerProcess], deployments: str | None) -> None:
    """Writes the record whole or not at all."""
    content = {"processes": [asdict(process) for process in processes], "deployments": deployments}
    path = record_file(settings)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2))
    os.replace(partial, path)


def service_environment(settings: Settings) -> dict[str, str]:
    """What a client must find in its environment to talk to the running servers; empty if they are down.

    Put it into the environment before `prepare_environment`, which only fills in what is missing.
    """
    record = read_record(settings)
    variables = {MLFLOW: "MLFLOW_TRACKING_URI", PREFECT: "PREFECT_API_URL"}
    return {
        variable: url
        for name, variable in variables.items()
        if record.running(name) and (url := record.processes[name].url)
    }
