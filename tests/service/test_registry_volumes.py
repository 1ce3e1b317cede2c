"""A registered segmentation is served: probabilities per voxel, and what explains its lesion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from volumes import CONFIG, GRID, Boxes

from models import build_network
from models.bundle import load_bundle, save_bundle
from tasks.publishing.registry import register_version
from xai.methods import explainer


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    networks = [build_network("unet3d", **CONFIG.arguments) for _ in range(2)]
    return save_bundle(tmp_path_factory.mktemp("training") / "finished", CONFIG, networks)


@pytest.fixture(scope="module")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.pyfunc.PyFuncModel]:
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("boxes", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("boxes")
        with mlflow.start_run() as run:
            version = register_version(bundle, name="boxes", run_id=run.info.run_id, tags={}, input_example=None)
        yield mlflow.pyfunc.load_model(version.uri)
    mlflow.set_tracking_uri(before)


def volumes(count: int = 3) -> np.ndarray:
    return Boxes(count).signals(np.arange(count))


def test_the_version_says_what_it_takes_and_gives(served: mlflow.pyfunc.PyFuncModel) -> None:
    assert str(served.metadata.get_input_schema()) == "[Tensor('float32', (-1, 2, 6, 12, 10))]"
    output = served.metadata.get_output_schema()
    assert str(output) == "['probability': Tensor('float32', (-1, 2, 6, 12, 10))]"
    assert served.metadata.metadata["volume"] == [6, 12, 10]
    assert served.metadata.metadata["task"] == "segmentation"


def test_it_gives_each_voxel_its_probabilities(served: mlflow.pyfunc.PyFuncModel, bundle: Path) -> None:
    loaded, inputs = load_bundle(bundle), volumes()
    with torch.no_grad():
        expected = loaded.logits(loaded.normalise(torch.from_numpy(inputs))).softmax(1).numpy()
    answer = served.predict(inputs)
    assert set(answer) == {"probability"}
    assert answer["probability"].shape == (3, 2, *GRID)
    assert np.allclose(answer["probability"], expected, atol=1e-5)
    alone = served.predict(inputs[1:2])["probability"]
    assert np.allclose(alone, answer["probability"][1:2], atol=1e-6)


def test_it_explains_the_lesion_by_the_mean_of_the_members(served: mlflow.pyfunc.PyFuncModel, bundle: Path) -> None:
    loaded, inputs = load_bundle(bundle), volumes()
    answer = served.predict(inputs, params={"explain": "gradient"})
    normalised, lesion = loaded.normalise(torch.from_numpy(inputs)), torch.ones(3, dtype=torch.int64)
    maps = [
        explainer("gradient").attribute(member, normalised, lesion, seeds=torch.zeros(3, dtype=torch.int64))
        for member in loaded.members
    ]
    expected = torch.stack(maps).mean(dim=0).numpy()
    assert answer["attribution"].shape == inputs.shape
    assert np.allclose(answer["attribution"], expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 0


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (volumes()[:, :, :5], r"\(3, 2, 5, 12, 10\) does not match expected shape \(-1, 2, 6, 12, 10\)"),
        (
            volumes()[:0],
            r"shape \(0, 2, 6, 12, 10\); expected \(sample, 2, 6, 12, 10\) with at least one sample: "
            r"ADC in 1e-6 mm2/s, Tmax in s on depth, height and width\.",
        ),
        (np.where(np.arange(3)[:, None, None, None, None] == 1, np.nan, volumes()).astype(np.float32), "in sample 1"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    served: mlflow.pyfunc.PyFuncModel, inputs: np.ndarray, sentence: str
) -> None:
    with pytest.raises(MlflowException, match=sentence) as error:
        served.predict(inputs)
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
