"""The U-Net: the paper's size and shapes, any depth, skips first, and what evaluation mode means."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv3d, conv_transpose3d, leaky_relu, max_pool3d

from models import build_network
from models.unet import UNet3d


def unet(**arguments) -> UNet3d:
    torch.manual_seed(0)
    return UNet3d(**{"channels": 2, "classes": 2, "width": 2, "levels": 2} | arguments).eval()


def grown(network: UNet3d) -> UNet3d:
    """The network with running statistics, scales and shifts that are not those of the start."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
            nn.init.uniform_(layer.weight, 0.5, 2.0)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    return network


def test_the_papers_network_has_the_number_of_parameters_in_its_code() -> None:
    with torch.device("meta"):
        network = UNet3d(channels=6, classes=2, width=32, levels=4, head="paper")
    assert sum(weights.numel() for weights in network.parameters()) == 19_077_158


@pytest.mark.parametrize("side", [48, 96, 144, 192])
def test_sizes_of_the_paper_pass_through_the_stages_that_it_names(side: int) -> None:
    with torch.device("meta"):
        network = UNet3d(channels=6, classes=2, head="paper")
        inputs = torch.empty(1, 6, 19, side, side)
    seen: dict[str, tuple[int, ...]] = {}
    for name, layer in network.named_modules():
        layer.register_forward_hook(lambda _layer, _in, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    assert network(inputs).shape == (1, 2, 19, side, side)
    expected = {
        "encoders.0": (64, 19, side), "pools.0": (64, 10, side // 2), "encoders.1": (128, 10, side // 2),
        "pools.1": (128, 5, side // 4), "encoders.2": (256, 5, side // 4), "encoders.3": (512, 3, side // 8),
        "ups.0": (512, 6, side // 4), "joins.0": (768, 5, side // 4), "decoders.0": (256, 5, side // 4),
        "joins.1": (384, 10, side // 2), "decoders.1": (128, 10, side // 2), "ups.2": (128, 20, side),
        "joins.2": (192, 19, side), "decoders.2": (64, 19, side), "out": (2, 19, side),
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == {name: (*shape, shape[-1]) for name, shape in expected.items()}


@settings(max_examples=15, deadline=None)
@given(levels=st.integers(2, 4), more=st.tuples(*[st.integers(0, 9)] * 3))
def test_any_size_comes_back_as_it_was(levels: int, more: tuple[int, int, int]) -> None:
    size = tuple(2 ** (levels - 1) + each for each in more)
    with torch.no_grad():
        assert unet(levels=levels, width=1)(torch.randn(1, 2, *size)).shape == (1, 2, *size)


def by_hand(network: UNet3d, inputs: Tensor) -> Tensor:
    """Two levels written out with functions on the weights, in the order of the paper's table."""

    def block(layers: nn.Module, signal: Tensor) -> Tensor:
        for conv, norm in ((layers[0], layers[1]), (layers[3], layers[4])):
            signal = conv3d(signal, conv.weight, conv.bias, padding=1)
            signal = batch_norm(signal, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            signal = leaky_relu(signal, 0.2)
        return signal

    skip = block(network.encoders[0], inputs)
    deep = block(network.encoders[1], max_pool3d(skip, 2, ceil_mode=True))
    up = conv_transpose3d(deep, network.ups[0].weight, stride=2)
    depth, height, width = skip.shape[2:]
    joined = torch.cat([skip, up[:, :, :depth, :height, :width]], dim=1)
    return conv3d(block(network.decoders[0], joined), network.out.weight, network.out.bias)


def test_it_equals_its_layers_written_out() -> None:
    network = grown(unet()).double()
    inputs = torch.randn(2, 2, 5, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = by_hand(network, inputs)
        assert torch.allclose(network(inputs), expected, atol=1e-10)
        network.out_norm, network.out_activation = nn.BatchNorm3d(2).double().eval(), nn.ReLU()
        assert torch.allclose(network(inputs), (expected / (1 + 1e-5) ** 0.5).relu(), atol=1e-10)


def test_the_skip_comes_first() -> None:
    network = unet()
    joined: list[Tensor] = []
    network.joins[0].register_forward_hook(lambda _layer, inputs, out: joined.extend([inputs[0], inputs[1], out]))
    network(torch.randn(1, 2, 3, 4, 5))
    skip, up, out = joined
    assert torch.equal(out[:, : skip.shape[1]], skip)
    assert torch.equal(out[:, skip.shape[1] :], up[:, :, :3, :4, :5])


def test_evaluation_knows_no_other_sample_and_training_does() -> None:
    network, inputs = grown(unet(head="paper")).double(), torch.randn(3, 2, 4, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(network(inputs)[1:2], network(inputs[1:2]), atol=1e-10)
        assert torch.allclose(network(inputs[[2, 0, 1]]), network(inputs)[[2, 0, 1]], atol=1e-10)
        network.train()
        assert not torch.allclose(network(inputs)[1:2], network(inputs[1:2]), atol=1e-3)


def test_the_papers_head_gives_nothing_below_zero() -> None:
    inputs = torch.randn(1, 2, 4, 6, 6)
    with torch.no_grad():
        assert unet()(inputs).min() < 0
        assert unet(head="paper")(inputs).min() == 0


def test_convolutions_start_kaiming_normal_and_transposed_ones_do_not() -> None:
    network = unet(width=16)
    conv, up = network.encoders[1][3], network.ups[0]
    assert conv.weight.std().item() == pytest.approx((2 / (27 * conv.in_channels)) ** 0.5, rel=0.03)
    bound = (1 / (8 * up.out_channels)) ** 0.5
    assert 0.9 * bound < up.weight.abs().max() <= bound


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"width": 0}, "width is 0; expected 1 or more"),
        ({"levels": 1}, "levels is 1; expected 2 or more"),
        ({"head": "softmax"}, "head is 'softmax'; expected 'logits' or 'paper'"),
        ({"dropout": 0.2}, "dropout is 0.2; expected 0"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        unet(**arguments)


def test_it_is_built_by_its_name() -> None:
    assert isinstance(build_network("unet3d", channels=6, classes=2, width=1), UNet3d)
