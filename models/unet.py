"""The 3-D U-Net that Tjoa et al. train on stroke maps: a volume to two logits per voxel."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

SLOPE = 0.2
"""Of every LeakyReLU below zero."""

Head = Literal["logits", "paper"]


class UNet3d(nn.Module):
    """Four levels of two convolutions, down by max pools and up by transposed convolutions, joined by skips.

    Inputs are normalised volumes ``(sample, channel, depth, height, width)`` of any size whose every axis holds at
    least ``2 ** (levels - 1)`` voxels; the output is logits ``(sample, class, depth, height, width)``. ``width``:
    filters of the first convolution; 32 with 4 levels, 6 channels, 2 classes and the paper's head gives 19,077,158
    parameters, the number in the authors' code (github.com/etjoa003/medical_imaging, isles2017). Pools round up, so
    that the way up is too long wherever an axis was odd; it is cropped at its end to the skip's size. For the paper's
    19 slices that is what the paper does; other depths work too.

    ``head``: ``logits``, or ``paper``, which ends in a batch norm and a ReLU as the paper does. Convolutions start
    Kaiming-normal, transposed ones as PyTorch has them. ``dropout`` is 0: the network has none.
    Raises ValueError for a width, levels, head or dropout outside these.

    Layers, by name: ``encoders.<level>``, ``pools.<level>``, and on the way up, the deepest first, ``ups.<step>``,
    ``joins.<step>`` (the skip's channels come first) and ``decoders.<step>``; then ``out``, and for the paper's
    head ``out_norm`` and ``out_activation``.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 32,
        levels: int = 4,
        head: Head = "logits",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(width, levels, head, dropout)
        leaving = [2 * width * 2**level for level in range(levels)]
        entering = [channels, *leaving[:-1]]
        self.encoders = nn.ModuleList(
            _block(first, second // 2, second) for first, second in zip(entering, leaving, strict=True)
        )
        self.pools = nn.ModuleList(nn.MaxPool3d(2, ceil_mode=True) for _ in leaving[:-1])
        upwards = [(deep, skip) for skip, deep in pairwise(leaving)][::-1]
        self.ups = nn.ModuleList(nn.ConvTranspose3d(deep, deep, 2, stride=2, bias=False) for deep, _ in upwards)
        self.joins = nn.ModuleList(_Join() for _ in upwards)
        self.decoders = nn.ModuleList(_block(deep + skip, skip, skip) for deep, skip in upwards)
        self.out = nn.Conv3d(leaving[0], classes, 1)
        self.out_norm = nn.BatchNorm3d(classes) if head == "paper" else nn.Identity()
        self.out_activation = nn.ReLU() if head == "paper" else nn.Identity()
        self.apply(_start)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``(sample, class, depth, height, width)``."""
        signal, skips = inputs, []
        for encoder, pool in zip(self.encoders, self.pools, strict=False):
            skips.append(encoder(signal))
            signal = pool(skips[-1])
        signal = self.encoders[-1](signal)
        for up, join, decoder, skip in zip(self.ups, self.joins, self.decoders, reversed(skips), strict=True):
            signal = decoder(join(skip, up(signal)))
        return self.out_activation(self.out_norm(self.out(signal)))


class _Join(nn.Module):
    """The skip and what comes up, cropped to the skip's size, one behind the other."""

    def forward(self, skip: Tensor, up: Tensor) -> Tensor:
        depth, height, width = skip.shape[2], skip.shape[3], skip.shape[4]
        return torch.cat([skip, up[:, :, :depth, :height, :width]], dim=1)


def _block(entering: int, between: int, leaving: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first, second in ((entering, between), (between, leaving)):
        layers += [nn.Conv3d(first, second, 3, padding=1), nn.BatchNorm3d(second), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _start(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv3d):
        nn.init.kaiming_normal_(layer.weight)


def _check(width: int, levels: int, head: str, dropout: float) -> None:
    for name, value, least in (("width", width, 1), ("levels", levels, 2)):
        if value < least:
            raise ValueError(f"{name} is {value}; expected {least} or more.")
    if head not in ("logits", "paper"):
        raise ValueError(f"head is {head!r}; expected 'logits' or 'paper'.")
    if dropout:
        raise ValueError(f"dropout is {dropout}; expected 0, because the U-Net has none.")
