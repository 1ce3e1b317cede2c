"""The five networks of paper 2: sizes, layers, lengths that they take, and what evaluation mode promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.fx
from scipy.signal import spectrogram
from torch import Tensor, nn
from torch.nn import functional

from models import build_network
from models.crnn import FLOOR, LogSpectrogram
from models.lstm import parameter_count
from models.residual import ResidualUnit
from xai.methods import explainer

NARROW = {
    "ecgnet": {"width": 4, "depth": 5, "units": 3},
    "hannun": {"width": 2, "depth": 6},
    "crnn": {"width": 2, "blocks": 2, "depth": 2, "units": 3},
    "ecg-cam": {"width": 3, "depth": 2},
    "ecg-lstm": {"units": 3},
}


def network(name: str, **arguments: object) -> nn.Module:
    """A small one in float64 whose batch norms have seen data."""
    torch.manual_seed(5)
    model = build_network(name, **{"channels": 1, "classes": 8, **NARROW[name], **arguments}).double()
    model.train()
    for _ in range(3):
        model(torch.randn(8, arguments.get("channels", 1), 720, dtype=torch.float64))
    return model.eval()


def signals(samples: int = 3, points: int = 720) -> Tensor:
    return torch.randn(samples, 1, points, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "count"),
    [("ecgnet", 17_440_304), ("hannun", 10_467_176), ("ecg-cam", 749_832), ("ecg-lstm", 102_768), ("crnn", 5_795_752)],
)
def test_parameters_are_the_papers(name, count):
    assert parameter_count(build_network(name)) == count


def test_the_parts_have_the_papers_parameters():
    ecgnet, crnn = build_network("ecgnet"), build_network("crnn")
    assert sum(parameter_count(part) for part in (ecgnet.stem, ecgnet.units, ecgnet.norm)) == 17_017_536
    assert parameter_count(ecgnet.recurrent) == 31_360
    assert parameter_count(ecgnet.head) == 391_408
    assert parameter_count(crnn.blocks) == 4_845_344
    assert parameter_count(crnn.lstm) == 948_800


def test_ecgnet_has_the_papers_shapes():
    hidden, lengths, filters = torch.zeros(1, 1, 720), [], []
    model = build_network("ecgnet").eval()
    hidden = model.stem(hidden)
    assert hidden.shape == (1, 64, 720)
    for unit in model.units:
        hidden = unit(hidden)
        filters.append(hidden.shape[1])
        lengths.append(hidden.shape[2])
    assert lengths == [360, 360, 180, 180, 90, 90, 45, 45, 22, 22, 11, 11, 5, 5, 2, 2]
    assert filters == [64] * 3 + [128] * 4 + [192] * 4 + [256] * 4 + [320]


def test_a_residual_unit_is_what_the_paper_writes():
    """The oracle: a unit that pools and widens, written out with functions."""
    torch.manual_seed(3)
    unit = ResidualUnit(2, 4, 0.5, pools=True).double().eval()
    first, _, _, conv, second, _, _, last, _ = unit.body
    for norm in (first, second):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight)
    inputs = torch.randn(2, 2, 33).double()
    hidden = inputs
    for norm, layer in ((first, conv), (second, last)):
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()
        hidden = (hidden - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None]
        hidden = functional.conv1d(functional.pad(hidden.relu(), (7, 7)), layer.weight, layer.bias)
    pooled = inputs[..., :32].unflatten(2, (16, 2)).amax(3)
    shortcut = torch.einsum("oi,bit->bot", unit.shortcut[1].weight[..., 0], pooled) + unit.shortcut[1].bias[:, None]
    torch.testing.assert_close(unit(inputs), hidden[..., :32].unflatten(2, (16, 2)).amax(3) + shortcut)


def test_the_first_unit_comes_activated_and_the_last_norm_is_not():
    model = build_network("ecgnet")
    assert isinstance(model.units[0].body[0], nn.Conv1d)
    assert all(isinstance(unit.body[0], nn.BatchNorm1d) for unit in model.units[1:])
    found = []
    narrow = network("ecgnet")
    narrow.norm.register_forward_hook(lambda _, __, output: found.append(output))
    narrow(signals())
    assert (found[0] < 0).any(), "no ReLU after it"


def test_a_step_of_the_lstm_is_72_neighbouring_points_of_every_channel():
    model, inputs, found = network("ecg-lstm", channels=2), signals(4).reshape(2, 2, 720), []
    model.recurrent.lstm.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    model(inputs)
    (steps,) = found
    assert steps.shape == (2, 10, 144)
    assert torch.equal(steps[1, 3, :72], inputs[1, 0, 216:288])
    assert torch.equal(steps[1, 3, 72:], inputs[1, 1, 216:288])
    output = model.recurrent.lstm(steps)[0]
    assert torch.equal(model(inputs), model.head(output[:, 9]))


@pytest.mark.parametrize("name", ["ecgnet", "ecg-lstm"])
def test_the_legacy_perceptron_is_one_linear_map(name):
    for legacy in (True, False):
        head = network(name, legacy_linear_fc=legacy).head
        left, right = torch.randn(2, 5, head[0].in_features, dtype=torch.float64).unbind()
        bent = (head(left) + head(right) - 2 * head((left + right) / 2)).abs().max()
        assert bool(bent < 1e-12) is legacy


@pytest.mark.parametrize(("alignment", "columns"), [("exact", 48), ("legacy", 45)])
def test_the_cam_network_has_the_papers_columns(alignment, columns):
    model = build_network("ecg-cam", alignment=alignment).eval()
    features = model.features(torch.zeros(2, 1, 720))
    assert features.shape == (2, 128, columns)
    assert model.columns_to_points(torch.zeros(2, columns)).shape == (2, 720)
    torch.testing.assert_close(model(torch.zeros(2, 1, 720)), model.classifier(features.mean(2)))


@pytest.mark.parametrize("alignment", ["exact", "legacy"])
def test_columns_stand_over_the_points_that_they_see(alignment):
    """A lone bump moves the map most at the column over it: the brightest point is the bump's."""
    model = network("ecg-cam", depth=4, alignment=alignment)
    for place in (100, 360, 507):
        inputs = torch.zeros(1, 1, 720, dtype=torch.float64)
        inputs[..., place] = 1.0
        moved = (model.features(inputs) - model.features(torch.zeros_like(inputs))).detach().square().sum(1)
        heat = model.columns_to_points(moved)[0]
        middle = float((heat * torch.arange(720)).sum() / heat.sum())
        assert abs(middle - place) < 16


def test_interpolation_to_points_is_linear_between_the_middles_of_columns():
    model = build_network("ecg-cam")
    points = model.columns_to_points(torch.arange(48.0)[None])[0]
    expected = ((torch.arange(720) + 24 - 7.5) / 16).clamp(0, 47)
    torch.testing.assert_close(points, expected)


def test_hannun_pads_evenly_to_768_points_and_averages_3_steps():
    model, sizes = build_network("hannun").eval(), []
    model.stem.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0]))
    model.end.register_forward_hook(lambda _, __, output: sizes.append(output))
    found = model(torch.ones(1, 1, 720))
    padded, steps = sizes
    assert padded.shape[2] == 768
    assert padded.nonzero()[[0, -1], 2].tolist() == [24, 743]
    assert steps.shape == (1, 256, 3)
    torch.testing.assert_close(found, model.head(steps.transpose(1, 2)).mean(1))


def test_hannun_widens_every_four_blocks_and_halves_every_second():
    hidden = torch.zeros(1, 32, 768)
    shapes = []
    for block in build_network("hannun").eval().blocks:
        hidden = block(hidden)
        shapes.append(tuple(hidden.shape[1:]))
    assert shapes == [(32 * 2 ** (k // 4), 768 // 2 ** ((k + 1) // 2)) for k in range(16)]
    block = build_network("hannun", width=2).eval().blocks[4]
    inputs = torch.randn(1, 2, 8)
    shortcut = block(inputs) - block.body(inputs)
    torch.testing.assert_close(shortcut[:, :2], inputs)
    torch.testing.assert_close(shortcut[:, 2:], torch.zeros(1, 2, 8), atol=1e-6, rtol=0)


def test_the_spectrogram_is_scipys():
    inputs = signals(2)
    _, _, power = spectrogram(inputs[:, 0].numpy(), fs=1.0, nperseg=64, noverlap=32)
    found = LogSpectrogram()(inputs)
    assert found.shape == (2, 1, 21, 33)
    np.testing.assert_allclose(found[:, 0].numpy(), np.log(power + FLOOR).swapaxes(1, 2), atol=1e-12)
    single = LogSpectrogram()(inputs.float())
    assert single.dtype == torch.float32
    assert (single - found).abs().max() < 1e-3


def test_the_spectrogram_of_silence_is_finite_and_so_is_its_gradient():
    inputs = torch.full((1, 1, 128), 0.7, requires_grad=True)
    LogSpectrogram()(inputs).sum().backward()
    assert inputs.grad.isfinite().all()
    torch.testing.assert_close(LogSpectrogram()(inputs), torch.full((1, 1, 3, 33), FLOOR).log(), atol=0.01, rtol=0)


def test_the_spectrogram_has_the_gradient_of_finite_differences():
    assert torch.autograd.gradcheck(LogSpectrogram(), signals(1, 96).requires_grad_(), atol=1e-4)


def test_the_crnn_reads_two_steps_of_480_features():
    model, seen = build_network("crnn").eval(), []
    model.lstm.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape))
    model(torch.zeros(2, 1, 720))
    assert seen == [(2, 2, 480)]


@pytest.mark.parametrize("name", NARROW)
def test_torch_fx_traces_it(name):
    model, inputs = network(name), signals()
    assert torch.equal(torch.fx.symbolic_trace(model)(inputs), model(inputs))


@pytest.mark.parametrize("name", ["ecg-cam", "hannun"])
def test_lrp_walks_the_convolutional_ones(name):
    model, inputs = network(name), signals(2)
    found = explainer("lrp_zplus").attribute(model, inputs, torch.tensor([1, 2]), seeds=torch.arange(2))
    assert found.shape == inputs.shape
    assert found.isfinite().all()
    assert found.any(dim=2).all()


@pytest.mark.parametrize("name", NARROW)
def test_in_evaluation_a_sample_depends_on_no_other_and_nothing_is_random(name):
    model, inputs = network(name, dropout=0.4), signals(5)
    together = model(inputs)
    assert together.shape == (5, 8)
    assert torch.equal(model(inputs), together)
    torch.testing.assert_close(model(inputs.flip(0)).flip(0), together, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat([model(row[None]) for row in inputs]), together, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NARROW)
def test_the_recipes_dropout_acts_in_training_and_gradients_reach_every_parameter(name):
    model, inputs = network(name, dropout=0.4).train(), signals(6)
    assert not torch.equal(model(inputs), model(inputs))
    model(inputs).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert sum(bool(parameter.grad.any()) for parameter in model.parameters()) >= 0.9 * len(list(model.parameters()))


@pytest.mark.parametrize(
    ("name", "points"),
    [("ecgnet", 648), ("hannun", 1), ("hannun", 900), ("crnn", 64), ("crnn", 1000), ("ecg-cam", 400), ("ecg-lstm", 72)],
)
def test_other_lengths_that_fit_are_taken(name, points):
    arguments = {"window": 720} if name == "ecgnet" else {}
    model = network(name, **{**arguments, **({"depth": 16} if name == "ecgnet" else {})})
    assert model(signals(2, points)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "points", "message"),
    [
        ("ecgnet", 700, "inputs have 700 points; expected a multiple of 72 from 720 to 727"),
        ("ecgnet", 792, "inputs have 792 points; expected a multiple of 72 from 720 to 727"),
        ("hannun", 0, "inputs have 0 points; expected 1 or more"),
        ("crnn", 63, "inputs have 63 points; expected 64 or more"),
        ("ecg-cam", 721, "inputs have 721 points; expected a multiple of 4 less the 48 that are padded"),
        ("ecg-lstm", 719, "inputs have 719 points; expected a multiple of 72"),
        ("ecg-lstm", 0, "inputs have 0 points; expected a multiple of 72"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(name, points, message):
    with pytest.raises(ValueError, match=message):
        network(name)(signals(1, points))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ecgnet", {"width": 6}, "width is 6; expected a multiple of 4"),
        ("ecgnet", {"width": 0}, "width is 0; expected a multiple of 4"),
        ("ecgnet", {"depth": 0}, "depth is 0; expected 1 or more"),
        ("ecgnet", {"window": 700}, "window is 700; expected a multiple of 72 of at least 256 points for depth 16"),
        ("ecgnet", {"window": 144}, "window is 144; expected a multiple of 72 of at least 256 points"),
        ("hannun", {"width": 0}, "width is 0"),
        ("hannun", {"dropout": 1.0}, "dropout is 1.0; expected 0 to below 1"),
        ("crnn", {"blocks": 0}, "blocks is 0"),
        ("ecg-cam", {"alignment": "centre"}, "alignment is 'centre'; expected one of"),
        ("ecg-cam", {"dropout": -0.1}, "dropout is -0.1"),
        ("ecg-lstm", {"layers": 0}, "layers is 0"),
    ],
)
def test_wrong_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_network(name, **arguments)
