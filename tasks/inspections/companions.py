"""The small networks beside an evaluated one: their maps of the same windows, and what they read there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.bundle import Bundle
from xai.methods import explainer

from ..evaluating.judges import network_of
from .inspected import Inspected

METHODS: Mapping[str, tuple[str, str]] = {
    "CAM of the CNN": ("cam", "cam"),
    "learned mask of the LSTM": ("lstm", "learned_mask_n100"),
}
"""How Vijayarangan et al. (2020) look at each half of their network: the companion's role, and its explainer."""


@dataclass(frozen=True)
class Seen:
    """A network's view of some samples, in the order of their rows.

    ``maps (sample, channel, time)``: attribution of the true class. ``predicted (sample,)``: class index;
    ``confidence (sample,)``: the network's probability for it.
    """

    maps: Tensor
    predicted: np.ndarray
    confidence: np.ndarray


def seen_by(looked: Inspected, bundle: Bundle, method: str, rows: pd.DataFrame) -> Seen:
    """What a version on the same splits sees in ``rows``, each by its member that never saw the subject."""
    signals = torch.from_numpy(looked.signals(rows))
    maps = torch.zeros_like(signals)
    predicted, confidence = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    members = rows["member"].to_numpy()
    for member in np.unique(members):
        at = np.flatnonzero(members == member)
        network = network_of(bundle, int(member))
        inputs = bundle.normalise(signals[at])
        part = rows.iloc[at]
        with torch.inference_mode():
            probabilities = network(inputs).softmax(dim=1)
        found = probabilities.max(dim=1)
        predicted[at], confidence[at] = found.indices.numpy(), found.values.numpy()
        maps[at] = explainer(method).attribute(network, inputs, looked.targets(part), seeds=looked.seeds(part))
    return Seen(maps, predicted, confidence)


def companions_views(looked: Inspected, rows: pd.DataFrame) -> dict[str, Seen]:
    """What each companion that is there sees, by the words of `METHODS`."""
    return {
        words: seen_by(looked, looked.companions[role], method, rows)
        for words, (role, method) in METHODS.items()
        if role in looked.companions
    }
