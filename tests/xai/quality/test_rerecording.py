"""Windows as another device would have written them: known filters, class mixes, and bounds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from xai.quality.rerecording import LARGEST_GAIN, mean_power, rerecorded


def noise(count: int = 400, seed: int = 0) -> Tensor:
    return torch.randn(count, 2, 128, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filtered(signals: Tensor, gain: Tensor) -> Tensor:
    return torch.fft.irfft(torch.fft.rfft(signals, dim=-1) * gain, n=signals.shape[-1], dim=-1)


def power_of(signals: Tensor) -> Tensor:
    return mean_power(signals, torch.zeros(len(signals)), torch.tensor([0]))


def test_a_known_filter_of_the_other_device_is_found() -> None:
    gain = torch.linspace(2.0, 0.5, 65, dtype=torch.float64)
    ours, theirs = noise(), filtered(noise(seed=1), gain)
    changed = rerecorded(ours, power_of(ours), power_of(theirs))
    expected = filtered(ours, gain)
    error = (changed - expected).square().mean() / expected.square().mean()
    assert error < 0.01
    assert (ours - expected).square().mean() / expected.square().mean() > 0.1


def test_a_device_that_is_the_same_changes_nothing() -> None:
    ours = noise()
    torch.testing.assert_close(rerecorded(ours, power_of(ours), power_of(ours)), ours)


def test_what_a_device_was_used_for_is_not_taken_for_the_device() -> None:
    """Class 1 is louder; one device wrote mostly 0, the other mostly 1: their spectra, class by class, are equal."""
    quiet, loud = noise(), 3 * noise(seed=2)
    first, second = torch.cat([quiet[:300], loud[:100]]), torch.cat([quiet[:100], loud[:300]])
    of_first, of_second = torch.tensor([0] * 300 + [1] * 100), torch.tensor([0] * 100 + [1] * 300)
    both = torch.tensor([0, 1])
    ratio = mean_power(first, of_first, both) / mean_power(second, of_second, both)
    assert ratio.sub(1).abs().max() < 0.15
    pooled = power_of(first) / power_of(second)
    assert pooled.mean() < 0.6


def test_gains_are_bounded_and_windows_do_not_mix() -> None:
    ours = noise(8)
    nothing, much = torch.zeros(2, 65, dtype=torch.float64), torch.full((2, 65), 1e9, dtype=torch.float64)
    torch.testing.assert_close(rerecorded(ours, nothing, nothing), ours)
    torch.testing.assert_close(rerecorded(ours, nothing, much), LARGEST_GAIN * ours)
    torch.testing.assert_close(rerecorded(ours, much, nothing), ours / LARGEST_GAIN)
    own, other = power_of(ours), power_of(noise(8, seed=3))
    alone = torch.cat([rerecorded(ours[k : k + 1], own, other) for k in range(8)])
    torch.testing.assert_close(alone, rerecorded(ours, own, other))
    assert rerecorded(ours.float(), own, other).dtype == torch.float32


def test_a_class_without_samples_is_named() -> None:
    with pytest.raises(ValueError, match="no sample of class 3"):
        mean_power(noise(4), torch.zeros(4), torch.tensor([0, 3]))
