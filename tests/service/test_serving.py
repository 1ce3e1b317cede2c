"""`mlflow models serve` for real: predictions, maps and refusals over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch

from models import build_network
from models.bundle import BundleConfig, save_bundle
from tasks.publishing.registry import register_version, set_alias

ARGUMENTS = {"channels": 1, "classes": 5, "hidden": [16]}
CONFIG = BundleConfig(
    network="lstm",
    arguments=ARGUMENTS,
    normalisation="zscore",
    classes=("normal", "LBBB", "RBBB", "paced", "V"),
    channels=("MLII",),
    units=("mV",),
    sampling_rate=360.0,
    window=216,
    study="ecg-beats",
    mode="corrected",
    cohort_digest="0123456789abcdef",
)
ENVIRONMENT = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "OMP_NUM_THREADS": "1",
}


def beats(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 1, 216)).astype(np.float32)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.pyfunc.PyFuncModel]:
    """The champion as `load_model` gives it, in a registry of its own."""
    folder = tmp_path_factory.mktemp("serving")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("serving", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("serving")
        torch.manual_seed(0)
        members = [build_network("lstm", **ARGUMENTS) for _ in range(2)]
        bundle = save_bundle(folder / "finished", CONFIG, members)
        with mlflow.start_run() as run:
            version = register_version(
                bundle, name="ecg-beats", run_id=run.info.run_id, tags={}, input_example=beats(1)
            )
        set_alias(version, "champion")
        yield mlflow.pyfunc.load_model(version.uri)
    mlflow.set_tracking_uri(before)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(champion: mlflow.pyfunc.PyFuncModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow models serve`, started in a folder that holds nothing of ours."""
    folder, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/ecg-beats@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "-p", str(port), "-w", "1"]
    environment = {**os.environ, **ENVIRONMENT, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow looks for uvicorn there
    environment.pop("PYTHONPATH", None)
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_up(f"http://127.0.0.1:{port}/ping", process, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=180)


def wait_until_up(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def post(address: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(address, json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=180) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_server_answers_as_the_loaded_model(server: str, champion: mlflow.pyfunc.PyFuncModel) -> None:
    status, answer = post(server, {"inputs": beats().tolist(), "params": {"explain": "occlusion_w10"}})
    assert status == 200
    expected = champion.predict(beats(), params={"explain": "occlusion_w10"})
    for name, values in expected.items():
        assert np.allclose(answer["predictions"][name], values, atol=1e-6), name
    assert np.ptp(expected["attribution"]) > 0


def test_without_a_name_it_explains_nothing(server: str) -> None:
    status, answer = post(server, {"inputs": beats().tolist()})
    assert status == 200
    assert set(answer["predictions"]) == {"probability"}
    assert np.allclose(np.sum(answer["predictions"]["probability"], axis=1), 1, atol=1e-5)


BAD_REQUESTS = {
    "too short": ({"inputs": beats()[:, :, :200].tolist()}, "expected shape (-1, 1, 216)"),
    "two channels": (
        {"inputs": np.concatenate([beats()] * 2, axis=1).tolist()},
        "expected shape (-1, 1, 216)",
    ),
    "no channel axis": ({"inputs": beats()[:, 0].tolist()}, "expected shape (-1, 1, 216)"),
    "ragged": ({"inputs": [[[0.0] * 216], [[0.0] * 215]]}, ""),
    "no samples": ({"inputs": []}, "(-1, 1, 216)"),
    "missing value": ({"inputs": [[[float("nan")] + [0.0] * 215]]}, "NaN or infinite values in sample 0"),
    "text": ({"inputs": "beat"}, ""),
    "unknown explainer": (
        {"inputs": beats().tolist(), "params": {"explain": "tea_leaves"}},
        "'tea_leaves' is unknown; expected one of gradient",
    ),
    "a number as explainer": ({"inputs": beats().tolist(), "params": {"explain": 10}}, "explain"),
    "too wide": (
        {"inputs": beats().tolist(), "params": {"explain": "occlusion_w217"}},
        "explain='occlusion_w217' cannot explain this input",
    ),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_bad_requests_are_answered_with_what_was_expected(server: str, case: str) -> None:
    body, sentence = BAD_REQUESTS[case]
    status, answer = post(server, body)
    assert status == 400
    assert answer["error_code"] in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
    assert sentence in answer["message"]
    assert "Traceback" not in answer["message"]


def test_the_server_still_answers_after_bad_requests(server: str) -> None:
    post(server, {"inputs": [[1.0]]})
    assert post(server, {"inputs": beats(1).tolist()})[0] == 200
