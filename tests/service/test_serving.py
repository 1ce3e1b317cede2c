"""`mlflow models serve` for real: predictions, maps and refusals over HTTP."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pytest
from served import beats, register_beats, registry, serving
from support import free_port

from tasks.publishing.registry import set_alias


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.pyfunc.PyFuncModel]:
    """The champion as `load_model` gives it, in a registry of its own."""
    folder = tmp_path_factory.mktemp("serving")
    with registry(folder):
        version = register_beats(folder)
        set_alias(version, "champion")
        yield mlflow.pyfunc.load_model(version.uri)


@pytest.fixture(scope="module")
def server(champion: mlflow.pyfunc.PyFuncModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `mlflow models serve`, started in a folder that holds nothing of ours."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/ecg-beats@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "-p", str(port), "-w", "1"]
    with serving(command, port, tmp_path_factory.mktemp("elsewhere")) as started:
        yield f"{started.address}/invocations"


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
