"""What an evaluation needs is away, locked or full: it waits or says so, and a rerun leaves nothing twice."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from background import EVALUATE, Background, started
from copying import copy_before_judging
from installation import Installation
from looking import assert_judged_once, evaluations, published

AWAY, LOCKED = 20.0, 8.0
MEBIBYTE = 2**20


@pytest.mark.soak
def test_publishing_waits_for_an_mlflow_server_that_is_away(
    judged: Installation,
    mlflow_server,  # type: ignore[no-untyped-def]
) -> None:
    mlflow_server.kill()
    home = mlflow_server.settings.root
    shutil.rmtree(home)
    copy = copy_before_judging(judged, home, shards=(0, 1))
    mlflow_server.start()
    client = Installation(home, {"MLFLOW_TRACKING_URI": mlflow_server.url})

    with started(client, *EVALUATE) as evaluation:
        evaluation.wait_for(lambda: len(published(copy)) == 4)
        mlflow_server.kill()
        gone = time.monotonic()
        logged = published(copy)
        time.sleep(AWAY - 8)  # starting again takes the rest
        mlflow_server.start()
        assert time.monotonic() - gone > AWAY - 8
        assert evaluation.end() == 0, evaluation.output

    assert len(logged) < len(published(copy))
    assert_judged_once(copy, judged)


@pytest.mark.soak
def test_an_evaluation_waits_for_a_locked_ledger(judged: Installation, tmp_path: Path) -> None:
    copy = copy_before_judging(judged, tmp_path / "home", shards=(0, 1))
    ledger = copy.home / "ledger.db"
    with closing(sqlite3.connect(ledger)) as other, started(copy, *EVALUATE) as job:
        other.execute("BEGIN IMMEDIATE")
        job.wait_for(lambda: _has_open(job, ledger))
        time.sleep(LOCKED)
        assert job.process.poll() is None, job.output
        assert evaluations(copy).empty
        other.rollback()
        assert job.end() == 0, job.output
    assert_judged_once(copy, judged)


def _has_open(command: Background, path: Path) -> bool:
    return str(path) in {file.path for file in psutil.Process(command.process.pid).open_files()}


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder ``evaluations`` of a home, on a file system of its own of 32 MiB."""
    disk = tmp_path / "home" / "evaluations"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={32 * MEBIBYTE}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.soak
def test_a_full_disk_is_named_and_a_rerun_completes(judged: Installation, full_disk: Path) -> None:
    copy = copy_before_judging(judged, full_disk.parent, shards=(0, 1))
    ballast = full_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(full_disk).free - MEBIBYTE // 4))

    failed = copy.plumbline(*EVALUATE)

    assert failed.returncode == 1
    assert f"no space is left on the disk of {full_disk}" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert published(copy).empty

    ballast.unlink()
    again = copy.plumbline(*EVALUATE)
    assert again.returncode == 0, again.stderr
    assert_judged_once(copy, judged)
