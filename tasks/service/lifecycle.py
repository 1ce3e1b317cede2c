"""Start and end of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from ..errors import UsageError
from ..progress import track
from ..settings import Settings, prepare_environment
from . import servers
from .abandoned import crash_abandoned_flow_runs
from .access import require_password_beyond_this_machine
from .automations import apply_automations
from .deployments import (
    all_deployed,
    apply_deployments,
    deployments_digest,
    ensure_work_pool,
    load_flows,
    worker_online,
)
from .processes import ServerProcess, ServiceError, end
from .record import MLFLOW, NAMES, PREFECT, WORKER, Record, read_record, write_record

Step = Callable[[], None]


def up(settings: Settings) -> tuple[str, ...]:
    """Starts what is missing of the service and waits until it is healthy.

    Returns the names of the processes started: none if all were up. Raises UsageError if a
    port is taken, ServiceError if a process does not become healthy; what this call started is ended then.
    """
    prepare_environment(settings)
    with _alone(settings):
        start = _Start(settings, read_record(settings))
        try:
            for step in track(start.steps(), "plumbline up"):
                step()
        except BaseException:
            end([start.processes[name] for name in start.started])
            raise
        return tuple(start.started)


def down(settings: Settings) -> tuple[str, ...]:
    """Ends exactly the processes that `up` has started for this home; returns the names of those that ran.

    The worker goes first, so that its flow runs can still report how they ended.
    """
    settings.root.mkdir(parents=True, exist_ok=True)
    with _alone(settings):
        record = read_record(settings)
        worker = [record.processes[name] for name in (WORKER,) if name in record.processes]
        others = [record.processes[name] for name in (MLFLOW, PREFECT) if name in record.processes]
        ended = tuple(name for name in NAMES if record.running(name))
        end(worker)
        end(others)
        write_record(settings, (), record.deployments)
        return ended


class _Start:
    """One call of `up`: what is running, what was started, step by step."""

    def __init__(self, settings: Settings, record: Record) -> None:
        self.settings = settings
        self.processes = {name: record.processes[name] for name in NAMES if record.running(name)}
        self.leftovers = [record.processes[name] for name in record.processes if not record.running(name)]
        self.deployments = record.deployments
        self.started: list[str] = []

    def steps(self) -> list[Step]:
        """What is to be done, in order; what takes seconds starts early and is waited for late."""
        require_password_beyond_this_machine(self.settings)
        self._require_same_addresses()
        missing = [name for name in NAMES if name not in self.processes]
        steps: list[Step] = [self._clear_leftovers]
        if MLFLOW in missing or PREFECT in missing:
            changed = self.deployments != deployments_digest()
            meanwhile: list[Step] = [self._load_flows] if changed else []
            steps += [self._require_ports, self._start_servers, *meanwhile, self._await_prefect]
        stale = bool(missing) or self.deployments != deployments_digest()
        if stale:
            steps.append(self._ensure_pool)
        if WORKER in missing:
            steps.append(self._start_worker)
        if stale:
            steps.append(self._deploy)
        if WORKER in missing:
            steps.append(self._await_worker)
        if MLFLOW in missing:
            steps.append(self._await_mlflow)
        return [*steps, self._automate]

    def _require_same_addresses(self) -> None:
        wanted = {MLFLOW: self.settings.mlflow_url, PREFECT: self.settings.prefect_url, WORKER: None}
        for name, process in self.processes.items():
            if process.url != wanted[name]:
                raise UsageError(
                    f"The {name} server runs at {process.url}, but the settings say {wanted[name]}; "
                    "run `plumbline down` first, or put PLUMBLINE_HOST and the ports back."
                )

    def _clear_leftovers(self) -> None:
        """A process that died may have left children: flow runs that nobody watches."""
        end(self.leftovers)

    def _require_ports(self) -> None:
        settings = self.settings
        wanted = {
            MLFLOW: (settings.mlflow_port, "PLUMBLINE_MLFLOW_PORT"),
            PREFECT: (settings.prefect_port, "PLUMBLINE_PREFECT_PORT"),
        }
        if settings.mlflow_port == settings.prefect_port:
            raise UsageError(
                f"PLUMBLINE_MLFLOW_PORT and PLUMBLINE_PREFECT_PORT are both {settings.mlflow_port}; "
                "two servers need two ports."
            )
        for name, (port, setting) in wanted.items():
            if name not in self.processes:
                servers.require_free_port(settings.host, port, setting)

    def _start_servers(self) -> None:
        for name, start in ((PREFECT, servers.start_prefect), (MLFLOW, servers.start_mlflow)):
            if name not in self.processes:
                self._remember(start(self.settings))

    def _load_flows(self) -> None:
        load_flows()

    def _await_prefect(self) -> None:
        servers.wait_until(self.processes[PREFECT], lambda: servers.prefect_answers(self.settings))

    def _await_mlflow(self) -> None:
        servers.wait_until(self.processes[MLFLOW], lambda: servers.mlflow_answers(self.settings))

    def _ensure_pool(self) -> None:
        ensure_work_pool(self.settings)

    def _deploy(self) -> None:
        """Applying all takes longer than everything else, and after a `down` they are all there still."""
        if self.deployments == deployments_digest() and all_deployed(self.settings):
            return
        apply_deployments(self.settings)
        self.deployments = deployments_digest()
        self._write()

    def _automate(self) -> None:
        apply_automations(self.settings)

    def _start_worker(self) -> None:
        crash_abandoned_flow_runs(self.settings)
        self._remember(servers.start_worker(self.settings))

    def _await_worker(self) -> None:
        worker = self.processes[WORKER]
        servers.wait_until(worker, lambda: worker_online(self.settings, worker))

    def _remember(self, process: ServerProcess) -> None:
        self.processes[process.name] = process
        self.started.append(process.name)
        self._write()

    def _write(self) -> None:
        write_record(self.settings, self.processes.values(), self.deployments)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Two commands at once would start everything twice."""
    try:
        with FileLock(settings.root / "service.lock", timeout=0):
            yield
    except Timeout as error:
        raise ServiceError(
            f"{settings.root}: another `plumbline up` or `plumbline down` is at work here; wait for it."
        ) from error
