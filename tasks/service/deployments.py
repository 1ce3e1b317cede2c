"""The work pool and the deployments of `deploy/prefect.yaml` at the running Prefect server."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from ..digests import code_digest, digest_of, file_digest
from ..settings import CHECKOUT, Settings
from .processes import ServerProcess
from .servers import CONCURRENT_RUNS, POOL

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import SyncPrefectClient

DEPLOYMENTS = CHECKOUT / "deploy" / "prefect.yaml"


def prefect_client(url: str, auth: str | None = None) -> SyncPrefectClient:
    """A client of the Prefect server at ``url``, whatever this process talks to; ``auth`` is user:password."""
    from prefect.client.orchestration import SyncPrefectClient

    return SyncPrefectClient(api=url, auth_string=auth)


def client_of(settings: Settings, url: str | None = None) -> SyncPrefectClient:
    """A client of the Prefect server of these settings, or of one elsewhere that has the same password."""
    return prefect_client(url or settings.prefect_url, settings.auth_string)


def deployments_digest() -> str:
    """Digest of what a deployment is made of: its file, the parameters of the flows, and where the flows lie.

    A change in it is applied by the next `up`.
    """
    return digest_of([file_digest(DEPLOYMENTS), code_digest(("flows",)), str(CHECKOUT)])


def all_deployed(settings: Settings) -> bool:
    """Whether the Prefect server knows every deployment of the file."""
    return _declared() <= _applied(settings, None)


def ensure_work_pool(settings: Settings, url: str | None = None) -> None:
    """Creates the work pool, or sets its limit if it exists."""
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    with client_of(settings, url) as client:
        try:
            client.read_work_pool(POOL)
            client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=CONCURRENT_RUNS))
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", concurrency_limit=CONCURRENT_RUNS))


@cache
def load_flows() -> dict[str, Flow[..., Any]]:
    """The flows of all deployments by entrypoint; it takes seconds, and needs no server."""
    from prefect.flows import load_flow_from_entrypoint

    return {
        entrypoint: load_flow_from_entrypoint(entrypoint)
        for entrypoint in {each["entrypoint"] for each in _file()["deployments"]}
    }


def apply_deployments(settings: Settings, url: str | None = None) -> None:
    """Creates or updates every deployment of `deploy/prefect.yaml`, to what `prefect deploy --all` makes of it.

    That command asks the server half a dozen questions for each, one after the other, and takes four times as long.
    What it does beyond the fields used in the file (steps that build or push, templates, triggers) is not done here.
    """
    flows, file = load_flows(), _file()
    with client_of(settings, url) as client:
        flow_ids = {entrypoint: client.create_flow(flow) for entrypoint, flow in flows.items()}
        for declared in file["deployments"]:
            entrypoint = declared["entrypoint"]
            client.create_deployment(
                flow_ids[entrypoint], **_fields(declared, flows[entrypoint]), pull_steps=file["pull"]
            )


def _fields(declared: dict[str, Any], flow: Flow[..., Any]) -> dict[str, Any]:
    """A deployment as the client wants it, from how the file declares it."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.utilities.callables import parameter_schema

    found = dict(declared)
    found["work_pool_name"] = found.pop("work_pool")["name"]
    found["schedules"] = [
        DeploymentScheduleCreate(schedule=CronSchedule(**each)) for each in found.pop("schedules", [])
    ]
    limit = found.pop("concurrency_limit")
    found["concurrency_limit"] = limit["limit"]
    found["concurrency_options"] = ConcurrencyOptions(collision_strategy=limit["collision_strategy"])
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    return found | {"parameter_openapi_schema": schema, "enforce_parameter_schema": True}


def worker_online(settings: Settings, worker: ServerProcess) -> bool:
    """Whether this worker, not one before it of the same name, reports to the Prefect server."""
    with client_of(settings) as client:
        known = client.read_workers_for_work_pool(POOL)
    heartbeats = [each.last_heartbeat_time for each in known]
    return any(beat is not None and beat.timestamp() > worker.created for beat in heartbeats)


def _file() -> dict[str, Any]:
    return yaml.safe_load(DEPLOYMENTS.read_text())


def _declared() -> set[str]:
    return {deployment["name"] for deployment in _file()["deployments"]}


def _applied(settings: Settings, url: str | None) -> set[str]:
    with client_of(settings, url) as client:
        return {deployment.name for deployment in client.read_deployments()}
