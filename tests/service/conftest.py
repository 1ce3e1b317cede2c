"""One running service, shared by the tests of this folder: it takes seconds to start."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.service import down, status, up
from tasks.settings import Settings

FOREIGN = ("MLFLOW_", "PREFECT_", "PLUMBLINE_")


@pytest.fixture(scope="package")
def clean_environment() -> Iterator[None]:
    """No variable of the caller or of another test reaches the service, and none of it gets out."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(FOREIGN):
            del os.environ[name]
    # Worker and scheduler look every few seconds instead of every 10 and 60, so that the tests wait less.
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = "2"
    os.environ["PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS"] = "5"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="package")
def new_settings(clean_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Makes settings with an empty home and free ports; keywords replace single ones."""

    def make(**replaced: object) -> Settings:
        home: Path = tmp_path_factory.mktemp("home")
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            ports = {"mlflow_port": one.getsockname()[1], "prefect_port": two.getsockname()[1]}
        return Settings(**{"home": home, **ports, **replaced})

    return make


@dataclass(frozen=True)
class Service:
    """The running service, the names that `up` returned, the seconds it took and its idle memory (bytes)."""

    settings: Settings
    started: tuple[str, ...]
    seconds: float
    memory: dict[str, int]


@pytest.fixture(scope="package")
def first_start(new_settings: Callable[..., Settings]) -> Iterator[Service]:
    """The service, started in an empty home; ended after the last test of this folder."""
    settings = new_settings()
    begin = time.monotonic()
    try:
        started = up(settings)
        seconds = time.monotonic() - begin
        memory = {process.name: process.memory for process in status(settings).processes}
        yield Service(settings, started, seconds, memory)
    finally:
        down(settings)


@pytest.fixture
def service(first_start: Service) -> Service:
    """The running service, whatever the test before has done to it."""
    up(first_start.settings)
    return first_start
