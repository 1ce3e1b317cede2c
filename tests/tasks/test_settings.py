"""Settings of a deployment: what is refused, what is hidden, where secrets may come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url

from flows.cli import sentence
from tasks.errors import UsageError
from tasks.service.access import mlflow_access, prefect_access, require_password_beyond_this_machine
from tasks.service.servers import command_of
from tasks.settings import Settings, platform_environment

SECRET = "canary-4711-canary"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PLUMBLINE_SECRETS", "PLUMBLINE_PASSWORD", "MLFLOW_SERVER_ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("mlflow_database", f"postgresql://u:{SECRET}@h/d", "postgresql+psycopg://user"),
        ("mlflow_database", f"postgresql+asyncpg://u:{SECRET}@h/d", "postgresql+psycopg://user"),
        ("prefect_database", f"postgresql+psycopg://u:{SECRET}@h/d", "postgresql+asyncpg://user"),
        ("ledger_url", f"mysql://u:{SECRET}@h/d", "postgresql+psycopg://user"),
        ("ledger_url", f"{SECRET}@h", "it is no SQL URL"),
        ("artifacts", "gs://bucket", "expected a folder or s3://bucket/prefix"),
        ("artifacts", "s3://", "expected a folder or s3://bucket/prefix"),
        ("password", SECRET[:11], "at least 12"),
        ("user", "with:colon", "pattern"),
    ],
)
def test_a_wrong_setting_is_a_sentence_without_the_secret(setting: str, value: str, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{setting: value})
    assert expected in sentence(caught.value)
    assert setting in sentence(caught.value)
    assert SECRET[:11] not in sentence(caught.value) + str(caught.value) + repr(caught.value)


def test_what_is_printed_of_settings_holds_no_secret() -> None:
    settings = Settings(
        ledger_url=f"postgresql+psycopg://u:{SECRET}@h/d",
        password=SECRET,
        prefect_database=f"sqlite+aiosqlite:///{SECRET}",
    )
    assert SECRET not in repr(settings) + str(settings.model_dump())
    assert make_url(settings.ledger).password == SECRET


def test_secrets_may_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plumbline_password").write_text(f"{SECRET}\n")
    monkeypatch.setenv("PLUMBLINE_SECRETS", str(tmp_path))
    assert Settings().auth_string == f"plumbline:{SECRET}"
    monkeypatch.setenv("PLUMBLINE_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"PLUMBLINE_SECRETS is .*nowhere, .*no folder"):
        Settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "plumbline.example.org"])
def test_others_reach_the_servers_with_a_password_only(host: str) -> None:
    with pytest.raises(UsageError, match=f"PLUMBLINE_HOST is {host}, .*; set PLUMBLINE_PASSWORD"):
        require_password_beyond_this_machine(Settings(host=host))
    require_password_beyond_this_machine(Settings(host=host, password=SECRET))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1"])
def test_this_machine_needs_none(host: str) -> None:
    require_password_beyond_this_machine(Settings(host=host))


def test_hosts_and_origins_are_listed(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, host="0.0.0.0", password=SECRET, allowed_hosts="one.example.org, two:81",
        allowed_origins="https://one.example.org",
    )  # fmt: skip
    hosts = mlflow_access(settings)["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"127.0.0.1", "127.0.0.1:*", "localhost:*", "one.example.org", "one.example.org:*", "two:81"} <= set(hosts)
    assert not {"0.0.0.0", "two:81:*", "192.168.*"} & set(hosts)
    assert prefect_access(settings)["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(",")[-1] == "https://one.example.org"
    assert settings.mlflow_url == "http://127.0.0.1:5000"


def test_commands_and_the_file_of_users_name_no_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mlflow_database=f"postgresql+psycopg://u:{SECRET}@h/d%25", password=SECRET)
    for name in ("mlflow", "prefect", "worker"):
        assert SECRET not in " ".join(command_of(settings, name))
    access = mlflow_access(settings)
    assert access["PGPASSWORD"] == SECRET
    assert SECRET not in Path(access["MLFLOW_AUTH_CONFIG_PATH"]).read_text()
    assert "NO_PERMISSIONS" in Path(access["MLFLOW_AUTH_CONFIG_PATH"]).read_text()


def test_clients_get_the_password_and_only_if_there_is_one() -> None:
    with_password = platform_environment(Settings(password=SECRET))
    assert with_password["PREFECT_API_AUTH_STRING"] == f"plumbline:{SECRET}"
    assert with_password["MLFLOW_TRACKING_PASSWORD"] == SECRET
    assert SECRET not in str(platform_environment(Settings()))
    assert "PREFECT_API_AUTH_STRING" not in platform_environment(Settings())
