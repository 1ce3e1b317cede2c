"""A command line that runs while the test does something else to it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from installation import CHECKOUT, STUDY, Installation

EVALUATE = ("evaluate", "faithfulness", STUDY)


@dataclass(frozen=True)
class Background:
    """A running command; its output goes to a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, moment: Callable[[], bool], seconds: float = 1_200) -> None:
        """Waits for the moment; fails with the output if the command ends or time runs out before."""
        deadline = time.monotonic() + seconds
        while not moment():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the moment never came:\n{self.output}")
            time.sleep(0.02)

    def end(self, seconds: float = 1_500) -> int:
        """Waits for the end; the exit code."""
        return self.process.wait(seconds)


@contextmanager
def started(installation: Installation, *arguments: str) -> Iterator[Background]:
    """The command, running; it is gone after the block."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "output.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                installation.command(*arguments),
                cwd=CHECKOUT,
                env=installation.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Background(process, log)
        finally:
            # Its whole session: a killed command leaves its temporary Prefect server behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
