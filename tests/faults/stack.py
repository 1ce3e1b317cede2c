"""The deployed service on one machine, every part a process of its own that a test can kill and start again.

PostgreSQL holds the ledger and the databases of MLflow and Prefect. The two servers, the worker and the deployments
are those of `plumbline up`. Flow runs reach all three servers by cables that can be pulled.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import psutil
import pytest
from postgres import installed_binaries, server_user, wait_until_up
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from support import free_port

from tasks.service import deployments, down, lifecycle, up
from tasks.service.processes import ServerProcess, members
from tasks.service.record import MLFLOW, PREFECT, WORKER, read_record
from tasks.settings import CHECKOUT, Settings

from .network import Cable

FOREIGN = ("MLFLOW_", "PREFECT_", "PLUMBLINE_")
HERE = Path(__file__).resolve().parent
DATABASES = ("ledger", "mlflow", "prefect")
POSTGRES, FLOW, HOST, TERMINATED = "postgres", "flow", "host", "worker by SIGTERM"
VICTIMS = (FLOW, WORKER, TERMINATED, HOST, MLFLOW, PREFECT, POSTGRES)
STOPPED_WITHIN = 60
"""Seconds: TimeoutStopSec of the units in deploy/systemd."""


class PostgresServer:
    """PostgreSQL on one folder and one port, whatever happens to its processes."""

    def __init__(self) -> None:
        binaries = installed_binaries()
        if binaries is None:
            pytest.skip("no PostgreSQL server on this machine")
        self.binaries, self.user, self.port = binaries, server_user(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="faults-postgres-"))
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        initialise = [binaries / "initdb", "-D", self.folder / "data", "-U", "plumbline", "-A", "trust", "-E", "UTF8"]
        subprocess.run(initialise, user=self.user, cwd=self.folder, check=True, capture_output=True)
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str, driver: str = "psycopg", port: int | None = None) -> str:
        return f"postgresql+{driver}://plumbline@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Starts the server and waits until it answers; it repairs itself after a kill."""
        log = self.folder / "log"
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        command += ["-h", "127.0.0.1", "-c", "max_connections=200"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, user=self.user, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )
        wait_until_up(self.url("").rstrip("/"), log)

    def kill(self) -> int:
        """SIGKILL to the server and every process of it; returns how many died."""
        assert self.process is not None
        leader = psutil.Process(self.process.pid)
        everyone = [leader, *leader.children(recursive=True)]
        died = sum(_kill(each) for each in everyone)
        self.process.wait()
        psutil.wait_procs(everyone, timeout=60)
        return died

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(180)
        shutil.rmtree(self.folder, ignore_errors=True)


class Stack:
    """The running service; `kill` and `mend` may alternate. Use `stack_in`."""

    def __init__(self, home: Path, postgres: PostgresServer) -> None:
        self.postgres = postgres
        self.ports = {MLFLOW: free_port(), PREFECT: free_port(), POSTGRES: postgres.port}
        self.cables = {name: Cable(port) for name, port in self.ports.items()}
        self.settings = Settings(
            home=home,
            mlflow_port=self.ports[MLFLOW],
            prefect_port=self.ports[PREFECT],
            mlflow_database=SecretStr(postgres.url("mlflow")),
            prefect_database=SecretStr(postgres.url("prefect", "asyncpg")),
            ledger_url=SecretStr(postgres.url("ledger", port=self.cables[POSTGRES].port)),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the processes of the service must find in their environment."""
        return {
            "FAULTS_MLFLOW_URL": f"http://127.0.0.1:{self.cables[MLFLOW].port}",
            "FAULTS_PREFECT_URL": f"http://127.0.0.1:{self.cables[PREFECT].port}/api",
            "PYTHONPATH": f"{HERE}{os.pathsep}{CHECKOUT}",
            # Looked at every few seconds, so that the tests wait less.
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        }

    @property
    def answers(self) -> bool:
        """Whether Prefect can be asked: itself and its database are alive."""
        alive = self.postgres.process is not None and self.postgres.process.poll() is None
        return alive and read_record(self.settings).running(PREFECT)

    def kill(self, victim: str) -> int:
        """SIGKILL to a part of the service; returns how many processes died.

        ``flow``: what the worker runs; ``host``: the worker and what it runs; ``worker by SIGTERM``: as service
        managers end it.
        """
        if victim == POSTGRES:
            return self.postgres.kill()
        process = read_record(self.settings).processes[victim if victim in (MLFLOW, PREFECT) else WORKER]
        leader = process.leader
        if victim == TERMINATED:
            return _terminate(process)
        chosen = members(process)
        if victim == FLOW:
            chosen = [each for each in chosen if each != leader]
        elif victim == WORKER:
            chosen = [each for each in chosen if each == leader]
        return sum(_kill(each) for each in chosen)

    def mend(self) -> None:
        """Starts again what is dead, as `plumbline up` does."""
        if self.postgres.process is None or self.postgres.process.poll() is not None:
            self.postgres.start()
        up(self.settings)

    @contextmanager
    def prefect(self) -> Iterator[Any]:
        """A client of the Prefect server."""
        with deployments.prefect_client(self.settings.prefect_url) as client:
            yield client

    def submit(self, deployment: str, **parameters: object) -> Any:
        """Makes a run of a deployment come due now; returns it."""
        with self.prefect() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def flow_run(self, identifier: Any) -> Any:
        with self.prefect() as client:
            return client.read_flow_run(identifier)

    def unfinished(self) -> list[Any]:
        """Flow runs that have not ended, whoever started them."""
        with self.prefect() as client:
            return [run for run in client.read_flow_runs(limit=200) if not run.state.is_final()]

    def run_to_end(self, deployment: str, limit: float = 600.0, **parameters: object) -> Any:
        """Runs a deployment undisturbed; returns its last state."""
        run = self.submit(deployment, **parameters)
        wait_for(lambda: self.flow_run(run.id).state.is_final(), limit, lambda: f"{deployment}: {self.log(WORKER)}")
        return self.flow_run(run.id).state

    def query(self, database: str, statement: str) -> pd.DataFrame:
        """A table out of one of the databases, past the servers."""
        engine = create_engine(self.postgres.url(database))
        try:
            with engine.connect() as connection:
                return pd.read_sql_query(text(statement), connection)
        finally:
            engine.dispose()

    @contextmanager
    def holding(self, *statements: str) -> Iterator[None]:
        """A transaction on the ledger that another program began and does not end."""
        engine = create_engine(self.postgres.url("ledger"))
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
            yield
        engine.dispose()

    @contextmanager
    def no_network(self, how: Literal["refused", "silent"]) -> Iterator[None]:
        """No server can be reached by flow runs within the block; see `Cable`."""
        with ExitStack() as cut:
            for cable in self.cables.values():
                cut.enter_context(getattr(cable, how)())
            yield

    def log(self, name: str, lines: int = 60) -> str:
        """The end of a process's log."""
        path = self.settings.root / "logs" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


@contextmanager
def stack_in(home: Path, more: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A running stack; its processes and databases are gone after the block, the environment is as before."""
    postgres = PostgresServer()
    with pytest.MonkeyPatch.context() as patch:
        try:
            postgres.start()
            for name in DATABASES:
                _create_database(postgres, name)
            stack = Stack(home, postgres)
            for name in [name for name in os.environ if name.startswith(FOREIGN)]:
                patch.delenv(name)
            for name, value in {**stack.environment, **(more or {})}.items():
                patch.setenv(name, value)
            patch.setattr(deployments, "DEPLOYMENTS", HERE / "deployments.yaml")
            patch.syspath_prepend(HERE)  # where `up` finds the small study
            before = dict(os.environ)
            try:
                stack.mend()
                patch.setattr(lifecycle, "apply_deployments", lambda _: None)  # they are in PostgreSQL
                yield stack
            finally:
                down(stack.settings)
                for name in set(os.environ) - set(before):  # `up` fills in what MLflow and Prefect need
                    del os.environ[name]
                for cable in stack.cables.values():
                    cable.close()
        finally:
            postgres.remove()


def wait_for(moment: Callable[[], bool], limit: float, told: Callable[[], str] = str, pause: float = 0.5) -> None:
    """Waits for the moment; fails after ``limit`` seconds with what ``told`` says."""
    deadline = time.monotonic() + limit
    while not moment():
        if time.monotonic() > deadline:
            pytest.fail(f"the moment never came in {limit:.0f} s: {told()}")
        time.sleep(pause)


def _create_database(postgres: PostgresServer, name: str) -> None:
    engine = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()


def _kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _terminate(process: ServerProcess) -> int:
    """SIGTERM to the first, and to all that is left when the time of deploy/systemd's units is over, SIGKILL."""
    if process.leader is None:
        return 0
    process.leader.terminate()
    try:
        process.leader.wait(STOPPED_WITHIN)
    except psutil.TimeoutExpired:
        return sum(_kill(each) for each in members(process))
    return 1
