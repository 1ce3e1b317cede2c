"""`plumbline serve` for real: promoted under load, without a refused or mixed answer."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pytest
from installation import CHECKOUT
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
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


@pytest.fixture(scope="module")
def server(first: VersionRef, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`plumbline serve ecg-beats@champion`, which was the first version when it started."""
    port = free_port()
    command = [sys.executable, "-m", "flows", "serve", "ecg-beats@champion", "--port", str(port)]
    with serving(command, port, tmp_path_factory.mktemp("elsewhere"), checkout=True) as started:
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


def test_who_follows_the_alias_answers_by_the_next_champion_unasked(artifacts: Path, tmp_path: Path) -> None:
    port, first = free_port(), register_beats(artifacts.parent, seed=4)
    set_alias(first, "champion")
    command = [sys.executable, "-m", "flows", "serve", "ecg-beats@champion", "--port", str(port), "--follow", "1"]
    with serving(command, port, tmp_path, checkout=True) as server:
        ask = partial(httpx.post, f"{server.address}/invocations", json=QUESTION, timeout=PATIENCE)
        assert by(ask()) == f"ecg-beats/{first.version}"
        second = register_beats(artifacts.parent, seed=5)
        set_alias(second, "champion")
        wait_for(lambda: by(ask()) == f"ecg-beats/{second.version}", server)
        said = server.log.read_text()
    assert f"version {second.version} answers now, in place of version {first.version}." in said


def test_a_version_that_cannot_be_loaded_leaves_the_present_one_answering(server: Server, artifacts: Path) -> None:
    present = by(httpx.post(f"{server.address}/invocations", json=QUESTION, timeout=PATIENCE))
    broken = register_beats(artifacts.parent, seed=3)
    weights = only(artifacts.rglob(f"{broken.model_id}/**/members/0.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    set_alias(broken, "champion")
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(lambda: "cannot be served" in server.log.read_text(), server)
    answer = httpx.post(f"{server.address}/invocations", json=QUESTION, timeout=PATIENCE)
    assert answer.status_code == 200
    assert by(answer) == present
    said = only(line for line in server.log.read_text().splitlines() if "cannot be served" in line)
    assert f"ecg-beats version {broken.version} cannot be served" in said
    assert "has SHA-256" in said
    assert said.endswith(f"Version {present.rpartition('/')[2]} goes on answering.")
    assert "Traceback" not in server.log.read_text()


def test_a_port_in_use_and_an_unknown_version_are_one_sentence_each(server: Server) -> None:
    taken = server.address.rpartition(":")[2]
    for arguments, code, words in (
        (["ecg-beats@champion", "--port", taken], 2, f"--port: port {taken} on 127.0.0.1 cannot be used"),
        (["ecg-beats@best", "--port", str(free_port())], 1, "no version with the alias 'best'"),
    ):
        command = [sys.executable, "-m", "flows", "serve", *arguments]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_the_description_is_valid_and_every_answer_is_as_it_says(server: Server) -> None:
    contract = httpx.get(f"{server.address}/openapi.json", timeout=PATIENCE).json()
    OpenAPIV31SpecValidator(contract).validate()
    assert contract["info"]["title"].startswith("ecg-beats version ")
    assert "MLII in mV; 216 points at 360 Hz. Classes, in order: normal, LBBB" in contract["info"]["description"]
    examples = contract["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for name, example in examples.items():
        validator(contract, "Question").validate(example["value"])
        answer = httpx.post(f"{server.address}/invocations", json=example["value"], timeout=PATIENCE)
        assert answer.status_code == 200, name
        validator(contract, "Answer").validate(answer.json())
        assert ("attribution" in answer.json()["predictions"]) == (name == "explain")
    one_short = {"inputs": beats(1)[:, :, 1:].tolist()}
    assert not validator(contract, "Question").is_valid(one_short)
    refused = httpx.post(f"{server.address}/invocations", json=one_short, timeout=PATIENCE)
    assert refused.status_code == 400
    validator(contract, "Refusal").validate(refused.json())
    as_csv = {"content": b"1,2", "headers": {"Content-Type": "text/html"}}
    assert httpx.post(f"{server.address}/invocations", **as_csv, timeout=PATIENCE).status_code == 415  # type: ignore[arg-type]
    assert httpx.get(f"{server.address}/ping", timeout=PATIENCE).status_code == 200


def test_the_clients_of_the_readme_run_as_printed(server: Server, first: VersionRef, tmp_path: Path) -> None:
    in_python, over_http = printed_programs()
    (tmp_path / "client.py").write_text(over_http)
    done = run_elsewhere(["client.py", server.address], tmp_path)
    title, *beats_seen = done.splitlines()
    assert title.startswith("ecg-beats version ")
    assert len(beats_seen) == 3
    assert len(set(beats_seen)) == 1, "three times the same beat"
    set_alias(first, "champion")
    (tmp_path / "consumer.py").write_text(in_python)
    seen = run_elsewhere(["consumer.py"], tmp_path, only_needed=first)
    assert len(seen.splitlines()) == 4
    assert "mostly for what happens" in seen


def printed_programs() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CHECKOUT / "mlflow" / "README.md").read_text(), re.DOTALL)


def validator(contract: dict[str, Any], schema: str) -> OAS31Validator:
    return OAS31Validator({"$ref": f"#/components/schemas/{schema}", "components": contract["components"]})


ONLY_NEEDED = """
import sys

FOREIGN = frozenset({foreign!r})


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FOREIGN:
            raise ModuleNotFoundError(f"No module named {{name!r}}: the version does not require it", name=name)


sys.meta_path.insert(0, Absent())
"""


def run_elsewhere(command: list[str], folder: Path, only_needed: VersionRef | None = None) -> str:
    """A Python program's output, without the checkout and, asked for, without what a version does not require."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(), "PYTHONPATH": str(folder)}
    if only_needed is not None:
        needed = (Path(mlflow.artifacts.download_artifacts(only_needed.uri)) / "requirements.txt").read_text()
        foreign = sorted(not_required(needed.split()))
        assert {"flows", "tasks", "xai", "models", "prefect", "lightning", "wfdb"} <= set(foreign)
        (folder / "sitecustomize.py").write_text(ONLY_NEEDED.format(foreign=foreign))
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def not_required(requirements: list[str]) -> set[str]:
    """Names of the installed top-level modules that no requirement, nor a requirement of one, brings."""
    brought: set[str] = set()
    waiting = [canonicalize_name(Requirement(line).name) for line in requirements]
    while waiting:
        name = waiting.pop()
        if name in brought:
            continue
        brought.add(name)
        with suppress(PackageNotFoundError):
            needed = [Requirement(line) for line in distribution(name).requires or []]
            waiting += [canonicalize_name(r.name) for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    modules = packages_distributions().items()
    absent = {module for module, by in modules if not {canonicalize_name(name) for name in by} & brought}
    return absent | {"flows", "tasks", "xai", "models"}
