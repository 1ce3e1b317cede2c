"""Opening the ledger: the engine, its waiting on locks, and migrations that run once."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x706C756D62  # "plumb": any number that every Plumbline process agrees on
_alembic_is_one_per_process = threading.Lock()
_AWAY = ("refused", "starting up", "shutting down", "recovery mode", "closed the connection", "reset by peer")
"""What PostgreSQL or the network says while the server is away or comes back."""


class LedgerError(RuntimeError):
    """The ledger cannot be reached, written or understood; the message is one sentence."""


@dataclass(frozen=True)
class Ledger:
    """An open ledger. ``wait`` is how many seconds a lock held by another process, or a server, is waited for."""

    engine: Engine
    wait: float

    @property
    def address(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose objects stay readable after it ends."""
        with _told_in_a_sentence(self), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction, committed at its end; either all of it is written or nothing."""
        engine = self.engine.execution_options(writes=True)
        with _told_in_a_sentence(self), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def open_ledger(url: str, *, wait: float = 60.0) -> Ledger:
    """Opens the ledger at ``url`` and brings its tables up to date, once among any number of processes.

    ``url`` is ``sqlite:///path/to/ledger.db`` (folders are made) or ``postgresql+psycopg://...``.
    Raises LedgerError where it is another kind, cannot be reached, stays locked for ``wait`` seconds, or
    was written by a newer Plumbline.
    """
    ledger = Ledger(_engine(url, wait), wait)
    with _told_in_a_sentence(ledger):
        _bring_up_to_date(ledger)
    return ledger


def _engine(url: str, wait: float) -> Engine:
    expected = "expected sqlite:///path or postgresql+psycopg://user@host/database"
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerError(f"The ledger's URL is {url!r}; {expected}.") from None
    if address.drivername == "postgresql+psycopg":
        return _postgres_engine(address, wait)
    if address.drivername == "sqlite" and address.database not in (None, "", ":memory:"):
        return _sqlite_engine(address, wait)
    raise LedgerError(f"The ledger's URL is {address.render_as_string(hide_password=True)!r}; {expected}.")


def _postgres_engine(address: URL, wait: float) -> Engine:
    engine = create_engine(address, json_serializer=as_json, pool_pre_ping=True)

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _: ConnectionPoolEntry, arguments: Any, parameters: Any) -> Any:
        deadline = time.monotonic() + wait
        while True:
            try:
                return dialect.connect(*arguments, **parameters)
            except dialect.loaded_dbapi.OperationalError as error:
                if time.monotonic() > deadline or not any(word in str(error) for word in _AWAY):
                    raise
                time.sleep(0.5)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.execute(f"SET lock_timeout = {int(wait * 1000)}")
        connection.commit()

    return engine


def _sqlite_engine(address: URL, wait: float) -> Engine:
    engine = create_engine(address, json_serializer=as_json, connect_args={"timeout": wait})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:
        # The driver begins late and deferred by itself; `_begin` below is explicit instead.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once: a reader that turns writer does not wait, it fails.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def migration_config(connection: Connection) -> Config:
    """Alembic's settings, made here so that they hold in any working folder and inside a wheel."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _bring_up_to_date(ledger: Ledger) -> None:
    if ledger.engine.dialect.name == "sqlite":
        Path(str(ledger.engine.url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    with ledger.engine.connect() as connection:
        if _is_current(connection):
            return
    with _alone(ledger), ledger.engine.execution_options(writes=True).begin() as connection:
        if ledger.engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        if not _is_current(connection):
            command.upgrade(migration_config(connection), "head")


def _is_current(connection: Connection) -> bool:
    revision = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(migration_config(connection))
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise LedgerError(
            f"The ledger {connection.engine.url.render_as_string(hide_password=True)} has tables of revision "
            f"{revision!r}; expected one of {sorted(known)}, so it was written by a newer Plumbline."
        )
    return revision == scripts.get_current_head()


@contextmanager
def _alone(ledger: Ledger) -> Iterator[None]:
    """Only one thread of one process migrates; PostgreSQL locks by itself, inside the transaction."""
    with _alembic_is_one_per_process:
        if ledger.engine.dialect.name != "sqlite":
            yield
            return
        with FileLock(f"{ledger.engine.url.database}.lock", timeout=ledger.wait):
            # The journal mode stays with the file. Changing it does not wait for others, hence the lock:
            # without it, 4 of 480 processes that made 60 ledgers at once failed.
            with closing(ledger.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
            yield


@contextmanager
def _told_in_a_sentence(ledger: Ledger) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise LedgerError(_locked(ledger)) from None
    except (DBAPIError, sqlite3.Error) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        locked = "database is locked" in reason or "lock timeout" in reason
        message = _locked(ledger) if locked else f"The ledger {ledger.address} failed: {reason.rstrip('.')}."
        raise LedgerError(message) from error
    except OSError as error:
        raise LedgerError(f"The ledger {ledger.address} failed: {error}.") from error


def _locked(ledger: Ledger) -> str:
    return f"The ledger {ledger.address} stayed locked by another process for {ledger.wait:g} s."


def as_json(value: Any) -> str:
    """JSON in which an undefined number is null: PostgreSQL refuses NaN."""
    return json.dumps(_without_nan(value), allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
