"""Localisation on each case's own grid: maps are taken back to it and held against what was marked there."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from xai.quality.localisation import input_metrics, localisation_metrics
from xai.quality.tables import Row, score_table

from ..cohorts.resizing import resized
from ..cohorts.store import Cohort


def on_native_grid(attribution: Tensor, size: tuple[int, int, int]) -> Tensor:
    """``attribution (..., depth, height, width)`` by nearest voxel on the grid of ``size``, float32."""
    return torch.from_numpy(resized(attribution.detach().cpu().numpy(), size).copy())


def native_localisation(cohort: Cohort, sample: int, maps: Mapping[str, Tensor]) -> pd.DataFrame:
    """The localisation metrics of one sample: columns explainer, metric, baseline and value.

    ``maps`` by explainer: ``(channel, depth, height, width)`` on the cohort's grid.
    """
    native = cohort.native(sample)
    evidence = torch.from_numpy(native.evidence)[None, None].expand(1, *native.signals.shape)
    signals = torch.from_numpy(native.signals)[None]
    rows: list[Row] = []
    for name, values in maps.items():
        attribution = on_native_grid(values, native.evidence.shape)[None]
        found = localisation_metrics(attribution, evidence) | input_metrics(attribution, signals)
        rows.extend((name, metric, "", value) for metric, value in found.items())
    return score_table(rows).drop(columns="sample")
