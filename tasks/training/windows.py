"""What a member trains on: normalised samples in memory or in a mapped file, and the batches of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.bundle import BundleConfig
from models.normalise import normalise

from .recipe import Recipe

MEMORY_FOR_WINDOWS = 2**30
"""Bytes of normalised windows held in memory; more than this lie in a memory-mapped file."""

POINTS_AT_ONCE = 2**24
"""Points of signals, over all channels, that are read and normalised at once."""


class LabelledWindows(Protocol):
    """What training asks of a cohort; ``evidence`` only of one that is segmented."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, indexed by sample; ``label`` is the class index."""
        ...

    def signals(self, index: np.ndarray) -> np.ndarray:
        """Samples ``(sample, channel, *grid)``, float32, physical units."""
        ...

    def evidence(self, index: np.ndarray) -> np.ndarray:
        """Truth masks ``(sample, 1, *grid)``, bool."""
        ...


@dataclass(frozen=True)
class Windows:
    """Normalised samples ``(sample, channel, *grid)`` and their classes ``(sample,)``, read once.

    ``truth (sample, *grid)``, bool: the voxels that a segmentation is to find.
    """

    inputs: Tensor
    labels: Tensor
    truth: Tensor | None = None

    @classmethod
    def read(cls, cohort: LabelledWindows, samples: np.ndarray, config: BundleConfig, scratch: Path) -> Windows:
        """Reads and normalises these samples; ``scratch`` is the folder of the mapped file, if one is needed.

        ValueError where the cohort's samples have another shape than ``config`` says.
        """
        shape = (len(config.channels), *config.grid)
        inputs = _allocate((len(samples), *shape), scratch)
        segmented = config.task == "segmentation"
        truth = torch.empty((len(samples), *config.grid), dtype=torch.bool) if segmented else None
        step = max(1, POINTS_AT_ONCE // math.prod(shape))
        for rows in (slice(start, start + step) for start in range(0, len(samples), step)):
            signals = torch.from_numpy(cohort.signals(samples[rows]))
            if signals.shape[1:] != shape:
                axes = ", ".join(("channel", *(("depth", "height", "width") if config.volume else ("time",))))
                raise ValueError(
                    f"cohort has samples of shape {tuple(signals.shape[1:])}; expected ({axes}) = {shape}."
                )
            inputs[rows] = normalise(signals, config.normalisation)
            if truth is not None:
                truth[rows] = torch.from_numpy(cohort.evidence(samples[rows])[:, 0])
        labels = cohort.samples.loc[samples, "label"].to_numpy(dtype=np.int64)
        return cls(inputs, torch.from_numpy(labels), truth)

    def batch(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Inputs of these rows, and what a network is to make of them: classes of samples, or of voxels, int64."""
        targets = self.labels[rows] if self.truth is None else self.truth[rows].long()
        return self.inputs[rows], targets


def _allocate(shape: tuple[int, ...], scratch: Path) -> Tensor:
    if 4 * math.prod(shape) <= MEMORY_FOR_WINDOWS:
        return torch.empty(shape)
    path = scratch / "windows.partial"
    array = np.memmap(path, np.float32, "w+", shape=shape)
    path.unlink()  # the mapping lives on without a name, so that a kill leaves nothing behind
    return torch.from_numpy(array)


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Weight of each class ``(class,)``: samples / (classes that occur * samples of the class); 0 where it has none."""
    counts = torch.bincount(labels, minlength=classes)
    occurring = counts > 0
    return torch.where(occurring, len(labels) / (occurring.sum() * counts.clamp(min=1)), 0.0)


class Batches:
    """Whole batches of one epoch; which ones depends on the seed and the epoch's number only."""

    def __init__(self, windows: Windows, recipe: Recipe, seed: int) -> None:
        self.epoch = 0
        self._windows = windows
        self._batch_size = recipe.batch_size
        self._per_class = recipe.per_class
        self._seed = seed
        labels = windows.labels.numpy()
        self._classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def __len__(self) -> int:
        whole = len(self._windows.labels)
        count = whole if self._per_class is None else self._per_class * len(self._classes)
        return math.ceil(count / self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.from_numpy(self._order()).split(self._batch_size):
            yield self._windows.batch(rows)

    def _order(self) -> np.ndarray:
        random = np.random.default_rng([self._seed, 2, self.epoch])
        if self._per_class is None:
            return random.permutation(len(self._windows.labels))
        drawn = [_draw(members, self._per_class, random) for members in self._classes]
        return random.permutation(np.concatenate(drawn))


def _draw(members: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """``count`` of ``members``, each as often as any other give or take one."""
    rounds = math.ceil(count / len(members))
    return np.concatenate([random.permutation(members) for _ in range(rounds)])[:count]
