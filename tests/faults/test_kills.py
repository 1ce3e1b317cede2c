"""Parts of the running service die at random moments: no evaluation is lost, none done twice, nothing stays open.

What is killed, when and how often comes from a seed, printed with every kill: PLUMBLINE_FAULTS_SEED repeats a run.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import pandas as pd
import pytest
from faults.small_study import EXPLAINERS
from faults.stack import FLOW, HOST, MLFLOW, POSTGRES, PREFECT, TERMINATED, VICTIMS, WORKER, Stack, stack_in, wait_for
from looking import RUNS, SCORE_KEYS
from support import only

from tasks.service.abandoned import SILENT_FOR, crash_silent_flow_runs

JUDGE, TRAIN, REAP = "faithfulness/faithfulness-small", "train/train-small", "reap/reaper"
SOAK_KILLS = 35
SEED = int(os.environ.get("PLUMBLINE_FAULTS_SEED", time.time_ns() % 100_000))
PATIENCE = 600.0
AWAY = 20.0
AT_ONCE = 3
"""So many parts at most are dead at the same time."""
LATEST_MOMENT = 25.0
"""Seconds after a flow run began: about what an evaluation takes."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with a trained version and one undisturbed evaluation, round 1."""
    with stack_in(tmp_path_factory.mktemp("stack") / "home") as running:
        assert running.run_to_end(TRAIN).is_completed(), running.log(WORKER)
        assert running.run_to_end(JUDGE, round=1).is_completed(), running.log(WORKER)
        yield running


@pytest.fixture
def seed() -> int:
    return SEED


def test_one_evaluation_outlives_a_kill_of_every_part(stack: Stack, seed: int) -> None:
    kills = [POSTGRES, PREFECT, MLFLOW, TERMINATED, FLOW]
    rounds = _judge_despite(stack, Random(seed), kills, first_round=2, seed=seed)
    _assert_nothing_lost_or_doubled(stack, rounds)
    _assert_nothing_left_open(stack)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["refused", "silent"])
@pytest.mark.parametrize("moment", ["explaining", "publishing"])
def test_the_job_waits_while_the_network_is_gone(stack: Stack, how: Literal["refused", "silent"], moment: str) -> None:
    of_round = 11 + 2 * (moment == "publishing") + (how == "silent")
    run = stack.submit(JUDGE, round=of_round)
    wait_for(lambda: _reached(stack, of_round, moment), PATIENCE, lambda: stack.log(WORKER), pause=0.1)
    with stack.no_network(how):
        time.sleep(AWAY)
    _wait_for_end(stack, run)
    _assert_undisturbed(stack, run, of_round)


@pytest.mark.soak
def test_the_job_waits_for_locked_tables(stack: Stack) -> None:
    run = stack.submit(JUDGE, round=21)
    wait_for(lambda: _reached(stack, 21, "explaining"), PATIENCE, lambda: stack.log(WORKER), pause=0.1)
    with stack.holding("LOCK TABLE evaluations, scores IN ACCESS EXCLUSIVE MODE"):
        time.sleep(2 * AWAY)
    _wait_for_end(stack, run)
    _assert_undisturbed(stack, run, 21)


@pytest.mark.soak
def test_a_lost_host_is_seen_by_its_missing_heartbeat(stack: Stack) -> None:
    automations = pytest.importorskip("tasks.service.automations", reason="no automation sees a lost host yet")
    automations.apply_automations(stack.settings)
    run = stack.submit(JUDGE, round=31)
    wait_for(lambda: _reached(stack, 31, "explaining"), PATIENCE, lambda: stack.log(WORKER))
    begin = time.monotonic()
    assert stack.kill(HOST) > 1
    wait_for(lambda: stack.flow_run(run.id).state.is_crashed(), 300, lambda: repr(stack.flow_run(run.id).state))
    print(f"a lost host was seen after {time.monotonic() - begin:.0f} s")
    stack.mend()
    assert stack.run_to_end(JUDGE, round=31).is_completed()
    _assert_nothing_lost_or_doubled(stack, [31])
    _assert_nothing_left_open(stack)


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
def test_many_evaluations_outlive_kills_at_random_moments(stack: Stack, seed: int) -> None:
    random = Random(seed)
    kills = [victim for _ in range(SOAK_KILLS // len(VICTIMS)) for victim in random.sample(VICTIMS, len(VICTIMS))]
    begin = time.monotonic()
    rounds = _judge_despite(stack, random, list(kills), first_round=101, seed=seed)
    seconds = time.monotonic() - begin
    _assert_nothing_lost_or_doubled(stack, rounds)
    _assert_nothing_left_open(stack)
    print(f"{len(kills)} kills {dict(Counter(kills))} over {len(rounds)} evaluations in {seconds:.0f} s, seed {seed}")


def _judge_despite(stack: Stack, random: Random, kills: list[str], first_round: int, seed: int) -> list[int]:
    """Lets round after round be judged while parts are killed, until all kills are used up; the rounds judged."""
    rounds = []
    while kills:
        rounds.append(first_round + len(rounds))
        while not _judged(stack, rounds[-1]):
            _disturbed_run(stack, random, kills, rounds[-1], seed)
    return rounds


def _disturbed_run(stack: Stack, random: Random, kills: list[str], of_round: int, seed: int) -> None:
    """One scheduled run: the next one comes due when this one has ended, whatever became of it."""
    run = stack.submit(JUDGE, round=of_round)
    wait_for(
        lambda: not (state := stack.flow_run(run.id).state).is_scheduled() and not state.is_pending(),
        PATIENCE,
        lambda: f"{stack.flow_run(run.id).state!r}\n{stack.log(WORKER)}",
    )
    while kills and not stack.flow_run(run.id).state.is_final():
        moment = random.uniform(0, LATEST_MOMENT)
        time.sleep(moment)
        for victim in _some_at_once(random, kills):
            state = stack.flow_run(run.id).state.name if stack.answers else "unknown"
            killed = stack.kill(victim)
            print(
                f"seed {seed}: {victim} ({killed} processes) in round {of_round}, +{moment:.1f} s, {state}", flush=True
            )
            if not killed:
                kills.append(victim)  # it had ended by itself: another time
            time.sleep(random.uniform(0, 3))
        stack.mend()
    _wait_for_end(stack, run)


def _some_at_once(random: Random, kills: list[str]) -> list[str]:
    """Takes the next victims, different ones, off the list."""
    chosen = [kills.pop(0)]
    for _ in range(random.randint(0, AT_ONCE - 1)):
        if kills and kills[0] not in chosen:
            chosen.append(kills.pop(0))
    return chosen


def _reached(stack: Stack, of_round: int, moment: str) -> bool:
    """Whether the evaluation of the round has got so far, and no further than that by much."""
    rows = _evaluations(stack, [of_round])
    if rows.empty:
        return False
    key = only(rows["key"])
    if moment == "publishing":
        return len(_runs_of(stack.query("mlflow", RUNS).assign(images=0), key)) >= 2
    return len(list((stack.settings.root / "evaluations" / key).glob("shards/*/scores.parquet"))) >= 2


def _assert_undisturbed(stack: Stack, run: Any, of_round: int) -> None:
    """The run that met the fault did the whole work itself."""
    ended = stack.flow_run(run.id)
    assert ended.state.is_completed(), f"{ended.state!r}\n{stack.log(WORKER)}"
    _assert_nothing_lost_or_doubled(stack, [of_round])
    _assert_nothing_left_open(stack)


def _wait_for_end(stack: Stack, run: Any) -> None:
    """Waits for the end of a flow run, the reaper passing by every few seconds.

    When a flow and the database die together, Prefect is told of no crash: only silence gives it away.
    """
    wait_for(
        lambda: _reaped_early(stack) and stack.flow_run(run.id).state.is_final(),
        PATIENCE,
        lambda: f"{stack.flow_run(run.id).state!r}\n{stack.log(WORKER)}",
        pause=3.0,
    )


def _reaped_early(stack: Stack) -> bool:
    """What the reaper does of schedule, after two minutes of silence: the test does not wait for its fifteen."""
    with stack.prefect() as client:
        later = datetime.now(UTC) + SILENT_FOR - timedelta(minutes=2)
        for run in crash_silent_flow_runs(client, now=later, wait=lambda _: None):
            print(f"flow run {run} had fallen silent", flush=True)
    return True


def _judged(stack: Stack, of_round: int) -> bool:
    return "done" in set(_evaluations(stack, [of_round])["status"])


def _evaluations(stack: Stack, rounds: list[int]) -> pd.DataFrame:
    table = stack.query(
        "ledger",
        "SELECT key, status, samples, mlflow_run_id, CAST(configuration->>'inspected_per_class' AS integer) AS round "
        "FROM evaluations ORDER BY round",
    )
    return table[table["round"].isin(rounds)]


def _assert_nothing_lost_or_doubled(stack: Stack, rounds: list[int]) -> None:
    """Every round is in the ledger and in MLflow once, with the numbers of the undisturbed one."""
    found = _evaluations(stack, [1, *rounds])
    assert list(found["round"]) == [1, *rounds]
    assert set(found["status"]) == {"done"}
    undisturbed = found.iloc[0]
    scores, runs = stack.query("ledger", "SELECT * FROM scores"), stack.query("mlflow", RUNS)
    images = {
        run: len(list(stack.settings.root.glob(f"artifacts/*/{run}/artifacts/images/*.png"))) for run in runs["run"]
    }
    runs["images"] = runs["run"].map(images)
    for _, row in found.iloc[1:].iterrows():
        assert row["samples"] == undisturbed["samples"]
        mine, expected = (_scores_of(scores, key) for key in (row["key"], undisturbed["key"]))
        pd.testing.assert_frame_equal(mine, expected, rtol=0, atol=1e-6)
        mine, expected = (_runs_of(runs, key) for key in (row["key"], undisturbed["key"]))
        pd.testing.assert_frame_equal(mine, expected)
        assert set(mine["status"]) == {"FINISHED"}
        assert set(mine.index) == {"all", *EXPLAINERS}
        assert only(runs.query("key == @row.key and explainer == 'all'")["run"]) == row["mlflow_run_id"]


def _scores_of(scores: pd.DataFrame, key: str) -> pd.DataFrame:
    return scores[scores["key"] == key].drop(columns="key").set_index(SCORE_KEYS).sort_index()


def _runs_of(runs: pd.DataFrame, key: str) -> pd.DataFrame:
    """By explainer: status, metric points, points linked to model and dataset, images."""
    return runs[runs["key"] == key].set_index("explainer").sort_index()[["status", "points", "linked", "images"]]


def _assert_nothing_left_open(stack: Stack) -> None:
    """After the reaper has passed nothing is marked as running, in MLflow or in Prefect."""
    assert stack.run_to_end(REAP).is_completed(), stack.log(WORKER)
    open_runs = stack.query(
        "mlflow", "SELECT run_uuid, name, status FROM runs WHERE status NOT IN ('FINISHED', 'FAILED', 'KILLED')"
    )
    assert open_runs.empty, open_runs
    assert [f"{run.flow_name or run.name}: {run.state.name}" for run in stack.unfinished()] == []
