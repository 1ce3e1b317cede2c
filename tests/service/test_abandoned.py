"""Runs that a killed process left open: which are closed, and which are not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tasks.service.abandoned import (
    FLOW_RUN_TAG,
    HEARTBEAT,
    PARENT_TAG,
    REASON_TAG,
    SECOND_LOOK,
    close_abandoned_mlflow_runs,
    crash_abandoned_flow_runs,
    crash_silent_flow_runs,
    last_heartbeat,
)
from tasks.service.automations import LOST
from tasks.service.deployments import prefect_client

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def prefect(service):
    with prefect_client(service.settings.prefect_url) as client:
        yield client


@pytest.fixture
def mlflow_client(service):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=service.settings.mlflow_url)


@pytest.fixture
def open_run(mlflow_client, request):
    """Opens an MLflow run with tags; all are closed after the test."""
    opened = []

    def make(experiment="plumbline/abandoned", **tags):
        found = mlflow_client.get_experiment_by_name(experiment)
        identifier = found.experiment_id if found else mlflow_client.create_experiment(experiment)
        names = {"flow_run": FLOW_RUN_TAG, "parent": PARENT_TAG}
        run = mlflow_client.create_run(identifier, tags={names[name]: str(tags[name]) for name in tags})
        opened.append(run.info.run_id)
        return run.info.run_id

    yield make
    for run in opened:
        mlflow_client.set_terminated(run)


@pytest.fixture
def flow_run(prefect):
    """Makes a flow run in a state, as if it had got there by running."""
    from prefect import flow

    @flow(name="abandoned")
    def nothing():
        return None

    def make(state):
        run = prefect.create_flow_run(nothing)
        prefect.set_flow_run_state(run.id, state, force=True)
        return run.id

    return make


def _status(mlflow_client, run):
    return mlflow_client.get_run(run).info.status


def test_closed_as_its_flow_run_ended(prefect, mlflow_client, open_run, flow_run):
    from prefect.states import Cancelled, Crashed, Failed

    runs = {
        "KILLED": [open_run(flow_run=flow_run(Crashed())), open_run(flow_run=flow_run(Cancelled()))],
        "FAILED": [open_run(flow_run=flow_run(Failed()))],
    }
    closed = close_abandoned_mlflow_runs(mlflow_client, prefect)
    assert set(closed) == {run for group in runs.values() for run in group}
    for status, group in runs.items():
        assert {_status(mlflow_client, run) for run in group} == {status}
        assert all("ended" in mlflow_client.get_run(run).data.tags[REASON_TAG] for run in group)
    assert close_abandoned_mlflow_runs(mlflow_client, prefect) == []


def test_left_open_while_its_flow_run_works_or_waits_for_a_retry(prefect, mlflow_client, open_run, flow_run):
    from prefect.states import AwaitingRetry, Running

    runs = [open_run(flow_run=flow_run(state)) for state in (Running(), AwaitingRetry())]
    later = datetime.now(UTC) + timedelta(days=2)
    assert close_abandoned_mlflow_runs(mlflow_client, prefect, now=later) == []
    assert {_status(mlflow_client, run) for run in runs} == {"RUNNING"}


def test_unknown_flow_run_has_an_hour(prefect, mlflow_client, open_run):
    runs = {open_run(flow_run=UNKNOWN), open_run(flow_run="no-uuid"), open_run()}
    soon = datetime.now(UTC) + timedelta(minutes=59)
    assert close_abandoned_mlflow_runs(mlflow_client, prefect, now=soon) == []
    later = datetime.now(UTC) + timedelta(minutes=61)
    assert set(close_abandoned_mlflow_runs(mlflow_client, prefect, now=later)) == runs


def test_child_shares_the_fate_of_its_parent(prefect, mlflow_client, open_run, flow_run):
    from prefect.states import Crashed, Running

    dead = open_run(flow_run=flow_run(Crashed()))
    child_of_dead = open_run(parent=dead)
    child_of_living = open_run(parent=open_run(flow_run=flow_run(Running())))
    assert set(close_abandoned_mlflow_runs(mlflow_client, prefect)) == {dead, child_of_dead}
    assert _status(mlflow_client, child_of_living) == "RUNNING"


def test_other_experiments_are_not_touched(prefect, mlflow_client, open_run, flow_run):
    from prefect.states import Crashed

    run = open_run(experiment="somebody-else", flow_run=flow_run(Crashed()))
    assert close_abandoned_mlflow_runs(mlflow_client, prefect) == []
    assert _status(mlflow_client, run) == "RUNNING"


def test_flow_runs_of_the_pool_are_crashed_and_others_are_not(service, prefect, flow_run):
    from prefect.states import Running

    deployment = prefect.read_deployment_by_name("train/train-ecg-beats")
    held = prefect.create_flow_run_from_deployment(deployment.id, state=Running())
    by_hand = flow_run(Running())
    assert crash_abandoned_flow_runs(service.settings) >= 1
    assert prefect.read_flow_run(held.id).state.is_crashed()
    assert prefect.read_flow_run(by_hand).state.is_running()


@pytest.fixture
def no_automation(prefect):
    """Prefect's own look at heartbeats would crash the same runs, a minute and a half later: it is paused."""
    (lost,) = prefect.read_automations_by_name(LOST)
    prefect.pause_automation(lost.id)
    yield
    prefect.resume_automation(lost.id)


@pytest.fixture
def beating(prefect, flow_run, no_automation):
    """Makes a flow run in a state, whose last heartbeat was so many minutes ago."""
    from prefect.events import Event

    def make(state, minutes):
        run = flow_run(state)
        sent = Event(
            occurred=datetime.now(UTC) - timedelta(minutes=minutes),
            event=HEARTBEAT,
            resource={"prefect.resource.id": f"prefect.flow-run.{run}"},
        )
        prefect.request("POST", "/events", json=[sent.model_dump(mode="json")]).raise_for_status()
        deadline = time.monotonic() + 120
        while last_heartbeat(prefect, run) is None:
            assert time.monotonic() < deadline, "the server has not stored the heartbeat"
            time.sleep(0.5)
        return run

    return make


def test_a_flow_run_whose_heartbeat_stopped_is_crashed_and_its_mlflow_run_closed(
    prefect, mlflow_client, open_run, flow_run, beating
):
    from prefect.states import Cancelling, Completed, Running

    dead = {beating(Running(), minutes=16), beating(Cancelling(), minutes=60)}
    others = [beating(Running(), minutes=14), beating(Completed(), minutes=60), flow_run(Running())]
    before = [prefect.read_flow_run(run).state.type for run in others]
    left_by_dead = open_run(flow_run=next(iter(dead)))
    pauses = []

    assert set(crash_silent_flow_runs(prefect, wait=pauses.append)) == dead

    assert pauses == [SECOND_LOOK]
    assert all(prefect.read_flow_run(run).state.is_crashed() for run in dead)
    assert [prefect.read_flow_run(run).state.type for run in others] == before
    assert close_abandoned_mlflow_runs(mlflow_client, prefect) == [left_by_dead]
    assert crash_silent_flow_runs(prefect, wait=pauses.append) == []
    assert pauses == [SECOND_LOOK], "nobody is silent: nothing to wait for"


def test_a_flow_run_that_is_heard_again_at_the_second_look_lives(prefect, beating):
    """Prefect's server was away for longer than the limit, and is back just now."""
    from prefect.events import Event
    from prefect.states import Running

    run = beating(Running(), minutes=30)

    def heard(_):
        again = Event(event=HEARTBEAT, resource={"prefect.resource.id": f"prefect.flow-run.{run}"})
        prefect.request("POST", "/events", json=[again.model_dump(mode="json")]).raise_for_status()
        deadline = time.monotonic() + 120
        while datetime.now(UTC) - last_heartbeat(prefect, run) > timedelta(minutes=5):
            assert time.monotonic() < deadline, "the server has not stored the heartbeat"
            time.sleep(0.5)

    assert crash_silent_flow_runs(prefect, wait=heard) == []
    assert prefect.read_flow_run(run).state.is_running()
