"""Does a map mark what the network uses: on a score whose parts are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from segmenters import GRID, lesions, segmenter, volumes
from torch import Tensor, nn

from xai.methods import memory
from xai.quality.inclusivity import channel_metrics
from xai.quality.region_deletion import COLUMNS, sweep_table
from xai.scores import LOGIT, PROBABILITY

SEEDS = torch.tensor([7, 1, 5])
TARGETS = torch.ones(3, dtype=torch.long)
BRAIN = torch.ones(3, 1, *GRID, dtype=torch.bool)


class Reads(nn.Module):
    """A linear score of some points."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, inputs: Tensor) -> Tensor:
        score = (inputs * self.weights).flatten(1).sum(1)
        return torch.stack([-score, score], dim=1)


@pytest.fixture
def source() -> Tensor:
    """Weights ``(channel, *grid)``: 40 points of each channel."""
    weights = torch.zeros(3, *GRID, dtype=torch.float64)
    weights[:, 1:3, 2:6, 3:8] = 1.0
    return weights


def _table(model: nn.Module, sweep: dict[str, Tensor], rows: object = slice(None), **changes: object) -> pd.DataFrame:
    arguments = {"seeds": SEEDS[rows], **changes}  # type: ignore[index]
    maps = {name: values[rows] for name, values in sweep.items()}  # type: ignore[index]
    return sweep_table(
        model, volumes()[rows], TARGETS[rows], maps, lesions()[rows], BRAIN[rows], **arguments  # type: ignore[index, arg-type]
    )  # fmt: skip


def test_marking_the_source_takes_all_away_and_marking_anything_else_no_more_than_chance(source: Tensor) -> None:
    inputs = volumes()
    right = (inputs * source).abs() + source
    wrong = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = _table(Reads(source), {"right": right, "wrong": wrong}).groupby("explainer").mean(numeric_only=True)
    assert found.loc["right", "deletion_auc"] < 0.5 < 0.85 < found.loc["right", "random_deletion_auc"]
    assert abs(found.loc["wrong", "deletion_gain"]) < 0.1


def test_a_larger_map_takes_more_away_but_gains_nothing(source: Tensor) -> None:
    noise = torch.rand(3, 3, *GRID, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 8
    sweep = {"raw": noise, "clamp": noise.clamp_max(0.05)}
    found = _table(Reads(source), sweep, draws=6).groupby("explainer").mean(numeric_only=True)
    assert found.loc["clamp", "area"] > 3 * found.loc["raw", "area"]
    assert found.loc["clamp", "deletion_auc"] < found.loc["raw", "deletion_auc"] - 0.1
    assert abs(found.loc["clamp", "deletion_gain"]) < 0.05


def test_areas_equal_a_loop_over_the_steps(source: Tensor) -> None:
    """Without equals in the map the order is known; the score falls by what the points gave to it."""
    inputs, steps = volumes(), 3
    heat = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = _table(Reads(source), {"map": heat}, steps=steps)
    for sample in range(3):
        points = [
            (float(heat[sample].flatten()[k]), float((inputs[sample] * source).flatten()[k]))
            for k in range(heat[sample].numel())
        ]
        peaks = heat[sample].flatten(1).amax(1).repeat_interleave(GRID[0] * GRID[1] * GRID[2])
        inside = [point for point, peak in zip(points, peaks, strict=True) if point[0] > 0.5 * peak]
        inside.sort(reverse=True)
        whole = sum(given for _, given in points)
        curve = [whole - sum(g for _, g in inside[: round(k * len(inside) / steps)]) for k in range(steps + 1)]
        expected = np.trapezoid(curve, dx=1 / steps) / whole
        assert found["deletion_auc"][sample] == pytest.approx(expected)


def test_random_points_are_drawn_from_the_brain(source: Tensor) -> None:
    """A score that reads nothing of the brain loses nothing to random points of it."""
    brain = BRAIN.clone()
    brain[:, :, 1:3, 2:6, 3:8] = False
    found = sweep_table(
        Reads(source), volumes(), TARGETS, {"map": volumes(seed=9)}, lesions(), brain, seeds=SEEDS, draws=1
    )
    assert found["random_deletion_auc"].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert bool((found["deletion_auc"] < 1).all())


def test_places_are_the_means_over_channels() -> None:
    inputs, evidence, maps = volumes(), lesions(), volumes(seed=8)
    maps[1, 0] = 0.0
    found = _table(segmenter(), {"map": maps})
    assert tuple(found.columns) == COLUMNS
    expected = channel_metrics(maps, evidence, inputs)
    for name in ("inclusivity", "input_inclusivity", "precision", "dice", "auprc", "area"):
        np.testing.assert_allclose(found[name], expected[name].nanmean(dim=1).numpy())


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_neither_batch_nor_order_nor_memory_matters(score, monkeypatch) -> None:
    sweep = {"raw": volumes(seed=5), "clamp": volumes(seed=5).clamp_max(0.3)}
    whole = _table(segmenter(), sweep, score=score)
    order = [2, 0]
    part = _table(segmenter(), sweep, torch.tensor(order), score=score)
    monkeypatch.setattr(memory, "ACTIVATION_BYTES", {"cpu": 1})
    narrow = _table(segmenter(), dict(reversed(sweep.items())), score=score)
    keys = ["sample", "explainer"]
    expected = whole.set_index(keys).sort_index()
    pd.testing.assert_frame_equal(narrow.set_index(keys).sort_index(), expected, rtol=1e-9)
    part["sample"] = part["sample"].map(dict(enumerate(order)))
    pd.testing.assert_frame_equal(part.set_index(keys).sort_index(), expected.loc[[0, 2]], rtol=1e-9)


def test_a_map_without_an_order_and_a_score_of_nothing_are_undefined(source: Tensor) -> None:
    flat = torch.ones(3, 3, *GRID, dtype=torch.float64)
    flat[1] = volumes()[1]
    found = _table(Reads(source), {"map": flat})
    assert found["deletion_gain"].isna().tolist() == [True, False, True]
    assert found["dice"].isna().tolist() == [True, False, True]
    nothing = _table(Reads(source * 0), {"map": volumes()})
    assert nothing["deletion_auc"].isna().all()
    assert nothing["dice"].notna().all()
