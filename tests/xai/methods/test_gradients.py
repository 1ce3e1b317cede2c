"""Gradient explainers against finite differences and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods import Gradient, GradientXInput, IntegratedGradients, SmoothGrad, gradients
from xai.methods.gradients import differentiable
from xai.scores import LOGIT, PROBABILITY

EVERY = [Gradient(), Gradient(absolute=True), GradientXInput(), IntegratedGradients(), SmoothGrad(draws=6)]


@pytest.fixture
def model() -> LSTMClassifier:
    torch.manual_seed(1)
    return LSTMClassifier(2, 3, (5, 4)).double().eval()


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(4, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


TARGETS = torch.tensor([0, 2, 1, 2])
SEEDS = torch.tensor([11, 12, 13, 14])


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_gradient_equals_central_differences(model, inputs, score):
    step, expected = 1e-6, torch.zeros_like(inputs)
    for place in range(inputs[0].numel()):
        moved = torch.zeros_like(inputs)
        moved.flatten(1)[:, place] = step
        rise = score(model(inputs + moved), TARGETS) - score(model(inputs - moved), TARGETS)
        expected.flatten(1)[:, place] = rise.detach() / (2 * step)
    found = Gradient().attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
    absolute = Gradient(absolute=True).attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    torch.testing.assert_close(absolute, expected.abs(), rtol=0, atol=1e-8)
    product = GradientXInput().attribute(model, inputs, TARGETS, score=score, seeds=SEEDS)
    torch.testing.assert_close(product, expected * inputs, rtol=0, atol=1e-7)


def test_integrated_gradients_are_complete(model, inputs):
    found = IntegratedGradients().attribute(model, inputs, TARGETS, seeds=SEEDS)
    rise = LOGIT(model(inputs), TARGETS) - LOGIT(model(torch.zeros_like(inputs)), TARGETS)
    torch.testing.assert_close(found.flatten(1).sum(1), rise.detach(), rtol=0, atol=1e-9)


def test_smoothgrad_is_the_mean_gradient_of_noise_in_units_of_each_sample(model, inputs):
    inputs = inputs * torch.tensor([1.0, 5.0, 0.2, 2.0], dtype=torch.float64).view(-1, 1, 1)
    how = SmoothGrad(draws=4, noise=0.3)
    expected = []
    for x, target, seed in zip(inputs, TARGETS, SEEDS, strict=True):
        grads = []
        for draw in range(4):
            noise = gradients.normal(seed[None], f"smoothgrad/{draw}", x.shape)[0].double()
            noisy = (x + 0.3 * x.std(unbiased=False) * noise)[None].requires_grad_()
            model(noisy)[0, target].backward()
            grads.append(noisy.grad[0])
        expected.append(torch.stack(grads).mean(0))
    found = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


def test_smoothgrad_of_a_linear_model_is_its_gradient():
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 3))
    inputs = torch.randn(4, 1, 10)
    found = SmoothGrad().attribute(model, inputs, TARGETS, seeds=SEEDS)
    torch.testing.assert_close(found, model[1].weight[TARGETS].view(4, 1, 10).detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", EVERY, ids=lambda how: how.name)
def test_batch_mates_order_and_chunks_change_nothing(how, model, inputs, monkeypatch):
    together = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = how.attribute(model, inputs[order], TARGETS[order], seeds=SEEDS[order])
    torch.testing.assert_close(shuffled, together[order], rtol=0, atol=1e-13)
    monkeypatch.setattr(gradients, "ROWS_AT_ONCE", 3)
    for k in range(len(inputs)):
        one = slice(k, k + 1)
        alone = how.attribute(model, inputs[one], TARGETS[one], seeds=SEEDS[one])
        torch.testing.assert_close(alone, together[one], rtol=0, atol=1e-13)


@pytest.mark.parametrize("how", EVERY, ids=lambda how: how.name)
def test_nothing_of_the_callers_is_touched(how, model, inputs):
    before, state = inputs.clone(), torch.get_rng_state()
    modes = [(module.training, getattr(module, "dropout", None)) for module in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    found = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    assert found.shape == inputs.shape
    assert not found.requires_grad
    assert torch.equal(inputs, before)
    assert not inputs.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert modes == [(module.training, getattr(module, "dropout", None)) for module in model.modules()]
    assert hooks == [
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()
    ]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("how", EVERY, ids=lambda how: how.name)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_work_where_the_caller_keeps_none(how, context, model, inputs):
    expected = how.attribute(model, inputs, TARGETS, seeds=SEEDS)
    with context():
        found = how.attribute(model, inputs.clone(), TARGETS.clone(), seeds=SEEDS.clone())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_only_rnns_are_trained_and_their_dropout_is_off():
    rnn = nn.LSTM(1, 2, num_layers=2, dropout=0.7)
    model = nn.Sequential(rnn, nn.Dropout(0.5), nn.BatchNorm1d(2)).eval()

    def fail_inside() -> None:
        with differentiable(model):
            assert [module.training for module in model] == [True, False, False]
            assert rnn.dropout == 0.0
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail_inside()
    assert not any(module.training for module in model.modules())
    assert rnn.dropout == 0.7


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: IntegratedGradients(0), "steps is 0"),
        (lambda: SmoothGrad(draws=0), "draws is 0"),
        (lambda: SmoothGrad(noise=-1), "noise is -1"),
    ],
)
def test_wrong_parameters_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
