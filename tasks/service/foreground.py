"""One process of the service in the foreground: what a container or a service unit starts."""

from __future__ import annotations

import os
import time

from ..errors import UsageError
from ..settings import Settings, prepare_environment
from .access import require_password_beyond_this_machine
from .deployments import apply_deployments, ensure_work_pool
from .processes import ServiceError
from .record import NAMES, WORKER
from .servers import START_LIMIT, answers, command_of, environment_of

ADDRESSES = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")


def run_in_foreground(settings: Settings, name: str) -> None:
    """Becomes the process ``name``: mlflow, prefect or worker; it does not return.

    A worker finds the servers at `MLFLOW_TRACKING_URI` and `PREFECT_API_URL`, by default on this machine, waits for
    Prefect, and applies the deployments first. UsageError for another name, or if others could reach a server
    without a password.
    """
    if name not in NAMES:
        raise UsageError(f"PROCESS is {name!r}; expected one of {', '.join(NAMES)}.")
    if name != WORKER:
        require_password_beyond_this_machine(settings)
    prepare_environment(settings)
    environment = environment_of(settings, name) | _given_addresses()
    command = command_of(settings, name)
    if name == WORKER:
        _await(environment["PREFECT_API_URL"])
        ensure_work_pool(settings, environment["PREFECT_API_URL"])
        apply_deployments(settings, environment["PREFECT_API_URL"])
    os.execve(command[0], command, environment)


def _given_addresses() -> dict[str, str]:
    return {name: os.environ[name] for name in ADDRESSES if os.environ.get(name, "").startswith("http")}


def _await(prefect: str) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not answers(f"{prefect}/health"):
        if time.monotonic() > deadline:
            raise ServiceError(f"No Prefect server answered at {prefect} for {START_LIMIT:.0f} s; see PREFECT_API_URL.")
        time.sleep(1.0)
