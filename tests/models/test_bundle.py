"""A version on disk comes back as it was, or is refused in one sentence; normalisation is per window."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from models import NETWORKS, build_network
from models.bundle import BundleConfig, load_bundle, save_bundle
from models.normalise import normalise

ARGUMENTS = {"channels": 2, "classes": 3, "hidden": [6, 4]}
CONFIG = BundleConfig(
    network="lstm",
    arguments=ARGUMENTS,
    normalisation="minmax",
    classes=("normal", "LBBB", "paced"),
    channels=("MLII", "V1"),
    units=("mV", "mV"),
    sampling_rate=360.0,
    window=30,
    study="ecg-beats",
    mode="corrected",
    cohort_digest="0123456789abcdef",
)


@pytest.fixture
def networks() -> list[nn.Module]:
    torch.manual_seed(0)
    return [build_network("lstm", **ARGUMENTS) for _ in range(3)]


def test_a_version_comes_back_as_it_was(tmp_path: Path, networks: list[nn.Module]) -> None:
    bundle = load_bundle(save_bundle(tmp_path / "version", CONFIG, networks))
    assert bundle.config == CONFIG
    inputs = torch.randn(5, 2, 30)
    with torch.no_grad():
        expected = [network.eval()(inputs) for network in networks]
        for member, logits in zip(bundle.members, expected, strict=True):
            assert torch.equal(member(inputs), logits)
        assert torch.allclose(bundle.logits(inputs), sum(expected) / 3, atol=1e-7)
    assert not any(member.training for member in bundle.members)
    assert torch.equal(bundle.normalise(inputs), normalise(inputs, "minmax"))


def tampered(folder: Path) -> None:
    weights = load_file(folder / "members/1.safetensors")
    weights["head.bias"][0] += 1e-3
    save_file(weights, folder / "members/1.safetensors")


def swapped(folder: Path) -> None:
    shutil.copy(folder / "members/0.safetensors", folder / "members/1.safetensors")


def truncated(folder: Path) -> None:
    path = folder / "members/1.safetensors"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("change", [tampered, swapped, truncated])
def test_weights_are_refused_by_their_digest(tmp_path: Path, networks: list[nn.Module], change) -> None:
    folder = save_bundle(tmp_path, CONFIG, networks)
    change(folder)
    with pytest.raises(ValueError, match=r"members/1\.safetensors has SHA-256 .*; version\.json expects") as error:
        load_bundle(folder)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_version_or_a_member_is_refused(tmp_path: Path, networks: list[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"version\.json cannot be read \(No such file"):
        load_bundle(tmp_path / "nowhere")
    folder = save_bundle(tmp_path, CONFIG, networks)
    (folder / "members/2.safetensors").unlink()
    with pytest.raises(ValueError, match=r"2\.safetensors cannot be read"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"members": []}', '{"members": ["0"], "network": "lstm"}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, networks: list[nn.Module], text: str) -> None:
    folder = save_bundle(tmp_path, CONFIG, networks)
    (folder / "version.json").write_text(text)
    with pytest.raises(ValueError, match=r"version\.json does not describe a version"):
        load_bundle(folder)


def test_weights_of_another_network_are_refused(tmp_path: Path, networks: list[nn.Module]) -> None:
    folder = save_bundle(tmp_path, CONFIG, networks)
    description = json.loads((folder / "version.json").read_text())
    description["arguments"]["hidden"] = [6, 5]
    (folder / "version.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match="does not fit network 'lstm'"):
        load_bundle(folder)
    description["network"] = "transformer"
    (folder / "version.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"network is 'transformer'; expected one of \[.*'lstm'"):
        load_bundle(folder)


def test_networks_have_names() -> None:
    assert isinstance(build_network("lstm", **ARGUMENTS), NETWORKS["lstm"])


@settings(max_examples=40, deadline=None)
@given(
    constant=st.floats(-1e6, 1e6, width=32),
    how=st.sampled_from(["zscore", "minmax"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_a_constant_channel_is_zero(constant: float, how, dtype: torch.dtype) -> None:
    inputs = torch.full((2, 2, 216), constant, dtype=dtype)
    inputs[:, 1] = torch.randn(2, 216)
    found = normalise(inputs, how)
    assert torch.equal(found[:, 0], torch.zeros(2, 216, dtype=dtype))
    assert found[:, 1].abs().max() > 0.9


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), offset=st.floats(-1e4, 1e4), scale=st.floats(1e-6, 1e6))
def test_normalisation_equals_numpy_and_forgets_offset_and_scale(seed: int, offset: float, scale: float) -> None:
    signal = np.random.default_rng(seed).normal(size=(3, 2, 50))
    changed = torch.from_numpy(signal * scale + offset * scale)
    expected = (signal - signal.mean(2, keepdims=True)) / signal.std(2, keepdims=True)
    assert np.allclose(normalise(changed, "zscore").numpy(), expected, atol=1e-8)
    ranged = normalise(changed, "minmax").numpy()
    assert np.allclose(ranged.min(2), 0)
    assert np.allclose(ranged.max(2), 1)


def test_normalisation_knows_no_other_sample() -> None:
    batch = torch.randn(6, 2, 40) * 100
    assert torch.equal(normalise(batch, "zscore")[2:3], normalise(batch[2:3], "zscore"))


def test_missing_values_stay_missing() -> None:
    inputs = torch.randn(2, 1, 10)
    inputs[0, 0, 3] = torch.nan
    found = normalise(inputs, "zscore")
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


def test_another_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="how is 'robust'; expected one of"):
        normalise(torch.zeros(1, 1, 4), "robust")  # type: ignore[arg-type]


VOLUME_ARGUMENTS = {"channels": 2, "classes": 2, "width": 1, "levels": 2}
VOLUMES = replace(
    CONFIG,
    network="unet3d",
    arguments=VOLUME_ARGUMENTS,
    classes=("background", "lesion"),
    task="segmentation",
    window=4 * 6 * 5,
    volume=(4, 6, 5),
)


def test_a_version_of_volumes_comes_back_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = [build_network("unet3d", **VOLUME_ARGUMENTS) for _ in range(2)]
    bundle = load_bundle(save_bundle(tmp_path, VOLUMES, networks))
    assert bundle.config == VOLUMES
    assert (bundle.config.grid, CONFIG.grid) == ((4, 6, 5), (30,))
    inputs = torch.randn(3, 2, 4, 6, 5)
    with torch.no_grad():
        logits = bundle.logits(inputs)
        assert torch.allclose(logits, sum(network.eval()(inputs) for network in networks) / 2, atol=1e-6)
    assert logits.shape == (3, 2, 4, 6, 5)
    assert bundle.normalise(inputs).amax(dim=(2, 3, 4)).eq(1).all()


def test_a_segmentation_explains_its_lesion_and_a_class_is_explained_as_predicted(
    tmp_path: Path, networks: list[nn.Module]
) -> None:
    windows = load_bundle(save_bundle(tmp_path / "windows", CONFIG, networks))
    assert windows.explained_classes(torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])).tolist() == [1, 0]
    volumes = load_bundle(save_bundle(tmp_path / "volumes", VOLUMES, [build_network("unet3d", **VOLUME_ARGUMENTS)]))
    none_found = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1).expand(3, 2, 4, 6, 5)
    assert volumes.explained_classes(none_found).tolist() == [1, 1, 1], "also where none is found"
