"""CAM against its sum written out in float64, and against Grad-CAM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from activations import Mean, padded_network
from torch import Tensor, nn
from torch.nn import functional

from xai.methods import CAM, GradCAM, explainer
from xai.scores import LOGIT, PROBABILITY

POINTS, COLUMN, PADDING = 36, 8, 2
TARGETS = torch.tensor([0, 2, 1, 2])
SEEDS = torch.arange(4)


def _signals(channels: int = 1) -> Tensor:
    return torch.randn(4, channels, POINTS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def _at_points(columns: np.ndarray) -> np.ndarray:
    """Linear between the centres of columns, each of 8 points of the padded signal, constant beyond them."""
    centres = np.arange(len(columns)) * COLUMN + (COLUMN - 1) / 2
    return np.interp(np.arange(POINTS) + PADDING, centres, columns)


@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_the_sum_of_features_by_the_weights_of_the_class(channels):
    model, inputs = padded_network(channels=channels), _signals(channels)
    found = CAM().attribute(model, inputs, TARGETS, seeds=SEEDS)
    assert found.shape == inputs.shape
    features, weights = model.features(inputs).detach().numpy(), model.classifier.weight.detach().numpy()
    for sample, target in enumerate(TARGETS.tolist()):
        columns = np.zeros(features.shape[2])
        for feature in range(features.shape[1]):
            for column in range(features.shape[2]):
                columns[column] += weights[target, feature] * features[sample, feature, column]
        for channel in range(channels):
            np.testing.assert_allclose(found[sample, channel].numpy(), _at_points(columns), rtol=0, atol=1e-12)


def test_the_mean_of_its_columns_is_the_logit_less_the_bias():
    model, inputs = padded_network(), _signals()
    model.columns_to_points = lambda columns: columns.repeat_interleave(COLUMN, dim=1)[:, :POINTS]
    columns = CAM().attribute(model, inputs[:, :, :POINTS], TARGETS, seeds=SEEDS)[:, 0, ::COLUMN]
    expected = (model(inputs) - model.classifier.bias)[torch.arange(4), TARGETS]
    torch.testing.assert_close(columns.mean(dim=1), expected.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_gradcam_before_its_relu_is_cam_over_the_number_of_columns(score):
    model, inputs = padded_network(), _signals()
    cam = CAM().attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    signed = GradCAM("units", signed=True).attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    columns = model.features(inputs).shape[2]
    assert (cam < 0).any()
    torch.testing.assert_close(signed * columns, cam, rtol=0, atol=1e-12)


def test_gradcam_keeps_what_is_positive_before_it_is_brought_to_the_points():
    model, inputs = padded_network(), _signals()
    found = GradCAM("units").attribute(model, inputs, TARGETS, seeds=SEEDS)
    features, weights = model.features(inputs).detach(), model.classifier.weight.detach()[TARGETS]
    columns = (features * weights.unsqueeze(2)).sum(1).relu() / features.shape[2]
    for sample in range(4):
        np.testing.assert_allclose(found[sample, 0].numpy(), _at_points(columns[sample].numpy()), rtol=0, atol=1e-12)


def test_gradcam_of_an_earlier_layer_divides_the_signal_evenly():
    model, inputs = padded_network(), _signals()
    found = GradCAM("units.0", signed=True).attribute(model, inputs, TARGETS, seeds=SEEDS)
    padded = functional.pad(inputs, (PADDING, PADDING))
    features = model.units[0](padded).detach().requires_grad_()
    logits = model.classifier(model.units[2](model.units[1](features)).mean(2))
    (slopes,) = torch.autograd.grad(logits[torch.arange(4), TARGETS].sum(), features)
    columns = (slopes.mean(2, keepdim=True) * features).sum(1).detach().numpy()
    centres = (np.arange(20) + 0.5) * POINTS / 20 - 0.5
    for sample in range(4):
        expected = np.interp(np.arange(POINTS), centres, columns[sample])
        np.testing.assert_allclose(found[sample, 0].numpy(), expected, rtol=0, atol=1e-12)


def test_a_sample_does_not_see_its_batch_nor_its_place():
    model, inputs = padded_network(), _signals()
    whole = CAM().attribute(model, inputs, TARGETS, seeds=SEEDS)
    some = CAM().attribute(model, inputs[[3, 1]], TARGETS[[3, 1]], seeds=SEEDS[[3, 1]])
    torch.testing.assert_close(some, whole[[3, 1]], rtol=0, atol=1e-13)


def test_a_network_of_constant_features_has_a_flat_map():
    model = padded_network()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv1d):
                layer.weight.zero_()
    found = CAM().attribute(model, _signals(), TARGETS, seeds=SEEDS)
    torch.testing.assert_close(found, found[:, :, :1].expand_as(found))


def test_of_a_mean_of_members_it_is_the_mean_of_their_maps():
    first, second, inputs = padded_network(0), padded_network(1), _signals()
    found = CAM().attribute(Mean(first, second), inputs, TARGETS, seeds=SEEDS)
    each = [CAM().attribute(member, inputs, TARGETS, seeds=SEEDS) for member in (first, second)]
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)


def test_it_runs_where_gradients_are_off_and_leaves_none():
    model = padded_network()
    with torch.inference_mode():
        found = CAM().attribute(model, _signals(), TARGETS, seeds=SEEDS)
    assert not found.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_network_is_refused_with_what_is_expected():
    model = nn.Sequential(nn.Flatten(), nn.Linear(POINTS, 3)).double()
    with pytest.raises(ValueError, match=r"cam cannot explain a Sequential; expected a network that ends in the mean"):
        CAM().attribute(model, _signals(), TARGETS, seeds=SEEDS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cam", CAM()),
        ("gradcam_units_signed", GradCAM("units", signed=True)),
        ("gradcam_units.0.2_signed", GradCAM("units.0.2", signed=True)),
        ("gradcam_signed", GradCAM("signed")),
    ],
)
def test_names_come_back(name, expected):
    assert explainer(name) == expected
    assert expected.name == name


def test_a_layer_that_its_name_would_call_signed_is_refused():
    with pytest.raises(ValueError, match=r"layer is 'x_signed'; expected a name that does not end in '_signed'"):
        GradCAM("x_signed")
    with pytest.raises(ValueError, match="unknown"):
        explainer("gradcam_x_signed_signed")
