"""Signals as another device would have written them: the same windows with the other's mean spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

SMOOTHED = 5
"""Neighbouring frequencies over which a spectrum is averaged."""
LARGEST_GAIN = 10.0
"""By which a frequency is raised or lowered at most: what one device cuts off cannot be brought back."""


def mean_power(signals: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    """Mean power spectrum ``(channel, frequency)`` of ``signals (sample, channel, time)``, each of ``classes`` alike.

    Weighing classes alike keeps what a device does apart from which classes it was used for. ValueError where a class
    has no sample.
    """
    power = torch.fft.rfft(signals.double(), dim=-1).abs().square()
    means = []
    for label in classes.tolist():
        chosen = power[labels == label]
        if not len(chosen):
            raise ValueError(f"labels hold no sample of class {label}; expected some of every class that is compared.")
        means.append(chosen.mean(dim=0))
    return _smoothed(torch.stack(means).mean(dim=0))


def rerecorded(signals: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """``signals (sample, channel, time)`` filtered so that the mean spectrum ``own`` becomes ``other``.

    Both are ``(channel, frequency)``, as of `mean_power`. The filter has no phase: waves stay where they are. Its gain
    is the root of the ratio, between 1 / `LARGEST_GAIN` and `LARGEST_GAIN`, and 1 where neither has power.
    """
    ratio = torch.where(own > 0, other / own, torch.where(other > 0, torch.inf, torch.ones_like(own)))
    gain = ratio.sqrt().clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    changed = torch.fft.irfft(torch.fft.rfft(signals.double(), dim=-1) * gain, n=signals.shape[-1], dim=-1)
    return changed.to(signals.dtype)


def _smoothed(power: Tensor) -> Tensor:
    """Running mean over frequencies; at the ends over those that there are."""
    ones = torch.ones_like(power)
    kernel = torch.ones(1, 1, SMOOTHED, dtype=power.dtype)

    def sums(values: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(values[:, None], kernel, padding=SMOOTHED // 2)[:, 0]

    return sums(power) / sums(ones)
