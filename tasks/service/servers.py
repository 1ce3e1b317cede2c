"""How each process of the service is started: its command, its environment, its sign of health."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from pydantic import SecretStr

from ..errors import UsageError
from ..settings import CHECKOUT, Settings, platform_environment
from .access import mlflow_access, prefect_access
from .processes import ServerProcess, ServiceError, start
from .record import MLFLOW, PREFECT, WORKER

POOL = "plumbline"
CONCURRENT_RUNS = 2
"""Flow runs at a time. Two, so that the reaper is not kept waiting by hours of training."""

START_LIMIT = 300.0
POLL = 0.2


def process_environment(settings: Settings) -> dict[str, str]:
    """The environment of every process of the service: these settings, these servers, one thread each."""
    environment = {**platform_environment(settings), **os.environ, **_settings_environment(settings)}
    search_path = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return environment | {
        "PLUMBLINE_CHECKOUT": str(CHECKOUT),
        "TMPDIR": str(_temporary_folder(settings)),
        "PYTHONPATH": os.pathsep.join(search_path),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": settings.prefect_store,
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "PREFECT_API_URL": settings.prefect_url,
        # The command line silences Prefect on the terminal; the service writes to its log files.
        "PREFECT_LOGGING_LEVEL": "INFO",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def _temporary_folder(settings: Settings) -> Path:
    """Under home as well: a killed flow run leaves its workspace behind."""
    folder = settings.root / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables; paths made absolute, because a flow run works in another folder."""
    variables = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        if isinstance(value, Path):
            value = value.expanduser().resolve()
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[f"PLUMBLINE_{name.upper()}"] = str(value)
    return variables


def require_free_port(host: str, port: int, setting: str) -> None:
    """Raises UsageError, naming port and setting, unless a server could listen there."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UsageError(
            f"{setting}: port {port} on {host} cannot be used ({error.strerror}); free it or set {setting} "
            "to a port that no other program uses."
        ) from error


def start_mlflow(settings: Settings) -> ServerProcess:
    """Starts the MLflow server."""
    return _start(settings, MLFLOW, settings.mlflow_url)


def start_prefect(settings: Settings) -> ServerProcess:
    """Starts the Prefect server with its scheduler."""
    return _start(settings, PREFECT, settings.prefect_url)


def start_worker(settings: Settings) -> ServerProcess:
    """Starts the worker; it has no web server, its sign of life is its heartbeat at the Prefect server."""
    return _start(settings, WORKER, None)


def command_of(settings: Settings, name: str) -> list[str]:
    """The command of one process. It names no database and no password: every user of a machine sees commands."""
    return [sys.executable, "-m", *_MODULES[name](settings)]


def environment_of(settings: Settings, name: str) -> dict[str, str]:
    """The environment of one process, with what only this one may know."""
    environment = process_environment(settings)
    if name == MLFLOW:
        return environment | {"MLFLOW_BACKEND_STORE_URI": settings.mlflow_store} | mlflow_access(settings)
    return environment | prefect_access(settings) if name == PREFECT else environment


def _mlflow_module(settings: Settings) -> list[str]:
    """One worker process, no job runner (they cost 2 GiB and a slower answer).

    New experiments keep their artifacts where clients reach them too, so that they stay readable when it is down.
    """
    if settings.artifact_folder is not None:
        settings.artifact_folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--host": settings.host,
        "--port": settings.mlflow_port,
        "--workers": 1,
        "--default-artifact-root": settings.artifact_root,
        "--artifacts-destination": settings.artifact_root,
        **({"--app-name": "basic-auth"} if settings.password is not None else {}),
    }
    return ["mlflow", "server", *_arguments(options)]


def _prefect_module(settings: Settings) -> list[str]:
    options = {"--host": settings.host, "--port": settings.prefect_port}
    return ["prefect", "server", "start", "--analytics-off", *_arguments(options)]


def _worker_module(settings: Settings) -> list[str]:
    options = {"--pool": POOL, "--name": POOL, "--type": "process", "--limit": CONCURRENT_RUNS}
    return ["prefect", "worker", "start", "--install-policy", "never", *_arguments(options)]


_MODULES: dict[str, Callable[[Settings], list[str]]] = {
    MLFLOW: _mlflow_module,
    PREFECT: _prefect_module,
    WORKER: _worker_module,
}


def answers(url: str) -> bool:
    """Whether a server answers at the health address ``url``."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def mlflow_answers(settings: Settings) -> bool:
    """Whether the MLflow server answers."""
    return answers(f"{settings.mlflow_url}/health")


def prefect_answers(settings: Settings) -> bool:
    """Whether the Prefect server answers."""
    return answers(f"{settings.prefect_url}/health")


def wait_until(server: ServerProcess, healthy: Callable[[], bool], limit: float = START_LIMIT) -> None:
    """Waits for ``healthy``; ServiceError if the process ends before, or after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while not healthy():
        if not server.running:
            raise ServiceError(f"The {server.name} process ended while it was starting; see {server.log}.")
        if time.monotonic() > deadline:
            raise ServiceError(f"The {server.name} process was not ready after {limit:.0f} s; see {server.log}.")
        time.sleep(POLL)


def _start(settings: Settings, name: str, url: str | None) -> ServerProcess:
    log = settings.root / "logs" / f"{name}.log"
    return start(name, command_of(settings, name), environment_of(settings, name), log, url)


def _arguments(options: dict[str, object]) -> list[str]:
    return [str(part) for pair in options.items() for part in pair]
