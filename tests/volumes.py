"""A tiny cohort of volumes for tests: noisy boxes whose lesion is bright in one map and dark in the other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.bundle import BundleConfig
from tasks.cohorts.errors import CohortError
from tasks.cohorts.native import NativeVolume
from tasks.training.recipe import Recipe

GRID = (6, 12, 10)
CONFIG = BundleConfig(
    network="unet3d",
    arguments={"channels": 2, "classes": 2, "width": 2, "levels": 2},
    normalisation="minmax",
    classes=("background", "lesion"),
    channels=("ADC", "Tmax"),
    units=("1e-6 mm2/s", "s"),
    sampling_rate=1.0,
    window=720,
    study="boxes",
    mode="corrected",
    cohort_digest="0123456789abcdef",
    task="segmentation",
    volume=GRID,
)
RECIPE = Recipe(
    learning_rate=1e-2,
    decay="none",
    batch_size=4,
    clip=0.0,
    epochs=12,
    patience=None,
    per_class=None,
    dropout=0.0,
    monitor="validation_dice",
    loss="dice_cross_entropy",
)


class Boxes:
    """``count`` cases of one sample each; the last ``background`` of them have no lesion and label 0."""

    def __init__(self, count: int = 16, background: int = 0, seed: int = 3) -> None:
        random = np.random.default_rng(seed)
        labels = (np.arange(count) < count - background).astype(np.int64)
        self._signals = random.normal(50.0, 4.0, (count, 2, *GRID)).astype(np.float32)
        self._evidence = np.zeros((count, 1, *GRID), bool)
        for case in np.flatnonzero(labels):
            depth, height, width = (int(random.integers(0, size - 4)) for size in GRID)
            self._evidence[case, 0, depth : depth + 4, height : height + 5, width : width + 4] = True
        lesion = self._evidence[:, 0]
        self._signals[:, 0][lesion] -= 12.0
        self._signals[:, 1][lesion] += 12.0
        self.samples = pd.DataFrame(
            {"subject": np.arange(count), "label": labels, "recording": [f"case{row}" for row in range(count)]}
        )

    def signals(self, index: np.ndarray) -> np.ndarray:
        return self._signals[index]

    def evidence(self, index: np.ndarray) -> np.ndarray:
        return self._evidence[index]

    def native(self, sample: int) -> NativeVolume:
        raise CohortError("the boxes have no native volumes.")


class ScaledBoxes(Boxes):
    """The same cases, recorded on a grid three times as fine."""

    def native(self, sample: int) -> NativeVolume:
        fine = [np.kron(map_, np.ones((3, 3, 3), map_.dtype)) for map_ in self._signals[sample]]
        evidence = np.kron(self._evidence[sample, 0], np.ones((3, 3, 3), bool))
        return NativeVolume(np.stack(fine), evidence, np.eye(4))
