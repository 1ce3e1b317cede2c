"""Where relevance lies, channel by channel: known answers, loops in float64, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xai.quality.inclusivity import (
    TABLE_COLUMNS,
    channel_metrics,
    inclusivity_table,
    normalised_mean,
    spikes,
    spread,
)
from xai.quality.localisation import input_metrics, localisation_metrics

GRID = (3, 4, 5)


def _maps(seed: int = 0, samples: int = 3, channels: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    attributions = torch.randn(samples, channels, *GRID, generator=generator, dtype=torch.float64)
    inputs = torch.rand(samples, channels, *GRID, generator=generator, dtype=torch.float64) ** 4
    evidence = torch.rand(samples, 1, *GRID, generator=generator) < 0.3
    return attributions, evidence, inputs


def test_the_papers_coefficient_by_hand() -> None:
    relevance = torch.tensor([[[10.0, 5.1, -6.0, 5.0], [0.0, 0.1, 0.0, -0.2]]])
    truth = torch.tensor([[[True, True, False, True]]])
    inputs = torch.tensor([[[1.0, 0.1, 0.2, 0.05], [100.0, 50.0, 0.0, 11.0]]])
    found = channel_metrics(relevance, truth, inputs)
    # above half of the channel's maximum: points 0, 1, 2 of the first; point 3 of the second (0.1 is half, not above)
    assert found["inclusivity"].tolist() == [[2 / 3, 1 / 3]]
    # above a tenth of the channel's maximum: points 0 and 2 of the first, 0, 1 and 3 of the second
    assert found["input_inclusivity"].tolist() == [[1.0, 1 / 3]]
    assert found["precision"].tolist() == [[2 / 3, 1.0]]
    assert found["dice"].tolist() == [[2 * 2 / 6, 2 * 1 / 4]]
    assert found["area"].tolist() == [[3 / 4, 1 / 4]]
    assert found["precision_area_corrected"][0, 0].item() == pytest.approx((2 / 3 - 3 / 4) / (1 / 4))


@given(seed=st.integers(0, 500))
@settings(max_examples=40, deadline=None)
def test_coefficients_equal_a_loop_over_points(seed: int) -> None:
    attributions, evidence, inputs = _maps(seed)
    found = channel_metrics(attributions, evidence, inputs)
    for sample, channel in np.ndindex(3, 2):
        relevance, signal = attributions[sample, channel].flatten(), inputs[sample, channel].flatten()
        a = {k for k, value in enumerate(relevance) if abs(value) > 0.5 * relevance.abs().max()}
        truth = {k for k, value in enumerate(evidence[sample, 0].flatten()) if value}
        filled = {k for k, value in enumerate(signal) if abs(value) > 0.1 * signal.abs().max()}
        for name, b in (("inclusivity", truth), ("input_inclusivity", filled)):
            expected = len(a & b) / len(b) if 0 < len(b) < len(relevance) else np.nan
            assert found[name][sample, channel].item() == pytest.approx(expected, nan_ok=True)
        if 0 < len(truth) < len(relevance):
            assert found["precision"][sample, channel].item() == pytest.approx(len(a & truth) / len(a))
            positive = sum(max(value.item(), 0) for value in relevance)
            inside = sum(max(relevance[k].item(), 0) for k in truth)
            assert found["relevance_mass"][sample, channel].item() == pytest.approx(inside / positive)


def test_a_single_channel_is_judged_as_the_whole_map_is() -> None:
    attributions, evidence, inputs = _maps(channels=1)
    expected = localisation_metrics(attributions, evidence) | input_metrics(attributions, inputs)
    found = channel_metrics(attributions, evidence, inputs)
    assert set(found) == {*expected, "area"}
    for name, values in expected.items():
        torch.testing.assert_close(found[name][:, 0], values)


def test_evidence_of_one_channel_holds_for_all_in_every_metric() -> None:
    attributions, evidence, _ = _maps()
    spread_out = evidence.expand_as(attributions).clone()
    full, short = localisation_metrics(attributions, spread_out), localisation_metrics(attributions, evidence)
    for name, values in full.items():
        torch.testing.assert_close(short[name], values)


def test_samples_and_channels_do_not_see_each_other() -> None:
    attributions, evidence, inputs = _maps()
    whole = channel_metrics(attributions, evidence, inputs)
    part = channel_metrics(attributions[[2, 0], 1:], evidence[[2, 0]], inputs[[2, 0], 1:])
    for name, values in part.items():
        torch.testing.assert_close(values, whole[name][[2, 0], 1:], rtol=0, atol=0, equal_nan=True)


def test_what_cannot_be_judged_is_nan_and_never_0() -> None:
    attributions, evidence, inputs = _maps()
    attributions[0, 0] = 0
    evidence[1] = False
    inputs[2, 1] = 1.0
    found = channel_metrics(attributions, evidence, inputs)
    for name, values in found.items():
        assert values[0, 0].isnan(), name
        assert values[0, 1].isfinite() or name.startswith("input"), name
        if name not in ("area", "input_inclusivity", "input_inclusivity_area_corrected"):
            assert values[1].isnan().all(), name
    assert found["input_inclusivity"][2, 1].isnan()
    assert found["area"][1].isfinite().all()


def test_mu_is_the_mean_over_space_of_the_map_by_its_maximum() -> None:
    relevance = torch.tensor([[[4.0, -2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    by_channel, by_tensor = normalised_mean(relevance), normalised_mean(relevance, of="tensor")
    assert by_channel[0, :2].tolist() == [2 / 4 / 4, 2 / 4]
    assert by_channel[0, 2].isnan()
    assert by_tensor.tolist() == [[2 / 4 / 4, 2 / 4 / 4, 0.0]]
    assert normalised_mean(relevance * 0, of="tensor").isnan().all()
    with pytest.raises(ValueError, match="of is 'net'; expected 'channel' or 'tensor'"):
        normalised_mean(relevance, of="net")  # type: ignore[arg-type]


@given(seed=st.integers(0, 99), scale=st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_mu_knows_no_amplitude_and_stays_within_1(seed: int, scale: float) -> None:
    attributions, _, _ = _maps(seed)
    for of in ("channel", "tensor"):
        found = normalised_mean(attributions, of)
        assert bool((found.abs() <= 1).all())
        torch.testing.assert_close(normalised_mean(attributions * scale, of), found)


def test_spikes_by_hand_in_the_brain_and_in_all() -> None:
    heat = torch.ones(1, 1, 40, 50)
    heat[0, 0, 0, 0], heat[0, 0, 0, 1] = -500.0, 499.0
    found = spikes(heat)
    assert found["spike_share"].item() == pytest.approx(999 / (999 + 1998))  # the top two of 2000
    assert found["spike_ratio"].item() == 500
    brain = torch.zeros(1, 1, 40, 50, dtype=torch.bool)
    brain[..., 1:11] = True  # 400 points: the top one
    inside = spikes(heat, brain)
    assert inside["spike_share"].item() == pytest.approx(499 / (499 + 399))
    assert inside["spike_ratio"].item() == 499


def test_spikes_of_nothing_are_undefined() -> None:
    heat = torch.zeros(2, 1, 10)
    heat[1, 0, 3] = 1.0
    found = spikes(heat)
    assert found["spike_share"][0].isnan().all()
    assert found["spike_share"][1].item() == 1
    assert found["spike_ratio"].isnan().all()  # half of both maps is 0
    nowhere = spikes(heat, torch.zeros(2, 1, 10, dtype=torch.bool))
    assert nowhere["spike_share"].isnan().all()


def test_the_table_holds_every_metric_of_every_filter_and_channel() -> None:
    attributions, evidence, inputs = _maps()
    sweep = {"raw": attributions, "clamp0.05": attributions.clamp(-0.05, 0.05)}
    table = inclusivity_table(sweep, evidence, inputs)
    assert tuple(table.columns) == TABLE_COLUMNS
    assert not table.duplicated(["sample", "explainer", "channel", "metric"]).any()
    metrics = set(channel_metrics(attributions, evidence, inputs)) | {
        "normalised_mean", "normalised_mean_tensor", "spike_share", "spike_ratio", "peak",
    }  # fmt: skip
    assert set(table["metric"]) == metrics
    assert len(table) == 3 * 2 * 2 * len(metrics)
    row = table.set_index(["explainer", "metric", "sample", "channel"])["value"]
    assert row["clamp0.05", "peak", 2, 1] == pytest.approx(0.05)
    assert row["raw", "peak", 2, 1] == pytest.approx(attributions[2, 1].abs().max().item())
    assert row["raw", "normalised_mean", 1, 0] == pytest.approx(normalised_mean(attributions)[1, 0].item())


def test_clamping_raises_inclusivity_of_any_map_mechanically() -> None:
    """Everything above the clamp equals the maximum: D rises without any new knowledge; precision does not."""
    attributions, evidence, inputs = _maps(samples=20)
    sweep = {f"clamp{high}": attributions.clamp(-high, high) for high in (0.05, 0.5, 9.0)}
    means = inclusivity_table(sweep, evidence, inputs).groupby(["metric", "explainer"])["value"].mean()
    found = means["inclusivity"]
    assert found["clamp0.05"] > 0.9 > found["clamp0.5"] > found["clamp9.0"]
    assert abs(means["precision_area_corrected", "clamp0.05"]) < 0.05  # noise stays noise


def test_spread_describes_each_filter_in_the_tables_order() -> None:
    attributions, evidence, inputs = _maps()
    attributions[0, 1] = 0
    table = inclusivity_table({"raw": attributions, "half": attributions.clamp(-0.5, 0.5)}, evidence, inputs)
    found = spread(table).set_index("explainer")
    assert list(found.index) == ["raw", "half"]
    mu = normalised_mean(attributions).flatten().numpy()
    assert found.loc["raw", ["count", "undefined"]].tolist() == [5, 1]
    assert found.loc["raw", "sd"] == pytest.approx(np.nanstd(mu, ddof=1))
    assert found.loc["raw", "maximum"] == pytest.approx(np.nanmax(mu))
    assert found.loc["raw", "lower_quartile"] == pytest.approx(np.nanquantile(mu, 0.25))
    with pytest.raises(ValueError, match="table holds no metric 'nu'"):
        spread(table, "nu")
