"""Means to break things on purpose: a server that goes away and comes back, a process killed at a moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tasks.service.processes import ServerProcess, end
from tasks.service.servers import mlflow_answers, start_mlflow, wait_until
from tasks.settings import CHECKOUT, Settings, platform_environment

FOREIGN = ("MLFLOW_", "PREFECT_", "PLUMBLINE_")


class MlflowServer:
    """A real MLflow server on one database and one port, whatever happens to its process.

    ``start`` and ``kill`` may alternate; ``freeze`` and ``thaw`` leave clients waiting without an answer.
    ``environment`` is what a client process needs to use it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: ServerProcess | None = None

    @property
    def url(self) -> str:
        return self.settings.mlflow_url

    @property
    def environment(self) -> dict[str, str]:
        return {**platform_environment(self.settings), "MLFLOW_TRACKING_URI": self.url}

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        self.process = start_mlflow(self.settings)
        wait_until(self.process, lambda: mlflow_answers(self.settings))

    def kill(self) -> None:
        """SIGKILL to the server and its children, as when the machine takes it away."""
        if self.process is not None:
            end([self.process], grace=0)

    def freeze(self) -> None:
        """Stops every process of the server; connections stay open and unanswered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        leader = self.process.leader if self.process is not None else None
        assert leader is not None, "the server does not run"
        for process in [leader, *leader.children(recursive=True)]:
            process.send_signal(number)


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A running MLflow server with an empty database; gone after the test."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = MlflowServer(Settings(home=tmp_path / "server", mlflow_port=port))
    server.start()
    yield server
    server.kill()


class Victim:
    """A Python process to be killed; ``lines`` are what it has printed so far."""

    def __init__(self, code: str, environment: Mapping[str, str], log: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", code],
                cwd=CHECKOUT,
                env={**inherited, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def wait_for(self, moment: Callable[[Victim], bool], seconds: float = 240.0) -> None:
        """Waits for the moment; fails with the output if the process ends or time runs out before."""
        deadline = time.monotonic() + seconds
        while not moment(self):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail("the moment never came:\n" + "\n".join(self.lines))
            time.sleep(0.02)

    def kill_when(self, moment: Callable[[Victim], bool], seconds: float = 240.0) -> None:
        """SIGKILL to the process and its children at the moment, without a chance to clean up.

        Freezes it first, so that nothing happens between the look at its children and the kill.
        """
        self.wait_for(moment, seconds)
        self.kill()

    def kill(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGSTOP)
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            process.kill()
        self.process.wait()

    def finish(self, seconds: float = 300.0) -> None:
        """Waits for a good end; fails with the output otherwise."""
        code = self.process.wait(seconds)
        assert code == 0, "\n".join(self.lines)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Callable[..., Victim]]:
    """Starts Python code in processes of its own: ``victim(code, environment)``; all are gone after the test.

    ``victim(code, env).kill_when(lambda it: "shard 2" in it.log.read_text())`` is the whole use.
    """
    started: list[Victim] = []

    def start(code: str, environment: Mapping[str, str] | None = None) -> Victim:
        log = tmp_path / f"victim-{len(started)}.log"
        started.append(Victim(code, environment or {}, log))
        return started[-1]

    yield start
    for each in started:
        each.kill()
