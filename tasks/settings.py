"""Where Plumbline writes, what it talks to: one settings class, prefix ``PLUMBLINE_``."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """Every setting has a default that works on one machine; `plumbline doctor` prints them."""

    model_config = SettingsConfigDict(env_prefix="PLUMBLINE_", frozen=True, extra="forbid")

    home: Path = Field(Path(".plumbline"), description="everything written lies under this folder")
    data: Path | None = Field(
        None, description="recordings, a folder per study, for commands and jobs that are given none"
    )
    real_data: Path = Field(Path("../shared/data"), description="where the tests look for real recordings")
    ledger_url: str | None = Field(None, description="SQL URL of the ledger; default SQLite under home")
    pseudonym_key: SecretStr | None = Field(None, description="key of the subject pseudonyms; default a file")
    dask: str | None = Field(
        None, description="Dask scheduler (tcp://host:8786) whose workers share the work; default this process alone"
    )
    host: str = Field("127.0.0.1", description="address that the servers bind to")
    mlflow_port: int = Field(5000, ge=1, le=65535)
    prefect_port: int = Field(4200, ge=1, le=65535)

    @cached_property
    def root(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def mlflow_database(self) -> str:
        """SQLAlchemy URL of the embedded MLflow store."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Folder of the embedded MLflow artifacts."""
        return self.root / "artifacts"

    @property
    def mlflow_url(self) -> str:
        """Address of the MLflow server that `plumbline up` starts."""
        return f"http://{self.host}:{self.mlflow_port}"

    @property
    def prefect_url(self) -> str:
        """Address of the Prefect API that `plumbline up` starts."""
        return f"http://{self.host}:{self.prefect_port}/api"


def platform_environment(settings: Settings) -> dict[str, str]:
    """What MLflow and Prefect must find in the environment before they are imported.

    No telemetry, no pickle, everything under `home`. `MLFLOW_*` and `PREFECT_*` variables that the
    user has set win.
    """
    return {
        "PLUMBLINE_HOME": str(settings.root),
        "MLFLOW_TRACKING_URI": settings.mlflow_database,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "PREFECT_HOME": str(settings.root / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # by default 20, too few for a busy machine
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # By default a hundred runs of every deployment are written ahead: they keep SQLite locked for minutes.
        "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "14",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
    }


def prepare_environment(settings: Settings) -> None:
    """Creates `home` and fills in the environment; call before importing MLflow or Prefect."""
    settings.root.mkdir(parents=True, exist_ok=True)
    for name, value in platform_environment(settings).items():
        os.environ.setdefault(name, value)
