"""`up`, `status` and `down` with the real servers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import httpx
import psutil
import pytest

from tasks.errors import UsageError
from tasks.service import down, service_environment, status, up
from tasks.service.processes import TOKEN_VARIABLE, ServerProcess, end, members, start
from tasks.service.record import NAMES, read_record, record_file

MEBIBYTE = 2**20


@pytest.fixture
def foreign():
    """A process of somebody else."""
    process = subprocess.Popen(["sleep", "300"])
    yield process
    process.kill()
    process.wait()


def _members(settings):
    record = read_record(settings)
    return [process for name in record.processes for process in members(record.processes[name])]


def _ask_living(settings, question):
    """The answers of the service's processes; one that ends meanwhile, like a health check, has none."""
    answers = []
    for process in _members(settings):
        with contextlib.suppress(psutil.NoSuchProcess):
            answers.append(question(process))
    return answers


def _sleeper(tmp_path, code="import time; time.sleep(300)"):
    return start("sleeper", [sys.executable, "-c", code], {}, tmp_path / "sleeper.log")


def test_up_starts_everything_in_bounded_memory(service):
    now = status(service.settings)
    used = {name: round(memory / MEBIBYTE) for name, memory in service.memory.items()}
    print(f"ready after {service.seconds:.1f} s, idle memory in MiB: {used}")
    assert set(service.started) == set(NAMES)
    assert now.up
    assert 100 < sum(used.values()) < 1300


@pytest.mark.soak
def test_up_is_quick(service):
    assert service.seconds < 120  # 25 s on two idle cores; a machine that is busy otherwise proves nothing


def test_servers_answer_where_status_says(service):
    urls = {process.name: process.url for process in status(service.settings).processes}
    assert httpx.get(f"{urls['mlflow']}/health").text == "OK"
    assert httpx.get(f"{urls['prefect']}/health").json() is True


def test_every_port_is_on_the_loopback(service):
    listening = [
        connection.laddr.ip
        for connections in _ask_living(service.settings, lambda process: process.net_connections(kind="inet"))
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}


def test_nothing_phones_home(service):
    environments = _ask_living(service.settings, psutil.Process.environ)
    assert len(environments) >= len(NAMES)
    assert all(each["MLFLOW_DISABLE_TELEMETRY"] == "true" for each in environments)
    assert all(each["PREFECT_SERVER_ANALYTICS_ENABLED"].lower() == "false" for each in environments)
    assert all(each["DO_NOT_TRACK"] == "1" for each in environments)


def test_up_twice_changes_nothing(service):
    before = record_file(service.settings).read_bytes()
    assert up(service.settings) == ()
    assert record_file(service.settings).read_bytes() == before


def test_clients_are_led_to_the_running_servers(service, new_settings):
    assert service_environment(service.settings) == {
        "MLFLOW_TRACKING_URI": service.settings.mlflow_url,
        "PREFECT_API_URL": service.settings.prefect_url,
    }
    assert service_environment(new_settings()) == {}


@pytest.mark.parametrize("setting", ["mlflow_port", "prefect_port"])
def test_a_taken_port_is_one_sentence_and_nothing_is_started(service, new_settings, setting):
    taken = getattr(service.settings, setting)
    settings = new_settings(**{setting: taken})
    with pytest.raises(UsageError) as caught:
        up(settings)
    assert f"PLUMBLINE_{setting.upper()}" in str(caught.value)
    assert str(taken) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_record(settings).processes == {}


def test_changed_ports_of_a_running_service_are_refused(service, new_settings):
    settings = new_settings(home=service.settings.home)
    with pytest.raises(UsageError, match="plumbline down"):
        up(settings)
    assert status(service.settings).up


def test_down_of_another_home_leaves_this_one_alone(service, new_settings):
    assert down(new_settings()) == ()
    assert status(service.settings).up


def test_a_dead_worker_is_seen_and_replaced_alone(service):
    servers = {name: read_record(service.settings).processes[name] for name in ("mlflow", "prefect")}
    end([read_record(service.settings).processes["worker"]], grace=0)
    assert {process.name: process.running for process in status(service.settings).processes} == {
        "mlflow": True,
        "prefect": True,
        "worker": False,
    }
    assert up(service.settings) == ("worker",)
    record = read_record(service.settings).processes
    assert {name: record[name] for name in servers} == servers
    assert status(service.settings).up


def test_a_foreign_process_with_a_recorded_pid_survives(foreign):
    reused = ServerProcess("mlflow", foreign.pid, created=1.0, token="other", log="", url=None)
    assert not reused.running
    assert end([reused], grace=0.5) == 0
    assert foreign.poll() is None


def test_an_orphan_in_another_session_is_found_and_a_stubborn_one_killed(tmp_path):
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "print('ready', flush=True)\n"
        "time.sleep(300)\n"
    )
    server = _sleeper(tmp_path, script)
    while "ready" not in (tmp_path / "sleeper.log").read_text():
        assert server.running
    server.leader.kill()
    psutil.wait_procs([psutil.Process(server.pid)] if psutil.pid_exists(server.pid) else [], timeout=5)
    orphans = members(server)
    assert [process.name() for process in orphans] == ["sleep"]
    stubborn = _sleeper(tmp_path, script)
    while (tmp_path / "sleeper.log").read_text().count("ready") < 2:
        assert stubborn.running
    assert end([server, stubborn], grace=0.5) == 3
    assert members(server) == members(stubborn) == []


# The last test of this file, because the next one would have to start the service again.
def test_down_ends_every_process_of_the_service_and_no_other(service, foreign):
    ours = _members(service.settings)
    tokens = {server.token for server in read_record(service.settings).processes.values()}
    assert set(down(service.settings)) == set(NAMES)
    assert not any(process.is_running() for process in ours)
    assert not _bearers(tokens)
    assert foreign.poll() is None
    assert down(service.settings) == ()
    assert not status(service.settings).up
    assert json.loads(record_file(service.settings).read_text())["processes"] == []
    assert service_environment(service.settings) == {}


def _bearers(tokens):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TOKEN_VARIABLE) in tokens:
                found.append(process)
        except psutil.Error:
            continue
    return found
