"""LRP by autograd: with frozen gates and ratios, the epsilon rule is gradient times input of a changed network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods.lrp import Epsilon, relevances
from xai.scores import LOGIT, PROBABILITY, ScoreOperator


def absorbed(total: Tensor, epsilon: float) -> Tensor:
    """The same number, through which the gradient passes as through a share by epsilon."""
    stabiliser = epsilon * (2.0 * (total >= 0) - 1).to(total)
    passing = total * (total / (total + stabiliser)).detach()
    return passing + (total - passing).detach()


def unbent(total: Tensor) -> Tensor:
    """tanh, through which relevance passes unchanged."""
    return total * (total.tanh() / total).detach()


def run_layer(layer: nn.LSTM, inputs: Tensor, epsilon: float) -> Tensor:
    """Outputs ``(sample, time, unit)`` with every gate held constant."""
    w_x, w_h, first, second = layer.all_weights[0]
    hidden = cell = inputs.new_zeros(len(inputs), layer.hidden_size)
    outputs = []
    for x in inputs.unbind(1):
        totals = x @ w_x.t() + hidden @ w_h.t() + first + second
        i, f, candidate, o = totals.chunk(4, 1)
        i, f, o = (gate.sigmoid().detach() for gate in (i, f, o))
        cell = absorbed(f * cell + i * unbent(absorbed(candidate, epsilon)), epsilon)
        hidden = o * unbent(cell)
        outputs.append(hidden)
    return torch.stack(outputs, 1)


def gradient_times_input(
    model: LSTMClassifier, inputs: Tensor, targets: Tensor, epsilon: float, score: ScoreOperator
) -> Tensor:
    leaf = inputs.clone().requires_grad_()
    sequence = leaf.transpose(1, 2)
    for layer in model.layers:
        sequence = run_layer(layer, sequence, epsilon)
    logits = absorbed(model.head(sequence).mean(1), epsilon)
    torch.testing.assert_close(logits, model(inputs))  # the changed network still computes the same
    (gradient,) = torch.autograd.grad(score(logits, targets).sum(), leaf)
    return gradient * inputs


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.5])
@pytest.mark.parametrize(("channels", "hidden"), [(1, (7,)), (3, (6, 4, 5))])
def test_epsilon_rule_equals_a_gradient_of_the_changed_network(channels, hidden, epsilon, score):
    torch.manual_seed(2)
    model = LSTMClassifier(channels, 4, hidden).double().eval()
    inputs, targets = torch.randn(5, channels, 20, dtype=torch.float64), torch.arange(5) % 4
    (found,) = relevances(model, inputs, targets, [Epsilon(epsilon)], score=score)
    expected = gradient_times_input(model, inputs, targets, epsilon, score)
    assert (found - expected).norm() < 1e-10 * expected.norm()
