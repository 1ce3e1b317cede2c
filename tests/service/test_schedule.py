"""Only a run that the scheduler created and that completed proves that the schedule works.

A healthy server and a run started by hand proved nothing: a wrong pair of library versions passed both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
import yaml

from tasks.service import ServiceError, deployments, status
from tasks.service.deployments import DEPLOYMENTS, prefect_client
from tasks.settings import CHECKOUT

PATIENCE = 300.0


def test_deployments_of_the_file_are_applied(service):
    deployments = {deployment.name: deployment for deployment in status(service.settings).deployments}
    assert set(deployments) >= {
        "train/train-ecg-beats",
        "faithfulness/faithfulness-ecg-beats",
        "reap/reaper",
        "watch/watch",
    }
    assert deployments["train/train-ecg-beats"].schedules == ()
    nightly = deployments["faithfulness/faithfulness-ecg-beats"]
    assert nightly.schedules == ("10 1 * * * UTC",)


def test_one_run_at_a_time_and_parameters(service):
    with prefect_client(service.settings.prefect_url) as client:
        deployment = client.read_deployment_by_name("faithfulness/faithfulness-ecg-beats")
    assert deployment.parameters["study"] == "ecg-beats"
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"


def test_file_states_time_zones_and_no_absolute_path():
    text = DEPLOYMENTS.read_text()
    schedules = [each for deployment in yaml.safe_load(text)["deployments"] for each in deployment.get("schedules", [])]
    assert schedules
    assert all(schedule["timezone"] for schedule in schedules)
    assert str(DEPLOYMENTS.parents[1]) not in text


@pytest.mark.usefixtures("clean_environment")
def test_parameters_are_those_of_the_flows():
    """The server checks parameters only when a run begins, at night."""
    from prefect.flows import load_flow_from_entrypoint

    for deployment in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]:
        flow = load_flow_from_entrypoint(deployment["entrypoint"])
        flow.validate_parameters(deployment.get("parameters", {}))
        assert deployment["name"].startswith(flow.name)


@pytest.mark.timeout(180)
def test_scheduled_runs_complete(service):
    from prefect.client.schemas.schedules import IntervalSchedule

    names = ["reap/reaper", "faithfulness/faithfulness-ecg-beats"]
    often = IntervalSchedule(interval=timedelta(seconds=10))
    with prefect_client(service.settings.prefect_url) as client:
        deployments = {client.read_deployment_by_name(name).id: name for name in names}
        added = {
            identifier: client.create_deployment_schedules(identifier, [(often, True)])[0].id
            for identifier in deployments
        }
        try:
            for identifier, name in deployments.items():
                run = _scheduled_run_that_ended(client, identifier)
                assert run.state.is_completed(), f"{name}: {run.state}"
        finally:
            for identifier, schedule in added.items():
                client.delete_deployment_schedule(identifier, schedule)
    ended = {deployment.name: deployment.last_state for deployment in status(service.settings).deployments}
    assert all(ended[name] for name in names)


@pytest.mark.soak
def test_prefects_own_command_changes_nothing_but_the_version_and_the_folder(service):
    before = _deployed(service)
    command = ["-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOYMENTS)]
    environment = os.environ | {"PREFECT_API_URL": service.settings.prefect_url, "PLUMBLINE_CHECKOUT": str(CHECKOUT)}
    subprocess.run([sys.executable, *command], env=environment, cwd=CHECKOUT, check=True, capture_output=True)
    assert len(before) > 40
    assert _deployed(service) == before


def _deployed(service):
    """What the server knows of each deployment, by name; its pull step names the checkout or a variable that does."""
    own = {
        "id",
        "created",
        "updated",
        "version",
        "version_id",
        "version_info",
        "global_concurrency_limit",
        "pull_steps",
    }
    own |= {"last_polled", "status"}  # of the worker
    schedule = {"id", "created", "updated", "deployment_id"}
    with prefect_client(service.settings.prefect_url) as client:
        found = client.read_deployments()
    return {
        deployment.name: deployment.model_dump(mode="json", exclude=own | {"schedules"})
        | {"schedules": [each.model_dump(mode="json", exclude=schedule) for each in deployment.schedules]}
        for deployment in found
    }


def _scheduled_run_that_ended(client, deployment):
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import TERMINAL_STATES

    ended = filters.FlowRunFilterStateType(any_=list(TERMINAL_STATES))
    wanted = filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]),
        state=filters.FlowRunFilterState(type=ended),
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # A run that found the one before it still busy is cancelled on purpose; it proves nothing.
        runs = [run for run in client.read_flow_runs(flow_run_filter=wanted) if not run.state.is_cancelled()]
        scheduled = [run for run in runs if run.auto_scheduled]
        if scheduled:
            return scheduled[0]
        time.sleep(0.5)
    pytest.fail(f"No scheduled run ended within {PATIENCE:.0f} s.")


def test_a_deployment_is_read_as_prefects_own_command_reads_it(monkeypatch):
    from prefect import flow

    monkeypatch.setenv("WARD", "4b")
    declared = {
        "name": "nightly",
        "entrypoint": "somewhere.nightly",
        "parameters": {"ward": "{{ $WARD }}"},
        "schedules": [{"cron": "0 1 * * *", "timezone": "UTC", "active": False}, {"interval": 600}],
        "work_pool": {"name": "plumbline", "job_variables": {"env": {"WARD": "{{ $WARD }}"}}},
        "concurrency_limit": 2,
    }

    @flow
    def nightly(ward: str): ...

    fields = deployments._fields(declared, nightly)
    assert fields["parameters"] == {"ward": "4b"}
    assert fields["job_variables"] == {"env": {"WARD": "4b"}}
    assert (fields["concurrency_limit"], fields["concurrency_options"]) == (2, None)
    first, second = fields["schedules"]
    assert (first.schedule.cron, first.schedule.timezone, first.active) == ("0 1 * * *", "UTC", False)
    assert second.schedule.interval == timedelta(seconds=600)
    assert fields["parameter_openapi_schema"]["required"] == ["ward"]
    with pytest.raises(ServiceError, match=r"prefect\.yaml: nightly has the field 'triggers'; expected some of con"):
        deployments._fields(declared | {"triggers": []}, nightly)
