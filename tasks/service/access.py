"""Who may use the servers: passwords, the names they answer to, and where they may be reached."""

from __future__ import annotations

import configparser
import os
import secrets
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import make_url

from ..errors import UsageError
from ..settings import Settings

REMEMBERED = 60
"""Seconds that MLflow remembers a password it has checked: a check costs a third of a second."""


def require_password_beyond_this_machine(settings: Settings) -> None:
    """Raises UsageError where others could reach the servers and no password is asked."""
    if settings.password is None and not _is_loopback(settings.host):
        raise UsageError(
            f"PLUMBLINE_HOST is {settings.host}, where others could read results and run code without a password; "
            "set PLUMBLINE_PASSWORD, or PLUMBLINE_HOST to 127.0.0.1."
        )


def mlflow_access(settings: Settings) -> dict[str, str]:
    """What the MLflow server must find in its environment; the user's own `MLFLOW_SERVER_*` win."""
    listed = {
        # The list replaces MLflow's own, which lets in every private network.
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(_with_any_port(_hosts(settings))),
        **({"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": settings.allowed_origins} if settings.allowed_origins else {}),
    }
    return {name: os.environ.get(name, value) for name, value in listed.items()} | _mlflow_password(settings)


def prefect_access(settings: Settings) -> dict[str, str]:
    """What the Prefect server must find in its environment; by default any page may call it, here none."""
    name = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
    own = [f"http://{host}:{settings.prefect_port}" for host in ("127.0.0.1", "localhost")]
    return {name: os.environ.get(name, ",".join([*own, *_listed(settings.allowed_origins)]))}


def _mlflow_password(settings: Settings) -> dict[str, str]:
    if settings.password is None:
        return {}
    store = make_url(settings.mlflow_store)
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(_write_mlflow_auth(settings)),
        "MLFLOW_AUTH_ADMIN_USERNAME": settings.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": settings.password.get_secret_value(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        # The file below names the database without its password, which the driver takes from here.
        **({"PGPASSWORD": str(store.password)} if store.password else {}),
    }


def _write_mlflow_auth(settings: Settings) -> Path:
    """MLflow's own file of its users. A new user sees nothing until given a right: results are about patients."""
    database = make_url(settings.mlflow_store)
    file = configparser.ConfigParser(interpolation=None)
    file["mlflow"] = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": database._replace(password=None).render_as_string().replace("%", "%%"),
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(REMEMBERED),
    }
    path = settings.root / "basic_auth.ini"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        file.write(output)
    return path


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(settings: Settings) -> list[str]:
    bound = [] if settings.host in ("0.0.0.0", "::") else [settings.host]
    return list(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", *bound, *_listed(settings.allowed_hosts)]))


def _with_any_port(hosts: list[str]) -> list[str]:
    """A host with a port of its own is meant as it stands."""
    named = [(host, ":" in host.rpartition("]")[2]) for host in hosts]
    return [pattern for host, has_port in named for pattern in ((host,) if has_port else (host, f"{host}:*"))]


def _listed(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]
