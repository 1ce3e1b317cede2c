"""`plumbline explain` on a case of NIfTI files, with versions of a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from nifti_writing import AFFINE, write_case, write_nifti
from torch import nn

from flows.explain import Explained, explain_recording
from flows.explain_folder import explain_folder
from models import build_network
from models.bundle import Bundle, BundleConfig, load_bundle, save_bundle
from tasks.cohorts import isles, open_ms
from tasks.cohorts.errors import CohortError
from tasks.cohorts.resizing import resized
from tasks.errors import UsageError
from tasks.publishing.registry import register_version
from xai.methods import explainer

QUIET = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "OMP_NUM_THREADS": "1",
}
GRID = (6, 8, 8)
STROKE, MS = "stroke-lesions/1", "ms-lesions/1"
SEEDS = torch.zeros(1, dtype=torch.int64)


def balanced(arguments: dict[str, Any], example: torch.Tensor) -> nn.Module:
    network = build_network("unet3d", **arguments).eval()
    with torch.no_grad():
        logits = network(example)[0]
        network.get_parameter("out.bias")[1] -= (logits[1] - logits[0]).median()
    return network


def version_of(name: str, channels: tuple[str, ...], units: tuple[str, ...], folder: Path) -> Bundle:
    """Registers version 1: two nets that nobody trained, each of which gives half of a random volume to the lesion."""
    arguments = {"channels": len(channels), "classes": 2, "width": 2, "levels": 2, "head": "logits"}
    config = BundleConfig(
        network="unet3d",
        arguments=arguments,
        normalisation="minmax",
        classes=("background", "lesion"),
        channels=channels,
        units=units,
        sampling_rate=1.0,
        window=int(np.prod(GRID)),
        study=name,
        mode="corrected",
        cohort_digest="0123456789abcdef",
        task="segmentation",
        volume=GRID,
    )
    example = np.random.default_rng(0).random((1, len(channels), *GRID)).astype(np.float32)
    bundle = save_bundle(folder / name, config, [balanced(arguments, torch.from_numpy(example)) for _ in range(2)])
    with mlflow.start_run() as run:
        register_version(bundle, name=name, run_id=run.info.run_id, tags={}, input_example=example)
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bundle]]:
    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (QUIET | {"PLUMBLINE_HOME": str(folder / "home")}).items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("lesions", artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment("lesions")
        yield {
            STROKE: version_of("stroke-lesions", isles.MAPS, isles.UNITS, folder),
            MS: version_of("ms-lesions", open_ms.MAPS, ("NU",) * 4, folder),
        }
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def stroke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("isles")
    write_case(root, 4)
    return root / "training_4"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ms")
    for number, token in enumerate(open_ms.MAPS):
        values = np.zeros((30, 12, 9), dtype=np.float32)
        values[:6] = np.random.default_rng(number).random((6, 12, 9)) + 1
        write_nifti(root / "patient07" / f"{token}_N4.nii.gz", values)
    return root / "patient07"


def answer(bundle: Bundle, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Attribution and lesion mask of one sample (channel, *grid), by the bundle itself."""
    normalised = bundle.normalise(torch.from_numpy(inputs[None].copy()))
    maps = [
        explainer("gradient").attribute(member, normalised, torch.tensor([1]), seeds=SEEDS) for member in bundle.members
    ]
    with torch.no_grad():
        mask = bundle.logits(normalised).argmax(dim=1)[0] == 1
    return torch.stack(maps).mean(dim=0)[0].numpy(), mask.numpy()


def written(path: Path) -> np.ndarray:
    """The image in the file's own order of axes."""
    return np.asarray(nibabel.load(path).dataobj)


def test_a_stroke_case_gets_relevance_and_prediction_on_its_own_grid(bundles, stroke, tmp_path):
    out = tmp_path / "deep" / "explained.nii.gz"
    assert explain_recording(STROKE, stroke, "gradient", out) == Explained(1, "volume", "gradient")
    files = [next(stroke.glob(f"*MR_{name}*/*.nii")) for name in isles.MAPS]
    maps = np.stack([nibabel.load(file).get_fdata(dtype=np.float32).T for file in files])
    relevance, mask = answer(bundles[STROKE], resized(maps, GRID))
    expected = resized(relevance, maps.shape[1:]).transpose(3, 2, 1, 0)
    np.testing.assert_allclose(written(out), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(nibabel.load(out).affine, AFFINE)
    prediction = tmp_path / "deep" / "explained-prediction.nii.gz"
    np.testing.assert_array_equal(written(prediction), resized(mask, maps.shape[1:]).T)
    assert 0 < written(prediction).mean() < 1
    np.testing.assert_array_equal(nibabel.load(prediction).affine, AFFINE)


def test_a_patient_is_explained_patch_by_patch_and_where_there_is_no_brain_not_at_all(bundles, patient, tmp_path):
    out = tmp_path / "explained.nii.gz"
    assert explain_recording(MS, patient / "T2_N4.nii.gz", "gradient", out) == Explained(4, "patches", "gradient")
    images = [nibabel.load(patient / f"{name}_N4.nii.gz").get_fdata(dtype=np.float32).T for name in open_ms.MAPS]
    maps = np.stack(images)
    total, covered = np.zeros(maps.shape), np.zeros(maps.shape)
    for depth in (0, 3):
        for height in (0, 4):
            box = (slice(None), slice(depth, depth + 6), slice(height, height + 8), slice(0, 8))
            relevance, _ = answer(bundles[MS], maps[box])
            total[box] += relevance
            covered[box] += 1
    found = written(out).transpose(3, 2, 1, 0)
    assert np.isnan(found[..., 8:]).all()
    np.testing.assert_allclose(found[..., :8], (total / np.maximum(covered, 1))[..., :8], rtol=1e-4, atol=1e-7)
    assert not written(tmp_path / "explained-prediction.nii.gz")[8:].any()


def test_where_no_explainer_is_named_a_case_is_explained_by_lrp(bundles, stroke, tmp_path):
    done = explain_recording(STROKE, stroke, None, tmp_path / "x.nii.gz")
    assert done == Explained(1, "volume", "lrp_composite_zplus_box_l0_h1")
    assert np.isfinite(written(tmp_path / "x.nii.gz")).all()


def test_every_case_of_a_folder_is_explained_and_a_broken_one_is_named(bundles, tmp_path):
    cases, out = tmp_path / "isles", tmp_path / "out"
    for number in (4, 5):
        write_case(cases, number)
    for file in (cases / "training_5").glob("*MR_ADC*/*.nii"):
        file.write_bytes(file.read_bytes()[:500])
    done = explain_folder(STROKE, cases, "gradient", out)
    assert (done.explained, list(done.quarantined)) == (1, ["training_5"])
    alone = tmp_path / "alone.nii.gz"
    explain_recording(STROKE, cases / "training_4", "gradient", alone)
    np.testing.assert_array_equal(written(out / "training_4.nii.gz"), written(alone))
    assert pd.read_csv(out / "training_4.csv").iloc[:, 0].tolist() == ["background", "lesion"]
    assert {path.name for path in out.iterdir()} == {
        "training_4.nii.gz",
        "training_4-prediction.nii.gz",
        "training_4.csv",
        "summary.csv",
    }


def test_wrong_arguments_are_one_sentence(bundles, stroke, patient, tmp_path):
    out = tmp_path / "x.nii.gz"
    adc = next(stroke.glob("*MR_ADC*/*.nii"))
    header = tmp_path / "100.hea"
    header.touch()
    wrong = [
        (STROKE, stroke, tmp_path / "x.nii", UsageError, r"expected a name that ends in \.nii\.gz\.$"),
        (STROKE, adc, tmp_path / "x.csv", UsageError, r"expected a name that ends in \.nii\.gz\.$"),
        (STROKE, header, tmp_path / "x.hea", UsageError, "nothing that stroke-lesions/1 reads; expected a case of"),
        (STROKE, tmp_path / "no", out, CohortError, "no cannot be explained: it is no folder of a case and no file"),
        (STROKE, patient, out, CohortError, "patient07 cannot be explained: the case has no map ADC"),
        (MS, patient, patient / "T1_N4.nii.gz", UsageError, "would overwrite a file of the case"),
    ]
    for model, file, to, error, reason in wrong:
        with pytest.raises(error, match=reason):
            explain_recording(model, file, "gradient", to)
    assert not list(tmp_path.glob("x.*"))
