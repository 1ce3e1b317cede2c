from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai.quality.curves import curve_metrics, grid_for, insertion_curve, perturbation_curves, score_emptied
from xai.quality.forward import score_inputs
from xai.quality.perturbation import BASELINES, descending_ranks, replace

TOPS = (0.01, 0.05, 0.1, 0.2, 0.5)


def _curves(case: Any, attributions: Tensor, baseline: Any, counts: tuple[int, ...], batch_size: int = 512) -> Any:
    return perturbation_curves(
        case.model,
        case.inputs,
        case.targets,
        descending_ranks(attributions),
        baseline,
        counts,
        whole=score_inputs(case.model, case.inputs, case.targets, batch_size),
        emptied=score_emptied(case.model, case.inputs, case.targets, baseline, batch_size),
        batch_size=batch_size,
    )


def _naive_curve(case: Any, attributions: Tensor, baseline: Any, counts: tuple[int, ...], least: bool) -> Tensor:
    """One sample and one step at a time, in the order of a Python sort."""
    rows = []
    for sample in range(len(case.inputs)):
        flat = attributions[sample].flatten().tolist()
        order = sorted(range(len(flat)), key=lambda place: -flat[place])
        order = order[::-1] if least else order
        points = []
        for count in counts:
            removed = torch.zeros(len(flat), dtype=torch.bool)
            removed[order[:count]] = True
            one = case.inputs[sample : sample + 1]
            logits = case.model(replace(one, removed.view(one.shape), baseline))[0]
            target = int(case.targets[sample])
            points.append(torch.stack([logits[target], logits.softmax(0)[target]]))
        rows.append(torch.stack(points))
    return torch.stack(rows).detach()


def test_the_grid_holds_the_ends_the_even_steps_and_both_sides_of_every_share() -> None:
    grid = grid_for(200, 10, TOPS)
    assert (grid.counts[0], grid.counts[-1]) == (0, 200)
    assert [grid.counts[place] for place in grid.even] == list(range(0, 201, 20))
    assert [grid.counts[place] for place in grid.tops] == [2, 10, 20, 40, 100]
    assert [grid.counts[place] for place in grid.rests] == [198, 190, 180, 160, 100]
    assert grid.fractions[0] == 0
    assert grid.fractions[-1] == 1


def test_a_grid_of_few_features_has_one_step_each_and_removes_at_least_one() -> None:
    grid = grid_for(3, 10, TOPS)
    assert grid.counts == (0, 1, 2, 3)
    assert [grid.counts[place] for place in grid.tops] == [1, 1, 1, 1, 2]
    assert grid_for(1, 10, TOPS).counts == (0, 1)


@pytest.mark.parametrize("baseline", BASELINES)
def test_both_curves_equal_the_naive_ones(case: Any, baseline: Any) -> None:
    counts = grid_for(case.inputs[0].numel(), 6, TOPS).counts
    attributions = case.attributions["gradient_x_input"].round(decimals=1)  # many equal values
    curves = _curves(case, attributions, baseline, counts)
    for fast, least in ((curves.morf, False), (curves.lerf, True)):
        torch.testing.assert_close(fast, _naive_curve(case, attributions, baseline, counts, least))


def test_insertion_is_the_least_relevant_first_curve_read_backwards(case: Any) -> None:
    attributions = case.attributions["gradient"]
    features = case.inputs[0].numel()
    counts = grid_for(features, 8, TOPS).counts
    curves = _curves(case, attributions, "mean", counts)
    order = descending_ranks(attributions).argsort(dim=1)
    emptied = case.inputs.flatten(2).mean(2)[..., None].expand(*case.inputs.shape[:2], features // 2).flatten(1)
    restored = []
    for count in [features - count for count in reversed(counts)]:
        canvas = emptied.clone()
        canvas.scatter_(1, order[:, :count], case.inputs.flatten(1).gather(1, order[:, :count]))
        restored.append(score_inputs(case.model, canvas.view_as(case.inputs), case.targets, 7))
    torch.testing.assert_close(insertion_curve(curves.lerf), torch.stack(restored, dim=1))


def test_curves_do_not_depend_on_batch_size_or_order(case: Any) -> None:
    counts = grid_for(case.inputs[0].numel(), 5, TOPS).counts
    whole = _curves(case, case.attributions["gradient"], "linear", counts)
    small = _curves(case, case.attributions["gradient"], "linear", counts, batch_size=3)
    torch.testing.assert_close(whole.morf, small.morf)
    torch.testing.assert_close(whole.lerf, small.lerf)


def test_metrics_equal_their_definitions_on_numpy() -> None:
    generator = torch.Generator().manual_seed(0)
    grid = grid_for(100, 10, TOPS)
    morf, lerf = (torch.randn(4, len(grid.counts), generator=generator, dtype=torch.float64) for _ in range(2))
    found = curve_metrics(morf, lerf, grid)
    x = np.array(grid.counts) / 100
    m, r = morf.numpy(), lerf.numpy()
    at = {count: place for place, count in enumerate(grid.counts)}
    even = [at[count] for count in range(0, 101, 10)]
    top = [at[count] for count in (1, 5, 10, 20, 50)]
    rest = [at[100 - count] for count in (1, 5, 10, 20, 50)]
    expected = {
        "deletion_auc": np.trapezoid(m, x, axis=1),
        "insertion_auc": np.trapezoid(r[:, ::-1], 1 - x[::-1], axis=1),
        "aopc": (m[:, :1] - m[:, even]).sum(1) / 11,
        "abpc": (r[:, even] - m[:, even]).sum(1) / 11,
        "comprehensiveness": (m[:, :1] - m[:, top]).mean(1),
        "sufficiency": (m[:, :1] - r[:, rest]).mean(1),
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].numpy(), values, atol=1e-12, err_msg=name)


def test_a_wrong_signed_map_has_a_negative_area_between_the_curves(linear_model: nn.Module) -> None:
    inputs = torch.randn(6, 2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets = torch.zeros(6, dtype=torch.int64)
    contribution = linear_model[1].weight[0].detach().view(1, 2, 12) * inputs
    grid = grid_for(24, 12, TOPS)
    ends = {
        "whole": score_inputs(linear_model, inputs, targets, 99),
        "emptied": score_emptied(linear_model, inputs, targets, "zero", 99),
    }
    areas = []
    for sign in (1, -1):
        ranks = descending_ranks(sign * contribution)
        curves = perturbation_curves(linear_model, inputs, targets, ranks, "zero", grid.counts, **ends, batch_size=99)
        areas.append(curve_metrics(curves.morf[..., 0], curves.lerf[..., 0], grid)["abpc"])
    assert (areas[0] > 0).all()
    torch.testing.assert_close(areas[1], -areas[0])
