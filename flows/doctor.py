"""What is missing or misconfigured, and the fix."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from tasks.errors import UsageError
from tasks.ledger import open_ledger
from tasks.service.access import require_password_beyond_this_machine
from tasks.service.connections import reach_artifacts, reach_database, reach_servers
from tasks.service.databases import databases
from tasks.settings import CHECKOUT, Settings

MUST_STAY_BELOW = {"fastapi": "0.151", "SQLAlchemy": "2.1"}
"""Newer ones install, start, and silently never run a schedule with Prefect 3.8."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``fix`` is empty where it is fine."""

    fine: bool
    what: str
    found: str
    fix: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Everything that the service needs, looked at one by one; the settings come last."""
    return [
        _python(),
        *_packages(),
        _mlflow_is_the_package(),
        _home(settings),
        _ledger(settings),
        *_databases(settings),
        _artifacts(settings),
        _password(settings),
        *_ports(settings),
        *_settings(settings),
    ]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(sys.version_info >= (3, 11), "Python", found, "" if sys.version_info >= (3, 11) else "install 3.11")


def _packages() -> Iterator[Finding]:
    for name, bound in MUST_STAY_BELOW.items():
        found = importlib.metadata.version(name)
        fine = Version(found) < Version(bound)
        yield Finding(fine, name, found, "" if fine else f"pip install '{name}<{bound}': schedules never fire with it")


def _mlflow_is_the_package() -> Finding:
    hidden = (CHECKOUT / "mlflow" / "__init__.py").exists()
    fix = "remove mlflow/__init__.py: it hides the mlflow package" if hidden else ""
    return Finding(not hidden, "MLflow", importlib.metadata.version("mlflow"), fix)


def _home(settings: Settings) -> Finding:
    folder = settings.root if settings.root.exists() else settings.root.parent
    writable = os.access(folder, os.W_OK)
    return Finding(writable, "home", str(settings.root), "" if writable else "set PLUMBLINE_HOME to a writable folder")


def _ledger(settings: Settings) -> Finding:
    try:
        ledger = open_ledger(settings.ledger, wait=2.0)
    except Exception as error:
        return Finding(False, "ledger", str(error), "set PLUMBLINE_LEDGER_URL")
    ledger.close()
    return Finding(True, "ledger", ledger.address)


def _databases(settings: Settings) -> Iterator[Finding]:
    for database in databases(settings):
        if database.name == "ledger":
            continue  # opened as a whole above
        wrong = reach_database(database)
        fix = f"start its server and create the database, or set {database.setting}"
        yield Finding(not wrong, f"{database.name} database", wrong or database.address, fix if wrong else "")


def _artifacts(settings: Settings) -> Finding:
    wrong = reach_artifacts(settings)
    fix = "set PLUMBLINE_ARTIFACTS, and for a bucket MLFLOW_S3_ENDPOINT_URL and AWS_*, to one that can be written"
    return Finding(not wrong, "artifacts", wrong or settings.artifact_root, fix if wrong else "")


def _password(settings: Settings) -> Finding:
    try:
        require_password_beyond_this_machine(settings)
    except UsageError as error:
        return Finding(False, "password", "none", str(error))
    wrong = reach_servers(settings)
    asked = "asked by both servers" if settings.password else "none; only this machine reaches the servers"
    fix = "set PLUMBLINE_USER and PLUMBLINE_PASSWORD to what the servers know; deploy/README.md says how to change it"
    return Finding(not wrong, "password", wrong or asked, fix if wrong else "")


def _ports(settings: Settings) -> Iterator[Finding]:
    for what, port in (("MLflow port", settings.mlflow_port), ("Prefect port", settings.prefect_port)):
        with socket.socket() as probe:
            taken = probe.connect_ex((settings.reachable_host, port)) == 0
        yield Finding(True, what, f"{port}, {'in use' if taken else 'free'}")


def _settings(settings: Settings) -> Iterator[Finding]:
    for name, value in settings.model_dump().items():
        yield Finding(True, f"PLUMBLINE_{name.upper()}", str(value))
