"""A registered version loads without pickle, with its own code, and answers sample by sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException

from models import build_network
from models.bundle import Bundle, BundleConfig, load_bundle, save_bundle
from tasks.digests import code_digest
from tasks.errors import PlumblineError
from tasks.publishing.registry import (
    VersionRef,
    download,
    find_version,
    register_version,
    resolve,
    resolve_for_evaluation,
    resolve_for_gate,
    set_alias,
    set_version_tags,
)
from xai.methods import explainer

CHECKOUT = Path(__file__).resolve().parents[2]
ARGUMENTS = {"channels": 2, "classes": 3, "hidden": [8]}
CONFIG = BundleConfig(
    network="lstm",
    arguments=ARGUMENTS,
    normalisation="zscore",
    classes=("normal", "LBBB", "paced"),
    channels=("MLII", "V1"),
    units=("mV", "mV"),
    sampling_rate=360.0,
    window=40,
    study="ecg-beats",
    mode="corrected",
    cohort_digest="0123456789abcdef",
)
QUIET = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "OMP_NUM_THREADS": "1",
}


def windows(count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 2, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = save_bundle(
        tmp_path_factory.mktemp("training") / "finished",
        CONFIG,
        [build_network("lstm", **ARGUMENTS) for _ in range(2)],
    )
    (folder / "splits.parquet").write_bytes(b"the split table")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("beats", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("beats")
        yield folder
    mlflow.set_tracking_uri(before)


def registered(bundle: Path, key: str, name: str = "ecg-beats") -> VersionRef:
    with mlflow.start_run() as run:
        return register_version(
            bundle, name=name, run_id=run.info.run_id, tags={"plumbline.key": key}, input_example=windows(1)
        )


@pytest.fixture(scope="module")
def version(store: Path, bundle: Path) -> VersionRef:
    return registered(bundle, "first")


@pytest.fixture(scope="module")
def served(version: VersionRef) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(version.uri)


@pytest.fixture(scope="module")
def loaded(bundle: Path) -> Bundle:
    return load_bundle(bundle)


def test_a_version_says_what_it_is(version: VersionRef, served: mlflow.pyfunc.PyFuncModel) -> None:
    found = mlflow.MlflowClient().get_model_version(version.name, version.version)
    assert found.tags == {
        "plumbline.key": "first",
        "plumbline.code": code_digest(),
        "plumbline.bundle": version.digest,
    }
    assert found.run_id == version.run_id
    assert mlflow.get_logged_model(version.model_id).source_run_id == version.run_id
    assert served.metadata.model_id == version.model_id
    assert served.metadata.metadata["classes"] == ["normal", "LBBB", "paced"]
    assert str(served.metadata.get_input_schema()) == "[Tensor('float32', (-1, 2, 40))]"
    assert served.metadata.get_params_schema().to_dict()[0]["name"] == "explain"
    assert served.input_example.shape == (1, 2, 40)


def test_it_holds_no_pickle_and_pins_what_it_needs(version: VersionRef) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {"", ".json", ".yaml", ".txt", ".py", ".safetensors", ".parquet"}
    pins = (folder / "requirements.txt").read_text().split()
    assert f"torch=={torch.__version__.partition('+')[0]}" in pins
    assert {pin.partition("==")[0] for pin in pins} >= {"mlflow", "numpy", "safetensors", "captum"}
    assert all("==" in pin and "+" not in pin for pin in pins)


def test_references_become_numbers(version: VersionRef, bundle: Path) -> None:
    second = registered(bundle, "second")
    assert resolve_for_evaluation("ecg-beats", None) is None, "neither champion nor challenger yet"
    set_alias(version, "challenger")
    assert resolve_for_evaluation("ecg-beats", None) == resolve_for_gate("ecg-beats", None) == version
    set_alias(second, "champion")
    assert resolve("ecg-beats@champion") == resolve_for_evaluation("ecg-beats", None) == second
    set_alias(version, "champion")
    assert resolve("ecg-beats@champion") == version, "an alias moves"
    assert resolve(f"ecg-beats/{second.version}") == resolve_for_gate("ecg-beats", second.version) == second
    assert find_version("ecg-beats", "second") == second
    assert find_version("ecg-beats", "third") is None
    assert find_version("sleep-stages", "first") is None
    set_version_tags(second, {"plumbline.gate": "refused"})
    found = mlflow.MlflowClient().get_model_version("ecg-beats", second.version)
    assert found.tags["plumbline.gate"] == "refused"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("ecg-beats", r"version is 'ecg-beats'; expected name@alias or name/number\."),
        ("ecg-beats/last", r"version is 'ecg-beats/last'; expected"),
        ("ecg-beats/99", r"ecg-beats has no version 99; expected"),
        ("ecg-beats@best", r"ecg-beats has no version with the alias 'best'; expected"),
        ("nothing@champion", r"nothing has no version with the alias 'champion'; expected"),
    ],
)
def test_references_to_nothing_are_refused(version: VersionRef, reference: str, sentence: str) -> None:
    with pytest.raises(PlumblineError, match=sentence):
        resolve(reference)


def test_a_bundle_is_downloaded_once(version: VersionRef, bundle: Path, tmp_path: Path) -> None:
    folder = download(version, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == {
        path.name: path.read_bytes() for path in bundle.rglob("*") if path.is_file()
    }
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        assert download(version, tmp_path) == folder
    finally:
        mlflow.set_tracking_uri(before)
    assert [path.name for path in folder.parent.iterdir()] == [version.model_id]


def test_a_damaged_bundle_is_not_registered(store: Path, bundle: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(bundle, tmp_path / "damaged"))
    (damaged / "members/0.safetensors").write_bytes(b"other weights")
    with pytest.raises(ValueError, match="has SHA-256"):
        registered(damaged, "damaged", name="damaged")


@pytest.mark.parametrize("name", ["splits.parquet", "version.json", "members/1.safetensors"])
def test_a_version_whose_files_have_changed_is_refused(version: VersionRef, tmp_path: Path, name: str) -> None:
    folder = download(version, tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"s", b"z", 1))
    with pytest.raises(PlumblineError, match=r"ecg-beats version 1 in .* is not what was registered; expected files"):
        download(version, tmp_path)


@pytest.mark.parametrize("name", ["members/0.safetensors", "version.json"])
def test_a_file_swapped_in_the_store_is_refused_by_the_served_model(store: Path, bundle: Path, name: str) -> None:
    version = registered(bundle, f"swapped {name}", name="swapped")
    (path,) = (store / "artifacts").rglob(f"{version.model_id}/**/bundle/{name}")
    path.write_bytes(path.read_bytes()[:-2] + b" \n")
    with pytest.raises(Exception, match=r"has SHA-256 \w+…; .* expects"):
        mlflow.pyfunc.load_model(version.uri)


def test_probabilities_come_from_the_mean_of_the_members(served: mlflow.pyfunc.PyFuncModel, loaded: Bundle) -> None:
    scaled = windows() * 40 + 900  # physical units: the version normalises
    with torch.no_grad():
        expected = loaded.logits(loaded.normalise(torch.from_numpy(scaled))).softmax(1).numpy()
    answer = served.predict(scaled)
    assert set(answer) == {"probability"}
    assert np.allclose(answer["probability"], expected, atol=1e-6)
    assert np.ptp([member(torch.from_numpy(scaled))[0, 0].item() for member in loaded.members]) > 1e-4


@pytest.mark.parametrize("name", ["occlusion_w10", "gradient", "smoothgrad"])
def test_attributions_are_the_members_mean_and_know_no_other_sample(
    served: mlflow.pyfunc.PyFuncModel, loaded: Bundle, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = windows()
    answer = served.predict(inputs, params={"explain": name})
    assert answer["attribution"].shape == inputs.shape
    assert answer["attribution"].dtype == np.float32
    order = np.array([3, 0, 4, 1, 2])
    shuffled = served.predict(inputs[order], params={"explain": name})
    assert np.allclose(shuffled["attribution"], answer["attribution"][order], atol=1e-6)
    alone = served.predict(inputs[2:3], params={"explain": name})
    assert np.allclose(alone["attribution"], answer["attribution"][2:3], atol=1e-6)
    if name != "smoothgrad":  # the others need no seeds, so the mean can be made by hand
        normalised = loaded.normalise(torch.from_numpy(inputs))
        targets = torch.from_numpy(answer["probability"].argmax(axis=1))
        maps = [
            explainer(name).attribute(member, normalised, targets, seeds=torch.zeros(5, dtype=torch.int64))
            for member in loaded.members
        ]
        assert np.allclose(answer["attribution"], torch.stack(maps).mean(0).numpy(), atol=1e-6)


def test_more_samples_than_are_taken_at_once(served: mlflow.pyfunc.PyFuncModel) -> None:
    many = served.predict(windows(150), params={"explain": "gradient"})
    assert many["attribution"].shape == (150, 2, 40)
    last = served.predict(windows(150)[140:], params={"explain": "gradient"})
    assert np.allclose(many["attribution"][140:], last["attribution"], atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "explain", "sentence"),
    [
        (windows()[:, :1], "", r"\(5, 1, 40\) does not match expected shape \(-1, 2, 40\)"),
        (windows()[:, :, :39], "", r"\(5, 2, 39\) does not match expected shape \(-1, 2, 40\)"),
        (
            windows()[:0],
            "",
            r"shape \(0, 2, 40\); expected \(sample, 2, 40\) with at least one sample: MLII in mV",
        ),
        (windows() * np.float32(np.nan), "", "NaN or infinite values in sample 0"),
        (windows().astype(np.float64), "", "float64 does not match expected dtype float32"),
        (windows(), "tea_leaves", "'tea_leaves' is unknown; expected one of gradient"),
        (windows(), "occlusion_w41", "explain='occlusion_w41' cannot explain this input"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    served: mlflow.pyfunc.PyFuncModel, inputs: np.ndarray, explain: str, sentence: str
) -> None:
    with pytest.raises(MlflowException, match=sentence) as error:
        served.predict(inputs, params={"explain": explain})
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


FOREIGN_TEAM = """
import sys
import numpy as np
import mlflow
import models
assert models.MINE == "downstream"
served = mlflow.pyfunc.load_model(sys.argv[1])
answer = served.predict(np.load(sys.argv[2]), params={"explain": "occlusion_w10"})
np.savez(sys.argv[3], **answer)
import models.networks
assert models.networks.NAME == "theirs" and "xai" not in sys.modules and "tasks" not in sys.modules
"""


def test_it_loads_beside_another_package_named_models(
    version: VersionRef, served: mlflow.pyfunc.PyFuncModel, tmp_path: Path
) -> None:
    theirs = tmp_path / "models"
    theirs.mkdir()
    (theirs / "__init__.py").write_text('MINE = "downstream"\n')
    (theirs / "networks.py").write_text('NAME = "theirs"\n')
    np.save(tmp_path / "inputs.npy", windows())
    environment = {**os.environ, **QUIET, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", FOREIGN_TEAM, version.uri, "inputs.npy", "answer.npz"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    answer = np.load(tmp_path / "answer.npz")
    expected = served.predict(windows(), params={"explain": "occlusion_w10"})
    assert np.allclose(answer["probability"], expected["probability"], atol=1e-6)
    assert np.allclose(answer["attribution"], expected["attribution"], atol=1e-6)


OTHER_CHECKOUT = """
import sys
from pathlib import Path
import mlflow
import numpy as np
from tasks.publishing.registry import register_version
mlflow.set_experiment("beats")
with mlflow.start_run() as run:
    example = np.load(sys.argv[2])
    run_id = run.info.run_id
    register_version(Path(sys.argv[1]), name="other-code", run_id=run_id, tags={}, input_example=example)
"""


def test_two_versions_in_one_process_run_each_its_own_code(
    served: mlflow.pyfunc.PyFuncModel, bundle: Path, tmp_path: Path
) -> None:
    before = served.predict(windows())["probability"]
    other = tmp_path / "checkout"
    for package in ("models", "xai", "tasks", "mlflow"):
        shutil.copytree(CHECKOUT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = other / "models/bundle.py"
    changed = source.read_text().replace(".mean(dim=0)", ".mean(dim=0) * 3.0")
    assert changed != source.read_text()
    source.write_text(changed)
    np.save(tmp_path / "example.npy", windows(1))
    environment = {
        **os.environ,
        **QUIET,
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "PYTHONPATH": str(other),
    }
    command = [sys.executable, "-c", OTHER_CHECKOUT, str(bundle), str(tmp_path / "example.npy")]
    subprocess.run(command, cwd=other, env=environment, check=True)
    shutil.rmtree(other)  # a version needs no checkout
    tripled = mlflow.pyfunc.load_model("models:/other-code/1").predict(windows())["probability"]
    expected = torch.from_numpy(before).log().mul(3).softmax(1).numpy()
    assert np.allclose(tripled, expected, atol=1e-5)
    assert not np.allclose(tripled, before, atol=1e-3)
    assert np.array_equal(served.predict(windows())["probability"], before)
