"""Volumes in float32 on a CPU take oneDNN's convolutions, channels last: they say what float64 says without them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.unet import UNet3d
from xai.layout import fast_layout
from xai.methods.lrp import AlphaBeta, Epsilon, WPlus, relevances, zplus_box
from xai.methods.lrp.rows import empty_rows, stacked
from xai.scores import OUTPUT_SUM

LAYERS = {
    "padded": nn.Conv3d(3, 4, 3, padding=1),
    "not padded, kernel of three widths": nn.Conv3d(3, 4, (1, 2, 3)),
    "padded beyond the kernel": nn.Conv3d(3, 4, 1, padding=1),
    "dilated": nn.Conv3d(3, 4, 3, padding=2, dilation=2),
    "strided": nn.Conv3d(3, 4, 3, stride=2, padding=1),
    "in groups": nn.Conv3d(3, 6, 3, padding=1, groups=3),
    "transposed": nn.ConvTranspose3d(3, 4, 2, stride=2),
    "transposed, stride one": nn.ConvTranspose3d(3, 4, 3, padding=1),
}
RULES = [Epsilon(0.1), AlphaBeta(2, 1), WPlus()]


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_convolution(kind, samples):
    torch.manual_seed(4)
    layer = nn.Sequential(LAYERS[kind]).float()
    inputs, targets = torch.randn(samples, 3, 5, 6, 7), torch.zeros(samples, dtype=torch.int64)
    single = relevances(layer, inputs, targets, RULES, score=OUTPUT_SUM)
    double = relevances(layer.double(), inputs.double(), targets, RULES, score=OUTPUT_SUM)
    for found, expected in zip(single, double, strict=True):
        assert expected.any()
        assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_u_net():
    torch.manual_seed(4)
    model, inputs, targets = UNet3d(2, 2, 4, 3).eval(), torch.rand(1, 2, 7, 9, 10), torch.ones(1, dtype=torch.int64)
    single = relevances(model, inputs, targets, [*RULES, zplus_box(0, 1)], score=OUTPUT_SUM)
    double = relevances(model.double(), inputs.double(), targets, [*RULES, zplus_box(0, 1)], score=OUTPUT_SUM)
    for found, expected in zip(single, double, strict=True):
        assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_rows_keep_the_layout_of_a_volume_and_the_order_of_everything():
    volume = fast_layout(torch.randn(2, 3, 4, 5, 6))
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)
    rows = stacked([volume, 2 * volume])
    assert torch.equal(rows, torch.stack([volume, 2 * volume]))
    for each in (rows, empty_rows(2, volume)):
        assert each.shape == (2, 2, 3, 4, 5, 6)
        assert each[0].is_contiguous(memory_format=torch.channels_last_3d)
    signal = torch.randn(2, 3, 4)
    assert fast_layout(signal) is signal
    assert empty_rows(3, signal).is_contiguous()
