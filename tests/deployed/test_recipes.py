"""The recipes of `deploy/` are parsed, and what they start is started."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from installation import CHECKOUT

from flows.cli import app
from tasks.settings import Settings

DEPLOY = CHECKOUT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROCESSES = {"mlflow", "prefect", "worker"}
OTHER_VARIABLES = {"PLUMBLINE_SECRETS", "PLUMBLINE_CHECKOUT"}


def known_settings() -> set[str]:
    return {f"PLUMBLINE_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES


def require_command(words: list[str]) -> None:
    """Fails unless `plumbline WORDS` is a command with these arguments."""
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert words[0] in commands
    assert words[0] != "foreground" or words[1:] in [[name] for name in PROCESSES]


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def manifests() -> list[dict[str, Any]]:
    files = [DEPLOY / "kubernetes" / name for name in ("servers.yaml", "worker.yaml")]
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def test_compose_names_existing_commands_settings_and_secrets() -> None:
    services = compose()["services"]
    ours = {name: each for name, each in services.items() if name != "postgres"}
    assert set(ours) == PROCESSES | {"upgrade"}
    for service in ours.values():
        require_command(service["command"])
        assert {name for name in service["environment"] if name.startswith("PLUMBLINE_")} <= known_settings()
        assert {name.upper() for name in service["secrets"]} <= known_settings()
        assert service["cap_drop"] == ["ALL"]
        assert set(service["depends_on"]) <= set(services)
    used = {secret for service in services.values() for secret in service["secrets"]}
    assert used == set(compose()["secrets"])


def test_compose_publishes_on_this_machine_only_and_pins_images() -> None:
    for name, service in compose()["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        tag = service["image"].rpartition(":")[2]
        assert tag[0].isdigit()
        assert "healthcheck" in service or name in ("upgrade", "worker")
    text = (DEPLOY / "compose.yaml").read_text()
    assert "POSTGRES_PASSWORD:" not in text
    assert "POSTGRES_HOST_AUTH_METHOD" not in text


def test_the_image_is_pinned_unprivileged_and_has_what_it_copies() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert base.rpartition(":")[2][0].isdigit()
    (user,) = [line for line in lines if line.startswith("USER ")]
    assert user != "USER root"
    for line in lines:
        if line.startswith("COPY "):
            assert all((CHECKOUT / source).exists() for source in line.split()[1:-1])
    kept = [line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((CHECKOUT / name).exists() for name in kept)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_an_existing_command_with_existing_settings(unit: Path) -> None:
    file = configparser.ConfigParser(strict=False, interpolation=None)
    file.optionxform = str  # type: ignore[assignment,method-assign]
    file.read(unit)
    program, *words = file["Service"]["ExecStart"].split()
    assert program == "/opt/plumbline/.venv/bin/plumbline"
    require_command(words)
    credentials = [line.split("=", 1)[1].partition(":")[0] for line in unit.read_text().splitlines()
                   if line.startswith("LoadCredential=")]  # fmt: skip
    assert {name.upper() for name in credentials} <= known_settings()
    assert "plumbline_password" in credentials
    for hardening in ("NoNewPrivileges", "PrivateTmp", "RestrictSUIDSGID"):
        assert file["Service"][hardening] == "yes"
    assert file["Service"]["ProtectSystem"] == "strict"


def test_the_example_of_variables_names_existing_ones() -> None:
    lines = (DEPLOY / "systemd" / "plumbline.env").read_text().splitlines()
    names = {line.lstrip("#").partition("=")[0] for line in lines if "=" in line and " " not in line.partition("=")[0]}
    assert {name for name in names if name.startswith("PLUMBLINE_")} <= known_settings()
    assert {name for name in names if name.startswith("PLUMBLINE_")}


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine")
    for unit in UNITS:  # it looks whether the program is there
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/plumbline/.venv/bin/plumbline", "/bin/true"))
    found = subprocess.run([program, "verify", *sorted(tmp_path.glob("*.service"))], capture_output=True, text=True)
    ours = [line for line in found.stderr.splitlines() if "plumbline" in line]
    assert ours == []


def test_manifests_are_unprivileged_and_name_existing_commands_and_secrets() -> None:
    deployments = [each for each in manifests() if each["kind"] == "Deployment"]
    assert {each["metadata"]["name"] for each in deployments} == PROCESSES
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            if container["image"].startswith("plumbline:"):
                require_command(container["args"])
                variables = {each["name"] for each in container["env"]}
                assert {name for name in variables if name.startswith("PLUMBLINE_")} <= known_settings()
            assert container["image"].rpartition(":")[2][0].isdigit()


def test_the_job_template_uses_each_variable_it_declares() -> None:
    template = json.loads((DEPLOY / "kubernetes" / "base-job-template.json").read_text())
    text = json.dumps(template["job_configuration"])
    assert all(f"{{{{ {name} }}}}" in text for name in template["variables"]["properties"])
    assert template["job_configuration"]["job_manifest"]["kind"] == "Job"
