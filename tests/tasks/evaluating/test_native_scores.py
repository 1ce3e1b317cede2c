"""Localisation on a case's own grid equals that on the network's where each voxel was only made finer."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from volumes import GRID, ScaledBoxes

from tasks.cohorts.store import Cohort
from tasks.evaluating.native_scores import native_localisation, on_native_grid
from xai.quality.localisation import localisation_metrics


def test_a_finer_grid_changes_no_score():
    boxes = ScaledBoxes(2)
    attribution = torch.rand(2, *GRID, generator=torch.Generator().manual_seed(0))
    found = native_localisation(cast(Cohort, boxes), 0, {"map": attribution}).set_index("metric")["value"]
    evidence = torch.from_numpy(boxes.evidence([0])).expand(1, 2, *GRID)
    here = localisation_metrics(attribution[None], evidence)
    for metric in ("relevance_mass", "inclusivity", "precision", "dice", "auprc"):
        assert found[metric] == pytest.approx(float(here[metric]), rel=1e-6), metric


def test_maps_take_the_nearest_voxel():
    attribution = torch.arange(8.0).view(1, 2, 2, 2)
    fine = on_native_grid(attribution, (4, 4, 4))
    assert torch.equal(fine[:, ::2, ::2, ::2], attribution)
    assert torch.equal(fine[:, 1::2, 1::2, 1::2], attribution)
