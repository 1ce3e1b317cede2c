"""A Plumbline installation of a test: its home and its command line, run as a person would."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
STUDY = "ecg-beats"


@dataclass(frozen=True)
class Installation:
    """A Plumbline home and its command line."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLUMBLINE_", "MLFLOW_", "PREFECT_"))}
        return {
            **kept,
            "PLUMBLINE_HOME": str(self.home),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "160",
            **self.settings,
        }

    def plumbline(self, *arguments: str, timeout: float = 1_500) -> subprocess.CompletedProcess[str]:
        """Runs the command line as a person would."""
        return subprocess.run(
            self.command(*arguments),
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line's words, for a test that starts the process itself."""
        return [sys.executable, "-m", "flows", *arguments]

    def python(self, code: str) -> str:
        """Runs Python in this installation's environment; returns what it printed."""
        program = f"from tasks.settings import *; prepare_environment(Settings())\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
