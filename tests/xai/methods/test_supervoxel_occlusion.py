"""Supervoxels, and occlusion by them against a loop in float64."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmenters import CHANNELS, segmenter, volumes
from torch import Tensor, nn

from xai.methods import SupervoxelOcclusion, explainer, memory
from xai.methods.supervoxels import centre_counts, point_features, split, supervoxels
from xai.scores import LOGIT, PROBABILITY

TARGETS = torch.ones(3, dtype=torch.long)
SEEDS = torch.arange(3)


class Weighted(nn.Module):
    """A score that is linear in the input: its falls add up exactly."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights, self.rows = weights, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        score = (inputs * self.weights).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), score], dim=1)


@given(
    grid=st.lists(st.integers(1, 30), min_size=1, max_size=3).map(tuple),
    count=st.integers(1, 200),
)
@settings(max_examples=200, deadline=None)
def test_centres_are_at_most_so_many_and_fit_the_grid(grid, count):
    numbers = centre_counts(grid, count)
    assert prod(numbers) <= count
    assert all(1 <= number <= length for number, length in zip(numbers, grid, strict=True))


def test_centres_of_the_papers_smallest_volume():
    assert centre_counts((19, 48, 48), 64) == (2, 5, 6)


@given(seed=st.integers(0, 99), count=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_supervoxels_are_numbered_without_gaps_and_depend_on_the_sample_alone(seed, count):
    values = volumes(1, seed)[0]
    blocks = supervoxels(values, count)
    assert blocks.shape == values.shape[1:]
    assert 1 <= int(blocks.max()) + 1 <= count
    assert torch.equal(torch.unique(blocks), torch.arange(int(blocks.max()) + 1))
    assert torch.equal(supervoxels(values.clone(), count), blocks)


def test_supervoxels_keep_to_the_borders_of_tissue():
    values = torch.zeros(2, 8, 12, 12, dtype=torch.float64)
    values[:, :, :, 7:] = 1.0  # no line of the regular grid
    blocks = supervoxels(values, 27)
    dark, bright = set(blocks[..., :7].unique().tolist()), set(blocks[..., 7:].unique().tolist())
    assert not dark & bright


def test_a_flat_volume_falls_into_compact_blocks_of_nearly_equal_size():
    blocks = supervoxels(torch.zeros(1, 8, 8, 8), 8)
    assert torch.bincount(blocks.flatten()).tolist() == [64] * 8


def test_pieces_are_no_more_than_points():
    features = point_features(torch.rand(2, 1, 1, 3), spacing=1.0)
    assert sorted(split(features, 8).tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="count of supervoxels is 0; expected 1 or more"):
        supervoxels(torch.rand(1, 2, 2), 0)


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
@pytest.mark.parametrize("channels", ["joint", "single"])
def test_without_refinement_it_equals_a_loop_over_blocks(score, channels):
    model, inputs = segmenter(), volumes()
    found = SupervoxelOcclusion(6, 0, channels).attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    groups = [list(range(CHANNELS))] if channels == "joint" else [[channel] for channel in range(CHANNELS)]
    for sample, values in enumerate(inputs):
        blocks = supervoxels(values, 6)
        with torch.no_grad():
            whole = score(model(values[None]), TARGETS[:1])
            for group in groups:
                for number in range(int(blocks.max()) + 1):
                    copy = values.clone()
                    for channel in group:
                        copy[channel][blocks == number] = 0
                    fall = whole - score(model(copy[None]), TARGETS[:1])
                    expected = fall.item() / (len(group) * int((blocks == number).sum()))
                    for channel in group:
                        part = found[sample, channel][blocks == number]
                        torch.testing.assert_close(part, torch.full_like(part, expected), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("refine", [0, 1, 3])
@pytest.mark.parametrize("channels", ["joint", "single"])
def test_a_linear_scores_map_adds_up_to_the_score_and_costs_what_is_said(refine, channels):
    inputs = volumes(1)
    model = Weighted(torch.randn(inputs.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(3)))
    how = SupervoxelOcclusion(24, refine, channels)
    found = how.attribute(model, inputs, TARGETS[:1], seeds=SEEDS[:1])
    torch.testing.assert_close(found.sum(), LOGIT(model(inputs), TARGETS[:1]).squeeze())
    groups = CHANNELS if channels == "single" else 1
    to_see_its_memory, the_sum_above = 1, 1
    assert model.rows <= 1 + groups * 24 * (1 + refine) + to_see_its_memory + the_sum_above


def test_refinement_finds_a_small_source_and_leaves_the_rest_coarse():
    inputs = torch.ones(1, 1, 8, 16, 16, dtype=torch.float64)
    weights = torch.zeros(8, 16, 16, dtype=torch.float64)
    weights[1, 2, 3] = 5.0
    maps = [
        SupervoxelOcclusion(16, refine).attribute(Weighted(weights), inputs, TARGETS[:1], seeds=SEEDS[:1])[0, 0]
        for refine in (0, 1, 2, 3)
    ]
    marked = [int((heat > 0).sum()) for heat in maps]
    assert marked[0] > 4 * marked[1] >= 16 * marked[2]
    assert all(heat[1, 2, 3] == heat.max() > 0 for heat in maps)
    assert all(heat.sum().item() == pytest.approx(5.0) for heat in maps)


def test_what_is_zero_already_is_not_run():
    inputs = torch.zeros(1, 1, 8, 8, 8, dtype=torch.float64)
    inputs[..., :4] = 1.0
    model = Weighted(torch.ones(8, 8, 8, dtype=torch.float64))
    blocks = supervoxels(inputs[0], 8)
    SupervoxelOcclusion(8, 0).attribute(model, inputs, TARGETS[:1], seeds=SEEDS[:1])
    filled = len(torch.unique(blocks[..., :4]))
    assert filled < int(blocks.max()) + 1
    assert model.rows == filled + 1 + 1  # the sample as it is, and once to see its memory


def test_neither_the_batch_nor_memory_changes_a_map(monkeypatch):
    model, inputs, how = segmenter(), volumes(), SupervoxelOcclusion(16, 1)
    whole = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    some = how.attribute(model, inputs[[2, 0]], TARGETS[:2], seeds=SEEDS[:2])
    torch.testing.assert_close(some, whole[[2, 0]], rtol=1e-9, atol=1e-13)
    monkeypatch.setattr(memory, "ACTIVATION_BYTES", {"cpu": 1})
    torch.testing.assert_close(how.attribute(model, inputs, TARGETS, seeds=SEEDS), whole, rtol=1e-9, atol=1e-13)


def test_signals_have_segments():
    inputs = torch.randn(2, 2, 60, dtype=torch.float64)
    model = Weighted(torch.randn(2, 60, dtype=torch.float64))
    found = SupervoxelOcclusion(6, 0).attribute(model, inputs, TARGETS[:2], seeds=SEEDS[:2])
    torch.testing.assert_close(found.flatten(1).sum(1), LOGIT(model(inputs), TARGETS[:2]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("occlusion_supervoxels", SupervoxelOcclusion()),
        ("occlusion_supervoxels_n32_refine0", SupervoxelOcclusion(32, 0)),
        ("occlusion_supervoxels_refine2_single", SupervoxelOcclusion(64, 2, "single")),
    ],
)
def test_names_read_as_documented(name, expected):
    assert explainer(name) == expected
    assert expected.name == name


@pytest.mark.parametrize(
    "name", ["occlusion_supervoxels_n64", "occlusion_supervoxels_n0", "occlusion_supervoxels_single_n8"]
)
def test_no_second_name(name):
    with pytest.raises(ValueError, match="is unknown"):
        explainer(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "count is 0; expected 1 or more"),
        ((8, -1), "refine is -1; expected 0 or more"),
        ((8, 0, "both"), "channels is 'both'; expected 'joint' or 'single'"),
    ],
)
def test_parameters_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        SupervoxelOcclusion(*arguments)
