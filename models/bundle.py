"""A model version on disk: what it is (`version.json`) and its fold members' weights (safetensors).

<folder>/version.json              network, preprocessing, meaning of inputs and outputs, digests
         members/<k>.safetensors   the weights of fold member k
         splits.parquet            which sample each member saw; written and read by `tasks`
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from . import build_network
from .normalise import Normalisation, normalise

Task = Literal["classification", "segmentation"]
LESION = 1
"""The class that a segmentation looks for, of (background, lesion)."""

VERSION_FILE = "version.json"
SPLITS_FILE = "splits.parquet"


@dataclass(frozen=True)
class BundleConfig:
    """What a version is, beside its weights.

    ``network`` and ``arguments`` rebuild the network. ``channels`` and ``units`` name the input's
    channels and their physical units, ``sampling_rate`` is in hertz and ``window`` the number of time
    steps, so that inputs are ``(sample, len(channels), window)``; volumes are ``(sample, len(channels), *volume)``
    and have ``window`` voxels. ``task`` says what the logits are of: a class per sample, or a class per voxel.
    ``cohort_digest`` names the cohort that it was trained on, ``options`` what the study left to choose and was not
    the default.
    """

    network: str
    arguments: dict[str, Any]
    normalisation: Normalisation
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    sampling_rate: float
    window: int
    study: str
    mode: str
    cohort_digest: str
    options: dict[str, str] = field(default_factory=dict)
    task: Task = "classification"
    volume: tuple[int, int, int] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Points of a sample along each axis: ``(time,)``, or ``(depth, height, width)``."""
        return self.volume or (self.window,)


@dataclass(frozen=True)
class Bundle:
    """A loaded version: its fold members in evaluation mode, on one device."""

    config: BundleConfig
    members: tuple[nn.Module, ...]

    @property
    def device(self) -> torch.device:
        """Where the members are."""
        return next(self.members[0].parameters()).device

    def normalise(self, inputs: Tensor) -> Tensor:
        """Samples ``(sample, channel, *grid)`` in physical units as the networks take them."""
        return normalise(inputs, self.config.normalisation)

    def logits(self, inputs: Tensor) -> Tensor:
        """Mean over members of the logits ``(sample, class)`` of normalised inputs; ``(sample, class, *grid)`` of
        a segmentation.
        """
        return torch.stack([member(inputs) for member in self.members]).mean(dim=0)

    def explained_classes(self, logits: Tensor) -> Tensor:
        """The class ``(sample,)`` that an explanation is about: the predicted one, of a segmentation the lesion."""
        if self.config.task == "segmentation":
            return torch.full((len(logits),), LESION, device=logits.device)
        return logits.argmax(dim=1)


def save_bundle(folder: Path, config: BundleConfig, networks: Sequence[nn.Module]) -> Path:
    """Writes a version, `version.json` last, so that a folder that has it is whole. Returns ``folder``."""
    (folder / "members").mkdir(parents=True, exist_ok=True)
    digests = []
    for number, network in enumerate(networks):
        weights = save({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()})
        _weights_file(folder, number).write_bytes(weights)
        digests.append(hashlib.sha256(weights).hexdigest())
    description = dataclasses.asdict(config) | {"members": digests}
    partial = folder / f".{VERSION_FILE}.partial"
    partial.write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    partial.replace(folder / VERSION_FILE)
    return folder


def load_bundle(folder: Path | str, device: torch.device | str = "cpu") -> Bundle:
    """Loads a version. ValueError if `version.json` or a weight file is missing or not what it was."""
    folder = Path(folder)
    config, digests = _read_description(folder / VERSION_FILE)
    members = tuple(_load_member(folder, number, digest, config) for number, digest in enumerate(digests))
    return Bundle(config, tuple(member.to(device).eval() for member in members))


def _read_description(path: Path) -> tuple[BundleConfig, list[str]]:
    try:
        description = json.loads(path.read_text())
        digests = [str(digest) for digest in description.pop("members")]
        for name in ("classes", "channels", "units"):
            description[name] = tuple(description[name])
        if description["volume"] is not None:
            description["volume"] = tuple(description["volume"])
        config = BundleConfig(**description)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); expected the file of a version.") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path} does not describe a version: {error}.") from error
    if not digests:
        raise ValueError(f"{path} names no members; expected at least one.")
    return config, digests


def _load_member(folder: Path, number: int, digest: str, config: BundleConfig) -> nn.Module:
    """Builds one member; its weights are trusted by digest only, never by their file's name."""
    path = _weights_file(folder, number)
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); expected weights of a member.") from error
    found = hashlib.sha256(weights).hexdigest()
    if found != digest:
        raise ValueError(f"{path} has SHA-256 {found[:12]}…; {VERSION_FILE} expects {digest[:12]}….")
    network = build_network(config.network, **config.arguments)
    try:
        network.load_state_dict(load(weights))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path} does not fit network {config.network!r}: {str(error).splitlines()[0]}") from error
    return network


def _weights_file(folder: Path, number: int) -> Path:
    return folder / "members" / f"{number}.safetensors"
