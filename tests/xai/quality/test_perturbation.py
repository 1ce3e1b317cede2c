from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai.quality.perturbation import can_rank, descending_ranks, interpolate, replace


def test_ranks_are_descending_and_equal_values_keep_the_order_of_the_input() -> None:
    attributions = torch.tensor([[[0.0, 2.0, 0.0], [2.0, -1.0, 0.0]]])
    assert descending_ranks(attributions).tolist() == [[2, 0, 3, 1, 5, 4]]


@given(st.lists(st.integers(-2, 2), min_size=2, max_size=40))
@settings(deadline=None, max_examples=30)
def test_ranks_equal_a_stable_python_sort(values: list[int]) -> None:
    expected = sorted(range(len(values)), key=lambda place: -values[place])
    ranks = descending_ranks(torch.tensor(values, dtype=torch.float32).view(1, 1, -1))[0]
    assert ranks.argsort().tolist() == expected


def test_only_finite_varying_attributions_can_rank() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 3.0], [0.0, 0.0], [1.0, torch.nan], [1.0, torch.inf]])
    assert can_rank(rows.unsqueeze(1)).tolist() == [True, False, False, False, False]


@given(st.integers(0, 10_000), st.integers(2, 30))
@settings(deadline=None, max_examples=30)
def test_linear_equals_numpys_interpolation_between_kept_points(seed: int, length: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(3, 2, length, generator=generator, dtype=torch.float64)
    removed = torch.rand(3, 2, length, generator=generator) < 0.7
    replaced = replace(inputs, removed, "linear").numpy()
    place = np.arange(length)
    for sample in range(3):
        for channel in range(2):
            signal, kept = inputs[sample, channel].numpy(), ~removed[sample, channel].numpy()
            expected = np.interp(place, place[kept], signal[kept]) if kept.any() else signal.mean()
            np.testing.assert_allclose(replaced[sample, channel], expected, atol=1e-12)


def test_linear_on_a_volume_restores_a_field_that_is_linear_along_every_axis() -> None:
    z, y, x = torch.meshgrid(*[torch.arange(5.0, dtype=torch.float64)] * 3, indexing="ij")
    field = (2 * z - y + 0.5 * x).expand(1, 1, 5, 5, 5)
    removed = torch.zeros(1, 1, 5, 5, 5, dtype=torch.bool)
    removed[..., 1:4, 1:4, 1:4] = True
    torch.testing.assert_close(replace(field, removed, "linear"), field)


def test_linear_on_an_image_averages_the_axes_that_reach_a_kept_point() -> None:
    image = torch.tensor([[[[1.0, 9.0], [5.0, 9.0]]]])
    kept = torch.tensor([[[[True, False], [False, False]]]])
    # Right of and under the kept point one axis reaches it; the far corner is reached by none.
    assert interpolate(image, kept).tolist() == [[[[1.0, 1.0], [1.0, 6.0]]]]


@pytest.mark.parametrize("baseline", ["zero", "mean", "linear"])
def test_kept_points_are_untouched_and_everything_removed_leaves_no_shape(baseline: str) -> None:
    inputs = torch.randn(4, 2, 9, generator=torch.Generator().manual_seed(0))
    removed = torch.rand(4, 2, 9, generator=torch.Generator().manual_seed(1)) < 0.5
    assert torch.equal(replace(inputs, removed, baseline)[~removed], inputs[~removed])
    emptied = replace(inputs, torch.ones_like(removed), baseline)
    expected = torch.zeros_like(inputs) if baseline == "zero" else inputs.mean(2, keepdim=True).expand_as(inputs)
    torch.testing.assert_close(emptied, expected)


def test_an_unknown_baseline_is_refused() -> None:
    inputs = torch.zeros(1, 1, 3)
    with pytest.raises(ValueError, match="baseline is 'blur'; expected one of zero, mean, linear"):
        replace(inputs, inputs.bool(), "blur")
