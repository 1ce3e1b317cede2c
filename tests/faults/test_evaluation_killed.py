"""A killed evaluation, run again, leaves what an undisturbed one leaves, and nothing twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from background import EVALUATE, started
from copying import copy_before_judging
from installation import Installation
from looking import assert_judged_once, published
from support import only


def _shards(installation: Installation) -> Path:
    return only(installation.home.glob("evaluations/*/shards"))


def _kill_after(installation: Installation, done: str, how: signal.Signals) -> None:
    """Starts the evaluation and ends it shortly after that file of its shards is written."""
    with started(installation, *EVALUATE) as evaluation:
        evaluation.wait_for((_shards(installation) / done).exists)
        time.sleep(0.3)
        evaluation.process.send_signal(how)
        assert evaluation.end(30) == -how, evaluation.output


def test_an_evaluation_killed_twice_and_rerun_equals_an_undisturbed_one(judged: Installation, tmp_path: Path) -> None:
    victim = copy_before_judging(judged, tmp_path / "home")
    shards = _shards(victim)

    _kill_after(victim, "00000/scores.parquet", signal.SIGKILL)
    assert not (shards / "00001/attributions.zarr").exists(), "meant to be killed while explaining the second shard"
    _kill_after(victim, "00001/attributions.zarr", signal.SIGTERM)
    assert not (shards / "00001/scores.parquet").exists(), "meant to be killed while scoring the second shard"
    done = [shards / name for name in ("00000/scores.parquet", "00000/attributions.zarr", "00001/attributions.zarr")]
    written = [path.stat().st_mtime_ns for path in done]

    again = victim.plumbline(*EVALUATE)

    assert again.returncode == 0, again.stderr
    assert [path.stat().st_mtime_ns for path in done] == written, "finished work was done again"
    assert_judged_once(victim, judged)


@pytest.mark.soak
def test_an_evaluation_killed_while_it_is_published_goes_on_in_the_same_runs(
    judged: Installation, tmp_path: Path
) -> None:
    victim = copy_before_judging(judged, tmp_path / "home", shards=(0, 1))
    with started(victim, *EVALUATE) as evaluation:
        evaluation.wait_for(lambda: len(published(victim)) == 4)
        evaluation.process.kill()
        evaluation.end()
    left = published(victim)
    assert {"RUNNING", "FINISHED"} == set(left["status"]), "meant to be killed among the explainers' runs"

    again = victim.plumbline(*EVALUATE)

    assert again.returncode == 0, again.stderr
    assert set(left["run"]) <= set(published(victim)["run"]), "a run was begun again"
    assert_judged_once(victim, judged)
