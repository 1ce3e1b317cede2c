"""The commands of compose file and units, taken from there and run as processes on PostgreSQL and a bucket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from deployment import PASSWORD, ports, three_databases
from installation import CHECKOUT, Installation
from object_store import BUCKET, ObjectStore

from tasks.service.deployments import prefect_client
from tasks.service.processes import end, start

SERVICES = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())["services"]
UNITS = {path.stem.removeprefix("plumbline-"): path for path in (CHECKOUT / "deploy" / "systemd").glob("*.service")}
AUTH = ("plumbline", PASSWORD)


def command(name: str) -> list[str]:
    """What both recipes run for a process: they must agree."""
    (line,) = [line for line in UNITS[name].read_text().splitlines() if line.startswith("ExecStart=")]
    words = line.split()[1:]
    assert words == SERVICES[name]["command"]
    return words


@contextmanager
def running(installation: Installation, name: str, healthy: Callable[[], bool]) -> Iterator[None]:
    log = installation.home.parent / f"{name}.log"
    process = start(name, installation.command(*command(name)), installation.environment, log)
    try:
        deadline = time.monotonic() + 600
        while not healthy():
            assert process.running, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield
    finally:
        end([process])


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.soak
def test_each_command_of_the_recipes_runs_and_serves(database_server: str, store: ObjectStore, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    own, port = three_databases(database_server), ports()
    for name, value in {**own, "PLUMBLINE_PASSWORD": PASSWORD}.items():
        (secrets / name.lower()).write_text(value)
    mlflow = f"http://127.0.0.1:{port['PLUMBLINE_MLFLOW_PORT']}"
    prefect = f"http://127.0.0.1:{port['PLUMBLINE_PREFECT_PORT']}/api"
    installation = Installation(
        tmp_path / "home",
        {
            **port, **store.environment, "PLUMBLINE_SECRETS": str(secrets), "PYTHONPATH": str(CHECKOUT),
            "PLUMBLINE_ARTIFACTS": f"s3://{BUCKET}/recipes", "MLFLOW_TRACKING_URI": mlflow, "PREFECT_API_URL": prefect,
        },
    )  # fmt: skip
    upgraded = installation.plumbline(*command("upgrade"))
    assert upgraded.returncode == 0, upgraded.stderr
    assert PASSWORD not in upgraded.stdout
    before = {process.pid for process in psutil.process_iter()}

    def pool_and_worker() -> bool:
        with prefect_client(prefect, ":".join(AUTH)) as client:
            pools = {pool.name for pool in client.read_work_pools()}
            return "plumbline" in pools and bool(client.read_workers_for_work_pool("plumbline"))

    with (
        running(installation, "prefect", lambda: answers(f"{prefect}/health")),
        running(installation, "mlflow", lambda: answers(f"{mlflow}/health")),
        running(installation, "worker", pool_and_worker),
    ):
        assert httpx.get(f"{mlflow}/", timeout=120).status_code == 401
        assert httpx.get(f"{mlflow}/", timeout=120, auth=AUTH).status_code == 200
        assert httpx.post(f"{prefect}/deployments/count", timeout=120, auth=AUTH).json() > 10
        started = [process for process in psutil.process_iter(["cmdline"]) if process.pid not in before]
        assert not [each for each in started if PASSWORD in " ".join(each.info["cmdline"] or [])]


@pytest.mark.parametrize(
    ("process", "expected"),
    [("mlflow", "set PLUMBLINE_PASSWORD"), ("anything", "expected one of mlflow, prefect, worker")],
)
def test_a_process_that_may_not_serve_says_why(process: str, expected: str, tmp_path: Path) -> None:
    done = Installation(tmp_path / "home", {"PLUMBLINE_HOST": "0.0.0.0"}).plumbline("foreground", process)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())
