"""What runs, what comes next and how it went last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from rich.console import Group
from rich.table import Table

from ..settings import Settings, prepare_environment
from .deployments import prefect_client
from .processes import memory
from .record import NAMES, Record, read_record, service_environment
from .servers import POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, StateType
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.client.schemas.sorting import FlowRunSort


@dataclass(frozen=True)
class ProcessStatus:
    """One process of the service; ``memory`` in bytes, with its children."""

    name: str
    running: bool
    pid: int | None = None
    url: str | None = None
    memory: int = 0

    @property
    def state(self) -> str:
        """The state in a word."""
        return "running" if self.running else "stopped"


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment: ``name`` as flow/deployment, times with their time zone.

    ``last_state`` is the name that the last finished run ended with, such as Completed or Unchanged.
    """

    name: str
    schedules: tuple[str, ...]
    next_run: datetime | None
    last_state: str | None
    last_end: datetime | None


@dataclass(frozen=True)
class Status:
    """The service as a whole."""

    processes: tuple[ProcessStatus, ...]
    deployments: tuple[DeploymentStatus, ...]

    @property
    def up(self) -> bool:
        """Whether every process runs."""
        return all(process.running for process in self.processes)

    def __rich__(self) -> Group:
        """Two tables for the terminal: processes, deployments."""
        processes = Table("process", "state", "address", "memory", box=None)
        for process in self.processes:
            memory = f"{process.memory / 2**20:.0f} MiB" if process.running else ""
            processes.add_row(process.name, process.state, process.url or "", memory)
        deployments = Table("deployment", "schedule", "next run", "last outcome", "ended", box=None)
        for each in self.deployments:
            schedules = ", ".join(each.schedules) or "on demand"
            outcome = each.last_state or "never ran"
            deployments.add_row(each.name, schedules, _local(each.next_run), outcome, _local(each.last_end))
        return Group(processes, "", deployments) if self.deployments else Group(processes)


def status(settings: Settings) -> Status:
    """The processes and, if the Prefect server runs, the deployments of this home."""
    prepare_environment(settings)
    record = read_record(settings)
    processes = tuple(_process_status(record, name) for name in NAMES)
    url = service_environment(settings).get("PREFECT_API_URL")
    deployments = _deployments(url, settings.auth_string) if url else ()
    return Status(processes, deployments)


def _local(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def _process_status(record: Record, name: str) -> ProcessStatus:
    if not record.running(name):
        return ProcessStatus(name, running=False)
    process = record.processes[name]
    return ProcessStatus(name, True, process.pid, process.url, memory(process))


def _deployments(url: str, auth: str | None) -> tuple[DeploymentStatus, ...]:
    with prefect_client(url, auth) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        deployments = [each for each in client.read_deployments() if each.work_pool_name == POOL]
        found = [_deployment_status(client, each, flows[each.flow_id]) for each in deployments]
    return tuple(sorted(found, key=lambda each: each.name))


def _deployment_status(client: SyncPrefectClient, deployment: DeploymentResponse, flow: str) -> DeploymentStatus:
    from prefect.client.schemas.objects import TERMINAL_STATES, StateType
    from prefect.client.schemas.sorting import FlowRunSort

    coming = _first_run(client, deployment.id, {StateType.SCHEDULED}, FlowRunSort.EXPECTED_START_TIME_ASC)
    last = _first_run(client, deployment.id, TERMINAL_STATES, FlowRunSort.END_TIME_DESC)
    return DeploymentStatus(
        name=f"{flow}/{deployment.name}",
        schedules=tuple(_schedule_text(each.schedule) for each in deployment.schedules if each.active),
        next_run=coming.expected_start_time if coming else None,
        last_state=last.state_name if last else None,
        last_end=last.end_time if last else None,
    )


def _first_run(
    client: SyncPrefectClient, deployment: UUID, states: set[StateType], order: FlowRunSort
) -> FlowRun | None:
    from prefect.client.schemas import filters

    runs = client.read_flow_runs(
        flow_run_filter=filters.FlowRunFilter(
            deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]),
            state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=list(states))),
        ),
        sort=order,
        limit=1,
    )
    return runs[0] if runs else None


def _schedule_text(schedule: object) -> str:
    """Cron expression or interval with its time zone, as people write it."""
    rule = getattr(schedule, "cron", None) or getattr(schedule, "rrule", None)
    zone = getattr(schedule, "timezone", None) or "UTC"
    return f"{rule} {zone}" if rule else f"every {getattr(schedule, 'interval', '?')}"
