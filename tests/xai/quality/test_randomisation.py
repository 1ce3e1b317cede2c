from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from xai.quality.randomisation import (
    entropy_rise,
    other_classes,
    randomisation_metrics,
    randomised,
    rank_correlation,
)


def _weights(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_layers_fall_from_the_output_down_and_the_callers_network_stays() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    before = _weights(model)
    changed = []
    for copy in randomised(model, seed=0):
        assert copy is not model
        changed.append([not torch.equal(old, new) for old, new in zip(before, _weights(copy), strict=True)])
    assert changed == [[False, False, True, True], [True, True, True, True]]
    assert all(torch.equal(old, new) for old, new in zip(before, _weights(model), strict=True))


def test_the_seed_alone_decides_the_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.LSTM(5, 2))
    state = torch.random.get_rng_state()
    first = [_weights(copy) for copy in randomised(model, seed=1)][-1]
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    second = [_weights(copy) for copy in randomised(model, seed=1)][-1]
    third = [_weights(copy) for copy in randomised(model, seed=2)][-1]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, third, strict=True))


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="model has no submodule with reset_parameters"):
        next(randomised(nn.Sequential(nn.ReLU()), seed=0))


def test_cascading_is_the_mean_similarity_over_the_layers(case: Any) -> None:
    reference = case.attributions["gradient"]

    def explain(model: nn.Module) -> torch.Tensor:
        return case.explainers["gradient"].attribute(model, case.inputs, case.targets, seeds=case.seeds)

    found = randomisation_metrics(explain, case.model, reference, seed=4)
    naive = np.array(
        [
            [stats.spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(reference, explain(copy), strict=True)]
            for copy in randomised(case.model, seed=4)
        ]
    )
    assert naive.shape == (2, 5)
    np.testing.assert_allclose(found["cascading_randomisation"].numpy(), naive.mean(0), atol=1e-10)
    assert (found["cascading_randomisation"] < 0.9).all()


def test_an_explainer_that_ignores_the_network_is_caught(case: Any) -> None:
    noise = case.attributions["noise"]
    found = randomisation_metrics(lambda model: noise, case.model, noise, seed=0)
    assert found["cascading_randomisation"].tolist() == pytest.approx([1] * 5)
    assert found["efficient_randomisation"].tolist() == pytest.approx([0] * 5)


def test_entropy_rises_when_a_focused_map_spreads() -> None:
    focused, even = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]), torch.ones(1, 1, 4)
    assert float(entropy_rise(focused, even)) == pytest.approx((np.log(4) - np.log(2)) / np.log(2))
    single = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    assert entropy_rise(single, even).isnan().all()
    assert entropy_rise(even, focused).isnan().all()


def test_another_class_is_never_the_target_and_is_drawn_evenly_by_seed() -> None:
    seeds = torch.arange(600)
    targets = torch.full((600,), 2)
    others = other_classes(seeds, targets, 4)
    counts = Counter(others.tolist())
    assert set(counts) == {0, 1, 3}
    assert min(counts.values()) > 150
    assert torch.equal(other_classes(seeds[7:9], targets[7:9], 4), others[7:9])
    with pytest.raises(ValueError, match="model returns 1 class"):
        other_classes(seeds, targets, 1)


def test_rank_correlation_averages_ties_and_is_undefined_for_constant_maps() -> None:
    first = torch.tensor([[[1.0, 2.0, 2.0, 5.0]], [[1.0, 2.0, 3.0, 4.0]]])
    second = torch.tensor([[[3.0, 1.0, 2.0, 9.0]], [[0.0, 0.0, 0.0, 0.0]]])
    found = rank_correlation(first, second)
    assert float(found[0]) == pytest.approx(stats.spearmanr(first[0, 0], second[0, 0]).statistic)
    assert found[1].isnan()
