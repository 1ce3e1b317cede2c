"""`plumbline serve` for real: promoted under load, without a refused or mixed answer."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pytest
from served import Server, beats, register_beats, registry, serving
from support import free_port, only

from tasks.publishing.registry import VersionRef, set_alias

PATIENCE = 300.0
QUESTION = {"inputs": beats(1).tolist(), "params": {"explain": "gradient"}}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the registry of this file keeps its artifacts."""
    with registry(tmp_path_factory.mktemp("serve")) as folder:
        yield folder


@pytest.fixture(scope="module")
def first(artifacts: Path) -> VersionRef:
    version = register_beats(artifacts.parent, seed=1)
    set_alias(version, "champion")
    return version


@pytest.fixture
def server(first: VersionRef, tmp_path: Path) -> Iterator[Server]:
    """`plumbline serve ecg-beats@champion`; the champion is the first version again."""
    set_alias(first, "champion")
    port = free_port()
    command = [sys.executable, "-m", "flows", "serve", "ecg-beats@champion", "--port", str(port)]
    with serving(command, port, tmp_path, checkout=True) as started:
        yield started


@dataclass
class Clients:
    """Clients that ask one question after another; what they were answered, in order, by client."""

    address: str
    answers: list[list[httpx.Response]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, count: int) -> list[threading.Thread]:
        self.answers = [[] for _ in range(count)]
        threads = [threading.Thread(target=self._ask, args=(answers,)) for answers in self.answers]
        for thread in threads:
            thread.start()
        return threads

    def stop(self, threads: list[threading.Thread]) -> None:
        self._stop.set()
        for thread in threads:
            thread.join(PATIENCE)

    def _ask(self, answers: list[httpx.Response]) -> None:
        try:
            # Every other question over a new connection: a switch must refuse neither.
            with httpx.Client(trust_env=False, timeout=PATIENCE) as kept:
                while not self._stop.is_set():
                    answers.append(kept.post(f"{self.address}/invocations", json=QUESTION))
                    answers.append(httpx.post(f"{self.address}/invocations", json=QUESTION, timeout=PATIENCE))
        except Exception as error:  # a refused connection is what this test looks for
            self.errors.append(error)


def wait_for(moment: Callable[[], bool], server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        if time.monotonic() > deadline or server.process.poll() is not None:
            pytest.fail(f"the moment never came: {server.log.read_text()[-2000:]}")
        time.sleep(0.05)


def by(answer: httpx.Response) -> str:
    return answer.headers["Plumbline-Version"]


def test_a_promotion_under_load_refuses_nobody_and_mixes_nothing(server: Server, artifacts: Path) -> None:
    clients = Clients(server.address)
    threads = clients.run(3)
    try:
        wait_for(lambda: all(len(each) > 2 for each in clients.answers), server)
        second = register_beats(artifacts.parent, seed=2)
        set_alias(second, "champion")
        before = [len(each) for each in clients.answers]
        wait_for(lambda: all(len(each) > n + 2 for each, n in zip(clients.answers, before, strict=True)), server)
        assert {by(each[-1]) for each in clients.answers} == {"ecg-beats/1"}, "nobody has told it to reload"
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(lambda: all(by(each[-1]) == f"ecg-beats/{second.version}" for each in clients.answers), server)
    finally:
        clients.stop(threads)
    assert not clients.errors
    expected = {
        f"ecg-beats/{number}": mlflow.pyfunc.load_model(f"models:/ecg-beats/{number}").predict(
            beats(1), params={"explain": "gradient"}
        )
        for number in (1, second.version)
    }
    for answers in clients.answers:
        assert [each.status_code for each in answers] == [200] * len(answers)
        for answer in answers:
            for name, values in expected[by(answer)].items():
                np.testing.assert_allclose(answer.json()["predictions"][name], values, atol=1e-6)
        versions = [by(each) for each in answers]
        assert versions == sorted(versions), "no client was answered by the former version again"
    one, two = expected.values()
    assert np.abs(one["probability"] - two["probability"]).max() > 1e-3
    assert f"version {second.version} answers now, in place of version 1." in server.log.read_text()


def test_a_version_that_cannot_be_loaded_leaves_the_present_one_answering(server: Server, artifacts: Path) -> None:
    broken = register_beats(artifacts.parent, seed=3)
    weights = only(artifacts.rglob(f"{broken.model_id}/**/members/0.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    set_alias(broken, "champion")
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(lambda: "cannot be served" in server.log.read_text(), server)
    answer = httpx.post(f"{server.address}/invocations", json=QUESTION, timeout=PATIENCE)
    assert answer.status_code == 200
    assert by(answer) == "ecg-beats/1"
    said = only(line for line in server.log.read_text().splitlines() if "cannot be served" in line)
    assert f"ecg-beats version {broken.version} cannot be served" in said
    assert "has SHA-256" in said
    assert said.endswith("Version 1 goes on answering.")
    assert "Traceback" not in server.log.read_text()
