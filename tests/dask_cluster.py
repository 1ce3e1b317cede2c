"""A real Dask cluster on this machine: a scheduler and workers of one thread, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client
from installation import CHECKOUT
from support import free_port


@dataclass
class Cluster:
    """``address`` of the scheduler and the processes of the workers; ``kill`` takes one away without a word."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def workers(self) -> list[subprocess.Popen[bytes]]:
        return self.processes[1:]

    def start(self, workers: int) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        quiet = ("--host", "127.0.0.1", "--no-dashboard")
        self._spawn("dask_scheduler", "--port", self.address.rpartition(":")[2], *quiet)
        for _ in range(workers):
            self._spawn("dask_worker", self.address, "--nthreads", "1", "--no-nanny", *quiet)
        with self.client() as client:
            client.wait_for_workers(workers, timeout=300)

    def client(self) -> Client:
        deadline = time.monotonic() + 300
        while True:
            try:
                return Client(self.address, set_as_default=False)
            except OSError:
                if time.monotonic() > deadline:
                    raise

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _spawn(self, module: str, *arguments: str) -> None:
        log = self.folder / f"{module}-{len(self.processes)}.log"
        with log.open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
                    cwd=self.folder,
                    env={**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )


@contextmanager
def running_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A cluster with so many workers, their logs in ``folder``; it is gone after the block."""
    cluster = Cluster(folder)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.stop()
