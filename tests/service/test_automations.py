"""Who is told what, and a host that is gone: real server, real events, a real web hook."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Completed, Failed, Running, State

from tasks.service.automations import FAILURES, LOST, VIOLATIONS, apply_automations
from tasks.service.deployments import prefect_client
from tasks.settings import Settings

PATIENCE = 240.0


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A web hook on this machine: its address, and what it was told."""
    told: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token", told
    server.shutdown()


def wait_for(moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.5)


def run_of(settings: Settings, flow: str, end: State[None]) -> None:
    """A flow run that begins and ends so, as the server sees it."""
    with prefect_client(settings.prefect_url) as client:
        from prefect import Flow

        run = client.create_flow_run(Flow(lambda: None, name=flow), state=Running())
        client.set_flow_run_state(run.id, end, force=True)


def automations(settings: Settings) -> dict[str, int]:
    with prefect_client(settings.prefect_url) as client:
        return {name: len(client.read_automations_by_name(name)) for name in (VIOLATIONS, FAILURES, LOST)}


def test_violations_and_failures_are_told_and_nothing_else(service, receiver) -> None:
    address, told = receiver
    settings = service.settings.model_copy(update={"notify_url": Settings(notify_url=address).notify_url})
    apply_automations(settings)
    apply_automations(settings)
    assert automations(settings) == {VIOLATIONS: 1, FAILURES: 1, LOST: 1}
    time.sleep(5)  # the server's triggers learn of new automations by an event of their own
    run_of(settings, "watch", Completed(name="Nothing new", message="quiet"))
    run_of(settings, "watch-study", Completed(name="Completed with violations", message="part of a whole"))
    run_of(settings, "watch", Completed(name="Completed with violations", message="accuracy fell"))
    run_of(settings, "other", Failed(message="it broke"))
    wait_for(lambda: len(told) >= 2)
    time.sleep(3)
    assert sorted(each["body"] for each in told) == ["accuracy fell", "it broke"]
    assert any("Completed with violations" in each["subject"] for each in told)
    apply_automations(service.settings)
    assert automations(service.settings) == {VIOLATIONS: 0, FAILURES: 0, LOST: 1}


@pytest.mark.soak
def test_a_run_without_a_sign_of_life_is_marked_crashed_and_one_that_ended_is_not(service) -> None:
    from prefect import Flow
    from prefect.events import emit_event
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with prefect_client(service.settings.prefect_url) as client:
        silent, ended = (client.create_flow_run(Flow(lambda: None, name="beats"), state=Running()) for _ in range(2))
        with temporary_settings({PREFECT_API_URL: service.settings.prefect_url}):
            for run in (silent, ended):
                emit_event("prefect.flow-run.heartbeat", resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"})
        time.sleep(5)
        client.set_flow_run_state(ended.id, Completed(name="Unchanged"), force=True)

        def crashed() -> bool:
            state = client.read_flow_run(silent.id).state
            return state is not None and state.type == StateType.CRASHED

        wait_for(crashed)
        time.sleep(20)
        assert client.read_flow_run(ended.id).state.name == "Unchanged"
