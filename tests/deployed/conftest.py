"""An installation as a hospital would deploy it: PostgreSQL, an object store, passwords."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import JUDGE_ONE_STUDY
from deployment import PASSWORD, Deployment, ports, three_databases
from installation import Installation
from object_store import BUCKET, ObjectStore, object_store
from postgres import postgres_server

TO_THE_SERVICE = "import os; from tasks.service import service_environment; "
TO_THE_SERVICE += "os.environ.update(service_environment(Settings()))"


@pytest.fixture(scope="package")
def database_server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="package")
def deployment(
    database_server: str, store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The service on PostgreSQL, bucket and passwords, with one study trained, judged and promoted on it."""
    settings = {
        **three_databases(database_server),
        **ports(),
        **store.environment,
        "PLUMBLINE_ARTIFACTS": f"s3://{BUCKET}/production",
        "PLUMBLINE_PASSWORD": PASSWORD,
    }
    installation = Installation(tmp_path_factory.mktemp("deployed") / "home", settings)
    upgraded = installation.plumbline("upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    started = installation.plumbline("up")
    try:
        assert started.returncode == 0, started.stderr
        installation.python(TO_THE_SERVICE + JUDGE_ONE_STUDY)
        yield Deployment(installation, store)
    finally:
        installation.plumbline("down")
