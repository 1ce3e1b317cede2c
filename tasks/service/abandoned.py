"""Runs that are marked as running although nobody works on them any more.

A killed process cannot say that it ended. Prefect then shows its flow run as running, which holds a slot
of the work pool, and MLflow shows its run as running for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from ..settings import Settings
from .deployments import client_of
from .servers import POOL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import WorkPoolFilter
    from prefect.client.schemas.objects import FlowRun, State

FLOW_RUN_TAG = "prefect.flow_run_id"
PARENT_TAG = "mlflow.parentRunId"
REASON_TAG = "plumbline.reaped"
PAGE = 200
UNKNOWN_FOR = timedelta(hours=1)
"""So long may a run exist whose flow run Prefect does not know: its server may have been away."""

HEARTBEAT = "prefect.flow-run.heartbeat"
SILENT_FOR = timedelta(minutes=15)
"""So long may a flow run be silent that has sent a heartbeat every 30 seconds before."""
SECOND_LOOK = 75.0
"""Seconds until a silent flow run is looked at again: the server may be back just now, and hear it next."""


def crash_abandoned_flow_runs(settings: Settings) -> int:
    """Marks flow runs of the work pool as crashed; call it only while no worker runs. Returns how many."""
    from prefect.client.schemas import filters

    with client_of(settings) as client:
        runs = _flow_runs_in_work(
            client, filters.WorkPoolFilter(name=filters.WorkPoolFilterName(any_=[POOL])), pending=True
        )
        for run in runs:
            _crash(client, run, "Its worker ended before it did.")
    return len(runs)


def crash_silent_flow_runs(
    prefect: SyncPrefectClient, now: datetime | None = None, wait: Callable[[float], object] = time.sleep
) -> list[UUID]:
    """Marks flow runs as crashed that sent heartbeats and have sent none for `SILENT_FOR`; returns their ids.

    Wherever they ran, with a worker or from the command line. One that never sent any is left alone: it may be
    another team's. What is silent is looked at twice, `SECOND_LOOK` seconds apart.
    """

    def silent(run: FlowRun) -> bool:
        last = last_heartbeat(prefect, run.id)
        return last is not None and (now or datetime.now(UTC)) - last > SILENT_FOR

    runs = [run for run in _flow_runs_in_work(prefect) if silent(run)]
    if not runs:
        return []
    wait(SECOND_LOOK)
    working = {run.id for run in _flow_runs_in_work(prefect)}
    runs = [run for run in runs if run.id in working and silent(run)]
    for run in runs:
        _crash(prefect, run, f"It has sent no heartbeat for more than {SILENT_FOR.seconds // 60} minutes.")
    return [run.id for run in runs]


def _flow_runs_in_work(
    client: SyncPrefectClient, pool: WorkPoolFilter | None = None, pending: bool = False
) -> list[FlowRun]:
    """All flow runs that are running or being cancelled, and ``pending``: those being started."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    working = [StateType.RUNNING, StateType.CANCELLING, *([StateType.PENDING] if pending else [])]
    in_work = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=working))
    wanted = filters.FlowRunFilter(state=in_work)
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_run_filter=wanted, work_pool_filter=pool, limit=PAGE, offset=len(found)):
        found += page
    return found


def last_heartbeat(client: SyncPrefectClient, run: UUID) -> datetime | None:
    """When the flow run of that id sent its latest heartbeat; None if it never did."""
    from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

    wanted = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"])
    )
    events = client.read_events(wanted, limit=1).events  # the latest comes first
    return events[0].occurred if events else None


def _crash(client: SyncPrefectClient, run: FlowRun, message: str) -> None:
    from prefect.states import Crashed

    ended: State[None] = Crashed(message=message)
    client.set_flow_run_state(run.id, ended, force=True)


def close_abandoned_mlflow_runs(
    mlflow_client: MlflowClient, prefect: SyncPrefectClient, now: datetime | None = None
) -> list[str]:
    """Closes the MLflow runs of `plumbline/*` whose flow run has ended, or is unknown for an hour.

    A child run without a flow run of its own shares its parent's. A closed run is FAILED if its flow run
    failed, else KILLED; the tag ``plumbline.reaped`` says why. Returns the ids of the closed runs.
    """
    now = now or datetime.now(UTC)
    closed = []
    for run in _open_runs(mlflow_client):
        flow_run = _flow_run(prefect, _flow_run_id(mlflow_client, run))
        age = now - datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        reason = _reason(flow_run, age)
        if reason is None:
            continue
        failed = flow_run is not None and flow_run.state is not None and flow_run.state.is_failed()
        mlflow_client.set_tag(run.info.run_id, REASON_TAG, reason)
        mlflow_client.set_terminated(run.info.run_id, status="FAILED" if failed else "KILLED")
        closed.append(run.info.run_id)
    return closed


def _open_runs(client: MlflowClient) -> list[Run]:
    experiments = client.search_experiments(filter_string="name LIKE 'plumbline/%'")
    identifiers = [experiment.experiment_id for experiment in experiments]
    return list(_search(client, identifiers)) if identifiers else []


def _search(client: MlflowClient, experiments: list[str]) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs(experiments, filter_string="attributes.status = 'RUNNING'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _flow_run_id(client: MlflowClient, run: Run) -> str | None:
    own = run.data.tags.get(FLOW_RUN_TAG)
    parent = run.data.tags.get(PARENT_TAG)
    if own or not parent:
        return own
    return client.get_run(parent).data.tags.get(FLOW_RUN_TAG)


def _flow_run(client: SyncPrefectClient, identifier: str | None) -> FlowRun | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_flow_run(UUID(identifier)) if identifier else None
    except (ObjectNotFound, ValueError):
        return None


def _reason(flow_run: FlowRun | None, age: timedelta) -> str | None:
    """Why the run is to be closed, or None to leave it open."""
    if flow_run is None:
        return "Prefect does not know its flow run" if age > UNKNOWN_FOR else None
    if flow_run.state is not None and flow_run.state.is_final():
        return f"its flow run {flow_run.name} ended {flow_run.state.name}"
    return None
