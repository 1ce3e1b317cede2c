"""A narrow U-Net on small volumes whose lesion it finds, for the tests of explainers and measures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.unet import UNet3d

GRID = (5, 12, 10)
CHANNELS = 3


def segmenter(seed: int = 0, channels: int = CHANNELS) -> nn.Module:
    """A U-Net of width 2 and 2 levels in float64, with running statistics other than 0 and 1, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = UNet3d(channels, 2, width=2, levels=2).double()
        with torch.no_grad():
            model.train()
            for _ in range(4):
                model(torch.rand(4, channels, *GRID, dtype=torch.float64))
    return model.eval()


def volumes(count: int = 3, seed: int = 1) -> Tensor:
    """Normalised volumes ``(sample, channel, *GRID)`` in [0, 1], float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, CHANNELS, *GRID, generator=generator, dtype=torch.float64)


def lesions(count: int = 3) -> Tensor:
    """Evidence ``(sample, 1, *GRID)``: a block that moves from sample to sample."""
    mask = torch.zeros(count, 1, *GRID, dtype=torch.bool)
    for sample in range(count):
        mask[sample, 0, 1:4, 2 + sample : 6 + sample, 3:7] = True
    return mask
