"""A network that looks for one small wave, and signals that hold it beside a louder one that it does not heed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

POINTS, WIDE = 120, 12
"""Of a signal, and of the wave."""
_PLACES = torch.arange(WIDE, dtype=torch.float64)
WAVE = 0.8 * torch.sin(_PLACES * torch.pi / 2) * torch.sin((_PLACES + 0.5) * torch.pi / WIDE)
LOUD = 5 * torch.sin((torch.arange(24, dtype=torch.float64) + 0.5) * torch.pi / 24)


class Finder(nn.Module):
    """Logits ``(sample, 2)``: 0, and how well the best part of the signal fits the wave, times a gain."""

    def __init__(self, gain: float = 12.0) -> None:
        super().__init__()
        self.gain = gain
        self.filter = nn.Conv1d(1, 1, WIDE, bias=False).double()
        with torch.no_grad():
            self.filter.weight.copy_((WAVE / WAVE.square().sum()).view(1, 1, -1))

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.filter(inputs).squeeze(1)
        best = found.mul(20).logsumexp(dim=1) / 20
        scores = self.gain * (best - 0.6)
        return torch.stack([torch.zeros_like(scores), scores], dim=1)


def signals_with_waves(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Signals ``(sample, 1, POINTS)`` and where the wave is in them, boolean, in the same shape."""
    generator = torch.Generator().manual_seed(seed)
    signals = 0.05 * torch.randn(count, 1, POINTS, generator=generator, dtype=torch.float64)
    evidence = torch.zeros(count, 1, POINTS, dtype=torch.bool)
    for sample in range(count):
        first, second = torch.randint(4, 20, (2,), generator=generator).tolist()
        small, loud = (first, 60 + second) if sample % 2 else (60 + second, first)
        signals[sample, 0, small : small + WIDE] += WAVE
        signals[sample, 0, loud : loud + len(LOUD)] += LOUD
        evidence[sample, 0, small : small + WIDE] = True
    return signals, evidence
