"""Where Plumbline writes, what it talks to: one settings class, prefix ``PLUMBLINE_``."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from .errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[1]
HEARTBEAT_SECONDS = 30
"""How often a flow run shows that it lives; Prefect takes no less."""
DRIVERS = {
    "prefect": ("sqlite+aiosqlite", "postgresql+asyncpg"),
    "other": ("sqlite", "postgresql+psycopg"),
}
"""File and server driver of each database."""


class Settings(BaseSettings):
    """Every setting has a default that works on one machine; `plumbline doctor` prints them.

    What is secret may come from a file instead of a variable: `PLUMBLINE_SECRETS` names a folder with files such as
    `plumbline_password`, which is how systemd, Docker and Kubernetes hand secrets over.
    """

    model_config = SettingsConfigDict(env_prefix="PLUMBLINE_", frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, **values: Any) -> None:
        secrets = os.environ.get("PLUMBLINE_SECRETS") or None
        if secrets is not None and not Path(secrets).is_dir():
            raise UsageError(
                f"PLUMBLINE_SECRETS is {secrets}, which is no folder; expected one with a file per secret."
            )
        super().__init__(**{"_secrets_dir": secrets, **values})

    home: Path = Field(Path(".plumbline"), description="everything written lies under this folder")
    data: Path | None = Field(
        None, description="recordings, a folder per study, for commands and jobs that are given none"
    )
    inbox: str | None = Field(
        None, description="where recordings arrive for the watch: a folder or s3://bucket/prefix, a folder per study"
    )
    notify_url: SecretStr | None = Field(
        None, description="where the watch's violations and failures are told: an Apprise URL or a web hook"
    )
    real_data: Path = Field(Path("../shared/data"), description="where the tests look for real recordings")
    ledger_url: SecretStr | None = Field(None, description="SQL URL of the ledger; default SQLite under home")
    mlflow_database: SecretStr | None = Field(None, description="SQL URL of MLflow's store; default SQLite under home")
    prefect_database: SecretStr | None = Field(None, description="SQL URL of Prefect's; default SQLite under home")
    artifacts: str | None = Field(
        None, description="folder or s3://bucket/prefix of models, figures and reports; default a folder under home"
    )
    pseudonym_key: SecretStr | None = Field(None, description="key of the subject pseudonyms; default a file")
    dask: str | None = Field(
        None, description="Dask scheduler (tcp://host:8786) whose workers share the work; default this process alone"
    )
    host: str = Field("127.0.0.1", description="address that the servers bind to")
    mlflow_port: int = Field(5000, ge=1, le=65535)
    prefect_port: int = Field(4200, ge=1, le=65535)
    user: str = Field("plumbline", pattern=r"^[^:\s]+$", description="who signs in to both servers, with the password")
    password: SecretStr | None = Field(
        None, min_length=12, description="password of both servers; default: none is asked"
    )
    allowed_hosts: str = Field(
        "", description="names, by comma, under which MLflow may be asked for beside this machine's own"
    )
    allowed_origins: str = Field(
        "", description="addresses, by comma, of web pages that may call the servers: https://plumbline.example.org"
    )

    @field_validator("ledger_url", "mlflow_database", "prefect_database")
    @classmethod
    def _names_its_driver(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """A bare `postgresql://` means another driver from one SQLAlchemy to the next, and none suits Prefect."""
        if value is None:
            return value
        file, server = DRIVERS["prefect" if info.field_name == "prefect_database" else "other"]
        expected = f"expected {file}:////path or {server}://user:password@host/database"
        try:
            found = make_url(value.get_secret_value()).drivername
        except ArgumentError:
            raise ValueError(f"it is no SQL URL; {expected}") from None
        if found not in (file, server):
            raise ValueError(f"it begins with {found}://; {expected}")
        return value

    @field_validator("artifacts")
    @classmethod
    def _is_a_folder_or_a_bucket(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and not re.match(r"^s3://[^/]+", value):
            raise ValueError("expected a folder or s3://bucket/prefix")
        return value

    @cached_property
    def root(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger, with its password."""
        return _revealed(self.ledger_url) or f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def mlflow_store(self) -> str:
        """SQLAlchemy URL of MLflow's store, with its password."""
        return _revealed(self.mlflow_database) or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def prefect_store(self) -> str:
        """SQLAlchemy URL of Prefect's database, with its password."""
        return _revealed(self.prefect_database) or f"sqlite+aiosqlite:///{self.root / 'prefect' / 'prefect.db'}"

    @property
    def artifact_folder(self) -> Path | None:
        """Folder of MLflow's artifacts; None when they are in a bucket."""
        if self.artifacts is None:
            return self.root / "artifacts"
        return None if self.artifacts.startswith("s3://") else Path(self.artifacts).expanduser().resolve()

    @property
    def artifact_root(self) -> str:
        """URI under which MLflow keeps its artifacts, without a slash at its end."""
        folder = self.artifact_folder
        return folder.as_uri() if folder is not None else str(self.artifacts).rstrip("/")

    @property
    def auth_string(self) -> str | None:
        """`user:password` of both servers, or None where none is asked."""
        return None if self.password is None else f"{self.user}:{self.password.get_secret_value()}"

    @property
    def reachable_host(self) -> str:
        """The host that a client on this machine asks for: nobody can ask for "every address"."""
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow server that `plumbline up` starts."""
        return f"http://{self.reachable_host}:{self.mlflow_port}"

    @property
    def prefect_url(self) -> str:
        """Address of the Prefect API that `plumbline up` starts."""
        return f"http://{self.reachable_host}:{self.prefect_port}/api"


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def platform_environment(settings: Settings) -> dict[str, str]:
    """What MLflow and Prefect must find in the environment before they are imported.

    No telemetry, no pickle, everything under `home`. `MLFLOW_*` and `PREFECT_*` variables that the
    user has set win.
    """
    return {
        "PLUMBLINE_HOME": str(settings.root),
        "MLFLOW_TRACKING_URI": settings.mlflow_store,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "PREFECT_HOME": str(settings.root / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # by default 20, too few for a busy machine
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        # By default leases live in the server's memory: once it is restarted, a running job of more than 4 minutes
        # cannot renew the lease of its deployment's slot, and Prefect ends it.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # what the server says while its database is away
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # By default a hundred runs of every deployment are written ahead: they keep SQLite locked for minutes.
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "14",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": settings.prefect_store,
        **_credentials(settings),
    }


def _credentials(settings: Settings) -> dict[str, str]:
    """What clients of both servers show, and what a Prefect server asks for."""
    if settings.password is None or settings.auth_string is None:
        return {}
    return {
        "MLFLOW_TRACKING_USERNAME": settings.user,
        "MLFLOW_TRACKING_PASSWORD": settings.password.get_secret_value(),
        "PREFECT_API_AUTH_STRING": settings.auth_string,
        "PREFECT_SERVER_API_AUTH_STRING": settings.auth_string,
    }


def prepare_environment(settings: Settings) -> None:
    """Creates `home` and fills in the environment; call before importing MLflow or Prefect."""
    settings.root.mkdir(parents=True, exist_ok=True)
    for name, value in platform_environment(settings).items():
        os.environ.setdefault(name, value)
