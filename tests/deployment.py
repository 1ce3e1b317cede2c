"""A Plumbline deployment of a test: PostgreSQL, an object store and passwords."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from installation import Installation
from object_store import ObjectStore
from sqlalchemy import create_engine, make_url, text
from support import free_port

DATABASE_PASSWORD = "canary-of-the-database-81"
PASSWORD = "canary-of-the-servers-27"
SECRETS = (DATABASE_PASSWORD, PASSWORD)


@dataclass(frozen=True)
class Deployment:
    """An installation on servers of its own, and the store that its artifacts go to."""

    installation: Installation
    store: ObjectStore

    @property
    def mlflow(self) -> str:
        return f"http://127.0.0.1:{self.installation.settings['PLUMBLINE_MLFLOW_PORT']}"

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.installation.settings['PLUMBLINE_PREFECT_PORT']}/api"

    @property
    def auth(self) -> tuple[str, str]:
        return "plumbline", PASSWORD


def three_databases(server: str) -> dict[str, str]:
    """Fresh databases of one role with a password, as the settings name them."""
    role, admin = f"role_{uuid4().hex[:8]}", make_url(server).set(database="postgres")
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    urls = {}
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{DATABASE_PASSWORD}'"))
        for setting, driver in (
            ("MLFLOW_DATABASE", "psycopg"),
            ("PREFECT_DATABASE", "asyncpg"),
            ("LEDGER_URL", "psycopg"),
        ):
            name = f"{setting.partition('_')[0].lower()}_{uuid4().hex[:8]}"
            connection.execute(text(f"CREATE DATABASE {name} OWNER {role}"))
            url = admin.set(drivername=f"postgresql+{driver}", database=name, username=role, password=DATABASE_PASSWORD)
            urls[f"PLUMBLINE_{setting}"] = url.render_as_string(hide_password=False)
    engine.dispose()
    return urls


def ports() -> dict[str, str]:
    return {"PLUMBLINE_MLFLOW_PORT": str(free_port()), "PLUMBLINE_PREFECT_PORT": str(free_port())}
