"""Commands without a running service are killed at any moment: a rerun completes them, the reaper closes the rest."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from faults.small_study import EXPLAINERS
from looking import RUNS, SCORE_KEYS
from support import only

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
SETTLE = "from tasks.settings import *; prepare_environment(Settings())\n"
TRAIN = SETTLE + "import small_study; print(small_study.train_small())"
JUDGE = SETTLE + "import small_study; print(small_study.judge_small({round}))"
REAP = """
from datetime import UTC, datetime, timedelta
from mlflow import MlflowClient
from prefect import get_client
from tasks.service.abandoned import close_abandoned_mlflow_runs, crash_silent_flow_runs
with get_client(sync_client=True) as prefect:
    later = datetime.now(UTC) + timedelta(minutes=20)
    crashed = crash_silent_flow_runs(prefect, now=later, wait=lambda _: None)
    print("crashed", len(crashed), "closed", len(close_abandoned_mlflow_runs(MlflowClient(), prefect)))
"""
OPEN_FLOW_RUNS = (
    "SELECT id, name, state_name FROM flow_run WHERE state_type NOT IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
)


class Home:
    """A Plumbline home whose commands are processes to be killed."""

    def __init__(self, home: Path, victim: Callable[..., Any]) -> None:
        self.home, self._victim = home, victim

    def start(self, code: str) -> Any:
        return self._victim(code, {"PLUMBLINE_HOME": str(self.home), "PYTHONPATH": f"{HERE}:{CHECKOUT}"})

    def run(self, code: str) -> str:
        done = self.start(code)
        done.finish(600)
        return "\n".join(done.lines)

    def query(self, database: str, statement: str) -> pd.DataFrame:
        with closing(sqlite3.connect(self.home / database, timeout=60)) as connection:
            return pd.read_sql_query(statement, connection)

    def reap(self) -> str:
        """What the reaper does 20 minutes later."""
        return self.run(SETTLE + REAP).splitlines()[-1]

    def assert_nothing_open(self) -> None:
        assert self.query("mlflow.db", "SELECT run_uuid, name FROM runs WHERE status = 'RUNNING'").empty
        left = self.query("prefect/prefect.db", OPEN_FLOW_RUNS)
        assert left.empty, left


@pytest.fixture
def home(tmp_path: Path, victim: Callable[..., Any]) -> Home:
    return Home(tmp_path / "home", victim)


def _published(home: Home) -> pd.DataFrame:
    return home.query("mlflow.db", RUNS) if (home.home / "mlflow.db").exists() else pd.DataFrame()


@pytest.mark.soak
def test_nothing_stays_open_of_killed_commands(home: Home) -> None:
    """Killed in the midst of training and of publishing, never run again: only the reaper can close them."""
    training = home.start(TRAIN)
    training.kill_when(lambda _: any(home.home.glob("trainings/*/members/1/*")), 400)
    home.run(TRAIN)
    judging = home.start(JUDGE.format(round=1))
    judging.kill_when(lambda _: len(_published(home)) >= 2, 400)
    assert "RUNNING" in set(_published(home)["status"])
    assert len(home.query("prefect/prefect.db", OPEN_FLOW_RUNS)) == 2

    home.reap()

    home.assert_nothing_open()
    assert {"KILLED"} <= set(_published(home)["status"])


KILLED_BEFORE_REGISTERING = """
import os, mlflow
mlflow.register_model = lambda *_, **__: os.kill(os.getpid(), 9)
"""


@pytest.mark.soak
def test_a_training_killed_before_it_registers_leaves_one_model(home: Home) -> None:
    killed = home.start(SETTLE + KILLED_BEFORE_REGISTERING + "import small_study; small_study.train_small()")
    assert killed.process.wait(600) == -9, "\n".join(killed.lines)
    models = "SELECT model_id, status FROM logged_models WHERE lifecycle_stage = 'active'"
    left = only(home.query("mlflow.db", models)["model_id"])
    home.run(TRAIN)
    assert only(home.query("mlflow.db", models)["model_id"]) != left
    source = only(home.query("mlflow.db", "SELECT source FROM model_versions")["source"])
    assert left not in source
    home.run(TRAIN)
    assert len(home.query("mlflow.db", models)) == 1


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_command_killed_at_random_moments_is_completed_by_running_it_again(home: Home, seed: int) -> None:
    random = Random(seed)
    _kill_at_random(home, random, TRAIN, 3)
    home.run(TRAIN)
    home.run(JUDGE.format(round=1))
    _kill_at_random(home, random, JUDGE.format(round=2), 3)
    home.run(JUDGE.format(round=2))
    home.reap()

    home.assert_nothing_open()
    trained = home.query("mlflow.db", "SELECT value FROM tags WHERE key = 'plumbline.job' AND value = 'train'")
    versions = home.query("mlflow.db", "SELECT version FROM model_versions")
    models = home.query("mlflow.db", "SELECT model_id, status FROM logged_models WHERE lifecycle_stage = 'active'")
    assert (len(trained), len(versions), len(models)) == (1, 1, 1)
    rows = home.query("ledger.db", "SELECT key, status, configuration FROM evaluations")
    assert list(rows["status"]) == ["done", "done"]
    rounds = {json.loads(row["configuration"])["inspected_per_class"]: row["key"] for _, row in rows.iterrows()}
    scores, runs = home.query("ledger.db", "SELECT * FROM scores"), _published(home)
    for table, index in (
        (scores, SCORE_KEYS),
        (runs[["key", "explainer", "status", "points", "linked"]], ["explainer"]),
    ):
        mine, expected = (
            table[table["key"] == rounds[number]].drop(columns="key").set_index(index).sort_index() for number in (2, 1)
        )
        pd.testing.assert_frame_equal(mine, expected, rtol=0, atol=1e-6)
    assert set(only(runs.groupby("key")["explainer"].agg(tuple).unique())) == {"all", *EXPLAINERS}


def _kill_at_random(home: Home, random: Random, code: str, times: int) -> None:
    """Kills the command so often, at any moment of its life as far as it came before."""
    for _ in range(times):
        process = home.start(code)
        moment = random.uniform(3, 30)
        try:
            process.process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        print(f"killed after {moment:.1f} s: {process.process.returncode}")
