"""LRP through single layers against the matrix of all their contributions, with the account of bias and epsilon."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai.methods.lrp import (
    AlphaBeta,
    AnyRule,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    patches,
    relevance_runs,
    relevances,
)

Array = np.ndarray
RULES = [Epsilon(0.05), Epsilon(100), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25), ZBox(-3, 3), WSquare(), Flat()]
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 4), (5,)),
    "linear without a bias": (lambda: nn.Linear(5, 4, bias=False), (5,)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 8)),
    "conv1d, same": (lambda: nn.Conv1d(2, 3, 3, padding="same", dilation=2), (2, 8)),
    "conv1d, valid": (lambda: nn.Conv1d(2, 3, 3, padding="valid"), (2, 8)),
    "conv1d, rest of the stride unseen": (lambda: nn.Conv1d(2, 3, 2, stride=3), (2, 9)),
    "conv2d in groups": (lambda: nn.Conv2d(2, 4, (1, 2), groups=2, dilation=(1, 2)), (2, 3, 5)),
    "conv3d": (lambda: nn.Conv3d(2, 2, 2, padding=(1, 0, 1), stride=(1, 1, 2)), (2, 2, 3, 3)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 4)),
    "transposed 2d in groups": (lambda: nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2), (2, 2, 2)),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 2, 2, stride=2, bias=False), (2, 2, 1, 2)),
}


def away(values: Array, by: float) -> Array:
    return values + np.where(values >= 0, by, -by)


def shares(rule: AnyRule, matrix: Array, inputs: Array, bias: Array) -> tuple[Array, Array]:
    """The part of each output's relevance that each input receives ``(output, input)``, and the bias ``(output,)``."""
    products = np.column_stack([matrix * inputs, bias])
    positive, negative = products.clip(min=0), products.clip(max=0)
    if isinstance(rule, Epsilon):
        found = products / away(products.sum(1), rule.epsilon)[:, None]
    elif isinstance(rule, AlphaBeta):
        up, down = away(positive.sum(1), 1e-6), away(negative.sum(1), 1e-6)
        found = rule.alpha * positive / up[:, None] - rule.beta * negative / down[:, None]
    elif isinstance(rule, Gamma):
        favoured = np.where(products.sum(1, keepdims=True) >= 0, positive, negative)
        raised = products + rule.gamma * favoured
        found = raised / away(raised.sum(1), 1e-6)[:, None]
    else:
        if isinstance(rule, ZBox):
            weights = matrix * inputs - rule.low * matrix.clip(min=0) - rule.high * matrix.clip(max=0)
        else:
            weights = matrix**2 if isinstance(rule, WSquare) else (matrix != 0).astype(float)
        found = np.column_stack([weights, np.zeros(len(weights))]) / away(weights.sum(1), 1e-6)[:, None]
    return found[:, :-1], found[:, -1]


def as_matrix(layer: nn.Module, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A layer as ``(output, input)`` and its bias ``(output,)``, from its Jacobian."""
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    bias = layer(zero).detach().flatten()
    jacobian = torch.autograd.functional.jacobian(layer, zero)
    assert isinstance(jacobian, Tensor)
    return jacobian.reshape(len(bias), -1).numpy(), bias.numpy()


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    """A score by which outputs hold relevance of both signs, whatever their own."""
    weights = torch.linspace(-1, 1, outputs[0].numel(), dtype=outputs.dtype).view(outputs.shape[1:])
    return (outputs * weights).flatten(1).sum(1)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_shares_as_the_matrix_of_its_contributions(kind, rule, sparse, monkeypatch):
    monkeypatch.setattr(patches, "SPARSE", 1.0 if sparse else 0.0)
    build, shape = LAYERS[kind]
    torch.manual_seed(4)
    layer, inputs = build().double(), torch.randn(3, *shape, dtype=torch.float64)
    matrix, bias = as_matrix(layer, shape)
    (run,) = relevance_runs(nn.Sequential(layer), inputs, torch.zeros(3), [rule], score=weighted)
    rows = run.account[run.account.layer == "0"].reset_index()
    for sample in range(3):
        outputs = layer(inputs[sample : sample + 1]).detach().numpy().ravel()
        relevance = np.linspace(-1, 1, len(outputs)) * outputs
        to_inputs, to_bias = shares(rule, matrix, inputs[sample].numpy().ravel(), bias)
        np.testing.assert_allclose(run.relevance[sample].ravel(), relevance @ to_inputs, rtol=1e-9, atol=1e-12)
        assert rows.bias[sample] == pytest.approx(relevance @ to_bias, rel=1e-9, abs=1e-12)
        absorbed = relevance @ (1 - to_inputs.sum(1) - to_bias)
        assert rows.epsilon[sample] == pytest.approx(absorbed, rel=1e-9, abs=1e-12)
        assert rows.relevance_out[sample] == pytest.approx(run.relevance[sample].sum().item(), abs=1e-12)


@pytest.mark.parametrize("kind", ["linear", "conv1d", "conv3d", "transposed 1d"])
def test_z_plus_conserves_what_no_bias_takes(kind):
    build, shape = LAYERS[kind]
    torch.manual_seed(5)
    layer, inputs = build().double(), torch.rand(4, *shape, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.abs_()
        layer.bias.zero_()
    scores = weighted(layer(inputs), torch.zeros(4)).detach()
    (found,) = relevances(nn.Sequential(layer), inputs, torch.zeros(4), [AlphaBeta(1, 0)], score=weighted)
    torch.testing.assert_close(found.flatten(1).sum(1), scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_an_output_without_relevance_gives_none(sparse, monkeypatch):
    monkeypatch.setattr(patches, "SPARSE", 1.0 if sparse else 0.0)
    torch.manual_seed(6)
    layer, inputs = nn.Conv1d(2, 3, 3).double(), torch.randn(2, 2, 8, dtype=torch.float64)
    for found in relevances(nn.Sequential(layer), inputs, torch.zeros(2), RULES, score=silent):
        assert not found.any()
        assert found.isfinite().all()


def silent(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0 * outputs.flatten(1).sum(1)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), r"padding_mode is 'circular'; LRP supports 'zeros'\."),
        (nn.Conv1d(2, 3, 2, padding="same"), r"padding is 'same' with an even kernel; LRP supports padding equal "),
        (nn.BatchNorm1d(2, track_running_stats=False), r"track_running_stats is False; LRP expects running "),
    ],
)
def test_settings_that_lrp_does_not_know_are_named(layer, sentence):
    with pytest.raises(ValueError, match=r"^Layer '1' ?:? " + sentence):
        relevances(nn.Sequential(nn.ReLU(), layer), torch.randn(2, 2, 8), torch.zeros(2), [Epsilon()], score=weighted)
