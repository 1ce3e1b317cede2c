"""One database into a file and back: SQLite by its online backup, PostgreSQL by its own programs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text

from ..errors import PlumblineError
from .databases import Database

LIBPQ = {
    "sslmode": "PGSSLMODE",
    "ssl": "PGSSLMODE",  # what asyncpg calls it
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "host": "PGHOST",
    "options": "PGOPTIONS",
}
OWN_TABLES = "FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state IS NOT NULL"


def dump(database: Database, folder: Path) -> Path:
    """Writes the whole database, as it is at one moment, to a file in ``folder`` while others go on writing."""
    if database.file is not None:
        return _dump_sqlite(database.file, folder / f"{database.name}.db")
    target = folder / f"{database.name}.dump"
    _postgres_program(database, "pg_dump", ["--format=custom", f"--file={target}"])
    return target


def load(database: Database, dumped: Path) -> None:
    """Fills the empty database with what `dump` wrote."""
    if database.file is None:
        place = ["--exit-on-error", "--single-transaction", f"--dbname={database.url.database}", str(dumped)]
        _postgres_program(database, "pg_restore", place)
        return
    database.file.parent.mkdir(parents=True, exist_ok=True)
    _dump_sqlite(dumped, database.file)


def is_empty(database: Database) -> bool:
    """Whether there is nothing yet that a restore would overwrite."""
    if database.file is not None:
        return not database.file.exists()
    with _connected(database) as connection:
        return connection.execute(text(f"SELECT count(*) {OWN_TABLES}")).scalar() == 0


def in_use(database: Database) -> bool:
    """Whether another session is connected; of a file, only the record of the service knows."""
    if database.file is not None:
        return False
    with _connected(database) as connection:
        return connection.execute(text(f"SELECT count(*) {OTHERS}")).scalar() != 0


def empty(database: Database) -> None:
    """Removes everything in it."""
    if database.file is not None:
        for ending in ("", "-wal", "-shm"):
            database.file.with_name(database.file.name + ending).unlink(missing_ok=True)
        return
    with _connected(database) as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        connection.commit()


def _dump_sqlite(source: Path, target: Path) -> Path:
    """A copied file may be torn, and would lack what still lies in the journal beside it."""
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
    return target


def _connected(database: Database) -> Connection:
    known = {"sslmode" if name == "ssl" else name: value for name, value in database.url.query.items()}
    return create_engine(database.url.set(drivername="postgresql+psycopg", query=known)).connect()


def _postgres_program(database: Database, program: str, arguments: list[str]) -> None:
    path = shutil.which(program)
    if path is None:
        raise PlumblineError(
            f"{program} is not on the PATH, and the database of {database.name} is a PostgreSQL; install PostgreSQL's "
            "client programs of the server's version or newer."
        )
    options = ["--no-owner", "--no-privileges", "--no-comments"]
    done = subprocess.run(
        [path, *options, *arguments],
        env={**os.environ, **_libpq_environment(database.url)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = " ".join(done.stderr.split()).rstrip(".")
        raise PlumblineError(f"{program} of {database.address} failed: {reason}.")


def _libpq_environment(url: URL) -> dict[str, str]:
    """Where and as whom to connect, not in the command line, which every user of the machine may read."""
    found = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        **{LIBPQ[name]: value for name, value in url.query.items() if name in LIBPQ},
    }
    return {name: str(value) for name, value in found.items() if value is not None}
