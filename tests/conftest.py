"""Fixtures that any test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from installation import STUDY, Installation

os.environ.setdefault("OMP_NUM_THREADS", "1")

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Gives the folder of a real data set, or skips the test, saying so."""
    root = Path(os.environ.get("PLUMBLINE_REAL_DATA", CHECKOUT / "../shared/data")).resolve()

    def folder(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"real recordings {name} are not at {root} (PLUMBLINE_REAL_DATA)")
        return root / name

    return folder


JUDGE_ONE_STUDY = f"""
from flows.faithfulness import faithfulness
from flows.gate import gate
from flows.train import train
version = train("{STUDY}")["version"]
faithfulness("{STUDY}", version=version)
assert gate("{STUDY}", version)["passed"]
"""


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with one study trained on its phantom, judged by one job and promoted; look, do not change."""
    installation = Installation(tmp_path_factory.mktemp("judged") / "home")
    installation.python(JUDGE_ONE_STUDY)
    return installation


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation in which `plumbline run` on the phantoms of all studies has just ended well; do not change.

    It may use all cores, as a user's does: the studies then run side by side.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    installation = Installation(tmp_path_factory.mktemp("everything") / "home", {"OMP_NUM_THREADS": str(cores)})
    done = installation.plumbline("run", "--study", "all", timeout=3_000)
    assert done.returncode in (0, 4), f"{done.stdout}\n{done.stderr}"  # a refused gate is a result
    (installation.home / "closing-table.txt").write_text(done.stdout)
    return installation
