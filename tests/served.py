"""Versions of `ecg-beats` that nobody trained, in a registry of their own, and servers of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from installation import CHECKOUT

from models import build_network
from models.bundle import BundleConfig, save_bundle
from tasks.publishing.registry import VersionRef, register_version

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


@contextmanager
def registry(folder: Path) -> Iterator[Path]:
    """An empty registry under ``folder``, which the process then uses; its artifacts lie in ``artifacts``."""
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ENVIRONMENT | {"PLUMBLINE_HOME": str(folder / "home")}).items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("serving", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("serving")
        try:
            yield folder / "artifacts"
        finally:
            mlflow.set_tracking_uri(before)


def register_beats(folder: Path, seed: int = 0) -> VersionRef:
    """Registers one more version of `ecg-beats`; its weights come from ``seed``."""
    torch.manual_seed(seed)
    members = [build_network("lstm", **ARGUMENTS) for _ in range(2)]
    bundle = save_bundle(folder / f"bundle-{seed}", CONFIG, members)
    with mlflow.start_run() as run:
        return register_version(bundle, name="ecg-beats", run_id=run.info.run_id, tags={}, input_example=beats(1))


@dataclass(frozen=True)
class Server:
    """A server that answers: its address, process and log."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serving(command: Sequence[str], port: int, folder: Path, *, checkout: bool = False) -> Iterator[Server]:
    """``command`` as a server of the present registry, in an empty folder, without the checkout unless asked for."""
    environment = {**os.environ, **ENVIRONMENT, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow looks for uvicorn there
    environment.pop("PYTHONPATH", None)
    if checkout:
        environment["PYTHONPATH"] = str(CHECKOUT)
    log, address = folder / "server.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_up(f"{address}/ping", process, log)
            yield Server(address, process, log)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=180)


def _wait_until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")
