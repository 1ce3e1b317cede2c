"""What a member trains on: normalised windows in memory or in a mapped file, and the batches of an epoch."""

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

READ_AT_ONCE = 4096


class LabelledWindows(Protocol):
    """What training asks of a cohort."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, indexed by sample; ``label`` is the class index."""
        ...

    def signals(self, index: np.ndarray) -> np.ndarray:
        """Windows ``(sample, channel, time)``, float32, physical units."""
        ...


@dataclass(frozen=True)
class Windows:
    """Normalised windows ``(sample, channel, time)`` and their classes ``(sample,)``, read once."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def read(cls, cohort: LabelledWindows, samples: np.ndarray, config: BundleConfig, scratch: Path) -> Windows:
        """Reads and normalises these samples; ``scratch`` is the folder of the mapped file, if one is needed.

        ValueError where the cohort's windows have another shape than ``config`` says.
        """
        inputs = _allocate((len(samples), len(config.channels), config.window), scratch)
        for start in range(0, len(samples), READ_AT_ONCE):
            signals = torch.from_numpy(cohort.signals(samples[start : start + READ_AT_ONCE]))
            if signals.shape[1:] != inputs.shape[1:]:
                raise ValueError(
                    f"cohort has windows of shape {tuple(signals.shape[1:])}; "
                    f"expected (channel, time) = {tuple(inputs.shape[1:])}."
                )
            inputs[start : start + len(signals)] = normalise(signals, config.normalisation)
        labels = cohort.samples.loc[samples, "label"].to_numpy(dtype=np.int64)
        return cls(inputs, torch.from_numpy(labels))


def _allocate(shape: tuple[int, int, int], scratch: Path) -> Tensor:
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
            yield self._windows.inputs[rows], self._windows.labels[rows]

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
