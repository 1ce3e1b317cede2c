"""The work pool and the deployments of `deploy/prefect.yaml` at the running Prefect server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import yaml

from ..digests import code_digest, digest_of, file_digest
from ..settings import CHECKOUT, Settings
from .processes import ServerProcess, ServiceError
from .servers import CONCURRENT_RUNS, POOL

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate

DEPLOYMENTS = CHECKOUT / "deploy" / "prefect.yaml"
PLAIN_FIELDS = {"name", "description", "entrypoint", "parameters", "paused", "tags", "version"}
FIELDS = PLAIN_FIELDS | {"work_pool", "schedules", "concurrency_limit"}
"""Of a deployment in that file; `prefect deploy` knows more."""


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
    Variables (``{{ $NAME }}``) are read now, those of the pull steps by the worker. Raises ServiceError for a field
    that only the command knows, and where Prefect refuses one.
    """
    from prefect.exceptions import PrefectHTTPStatusError

    flows, file = load_flows(), _file()
    with client_of(settings, url) as client:
        flow_ids = {entrypoint: client.create_flow(flow) for entrypoint, flow in flows.items()}
        for declared in file["deployments"]:
            entrypoint = declared["entrypoint"]
            fields = _fields(declared, flows[entrypoint])
            try:
                client.create_deployment(flow_ids[entrypoint], pull_steps=file["pull"], **fields)
            except PrefectHTTPStatusError as error:
                raise ServiceError(f"{DEPLOYMENTS}: {declared['name']} is refused: {error.response.text}") from error


def _fields(declared: dict[str, Any], flow: Flow[..., Any]) -> dict[str, Any]:
    """A deployment as the client wants it, from how the file declares it."""
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.templating import apply_values

    if foreign := sorted(set(declared) - FIELDS):
        known = ", ".join(sorted(FIELDS))
        raise ServiceError(f"{DEPLOYMENTS}: {declared['name']} has the field {foreign[0]!r}; expected some of {known}.")
    given = cast(dict[str, Any], apply_values(declared, dict(os.environ), remove_notset=False))
    pool, limit = given["work_pool"], given.get("concurrency_limit", {})
    limit = {"limit": limit} if isinstance(limit, int) else limit
    return {name: given[name] for name in PLAIN_FIELDS & set(given)} | {
        "work_pool_name": pool["name"],
        "work_queue_name": pool.get("work_queue_name"),
        "job_variables": pool.get("job_variables"),
        "schedules": [_schedule(each) for each in given.get("schedules", [])],
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": {name: limit[name] for name in limit if name != "limit"} or None,
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
    }


def _schedule(declared: dict[str, Any]) -> DeploymentScheduleCreate:
    """A schedule from how the file declares it: beside what it is when it holds, and for which parameters."""
    from prefect.client.schemas.actions import DeploymentScheduleCreate

    own = {name: declared[name] for name in ("active", "parameters", "slug") if name in declared}
    when = {name: value for name, value in declared.items() if name not in own}
    return DeploymentScheduleCreate.model_validate(own | {"schedule": when})


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
