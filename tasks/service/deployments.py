"""The work pool and the deployments of `deploy/prefect.yaml` at the running Prefect server."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import yaml

from ..digests import code_digest, digest_of, file_digest
from ..settings import CHECKOUT, Settings
from .processes import ServerProcess, ServiceError
from .servers import CONCURRENT_RUNS, POOL, process_environment

if TYPE_CHECKING:
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


def apply_deployments(settings: Settings, url: str | None = None) -> None:
    """Creates or updates every deployment of `deploy/prefect.yaml`, as `prefect deploy --all` does."""
    command = ["-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOYMENTS)]
    environment = process_environment(settings) | {"PREFECT_API_URL": url or settings.prefect_url}
    log = settings.root / "logs" / "deploy.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT
        )
    missing = _declared() - _applied(settings, url)
    if done.returncode or missing:
        names = ", ".join(sorted(missing)) or "some"
        raise ServiceError(f"{DEPLOYMENTS}: {names} could not be deployed; see {log}.")


def worker_online(settings: Settings, worker: ServerProcess) -> bool:
    """Whether this worker, not one before it of the same name, reports to the Prefect server."""
    with client_of(settings) as client:
        known = client.read_workers_for_work_pool(POOL)
    heartbeats = [each.last_heartbeat_time for each in known]
    return any(beat is not None and beat.timestamp() > worker.created for beat in heartbeats)


def _declared() -> set[str]:
    return {deployment["name"] for deployment in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]}


def _applied(settings: Settings, url: str | None) -> set[str]:
    with client_of(settings, url) as client:
        return {deployment.name for deployment in client.read_deployments()}
