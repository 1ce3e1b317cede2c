"""Class modes against models whose optimum can be written down."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods.class_mode import ClassModeSearch, agreement, nearest

CLASSES, SHAPE = 3, (2, 7)


class Linear(nn.Module):
    """Logits ``weights . x + bias``: under the penalty the best input is ``weights / (2 penalty)``."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.weights = nn.Parameter(torch.randn(CLASSES, *SHAPE, generator=generator))
        self.bias = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.einsum("sct,kct->sk", inputs, self.weights) + self.bias


def lstm() -> LSTMClassifier:
    torch.manual_seed(3)
    return LSTMClassifier(SHAPE[0], CLASSES, (6,)).eval()


def test_the_mode_of_a_linear_model_is_the_one_written_down():
    model = Linear()
    targets = torch.tensor([0, 1, 2, 1])
    found = ClassModeSearch(penalty=0.3, learning_rate=0.02, steps=600).find(
        model, targets, SHAPE, seeds=torch.arange(4)
    )
    best = (model.weights / 0.6).detach()[targets]
    torch.testing.assert_close(found.inputs, best, rtol=0, atol=0.03)
    value = (model.weights**2).flatten(1).sum(1).detach()[targets] / (4 * 0.3) + model.bias.detach()[targets]
    torch.testing.assert_close(found.objective, value, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.norm, best.flatten(1).norm(dim=1), rtol=1e-2, atol=0)
    logits = model(found.inputs).detach()
    torch.testing.assert_close(found.score, logits.gather(1, targets[:, None])[:, 0])
    torch.testing.assert_close(found.confidence, logits.softmax(1).gather(1, targets[:, None])[:, 0])
    assert found.converged.all()


def test_a_search_that_still_rises_has_not_converged():
    found = ClassModeSearch(penalty=0.0, steps=50).find(Linear(), torch.tensor([0]), SHAPE, seeds=torch.tensor([1]))
    assert not found.converged.any()


def test_a_heavier_penalty_gives_a_smaller_mode():
    norms = [
        ClassModeSearch(penalty=penalty, steps=200).find(lstm(), torch.tensor([1]), SHAPE, seeds=torch.tensor([0])).norm
        for penalty in (0.0, 0.003, 0.3)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_a_mode_depends_on_its_class_and_seed_and_not_on_its_batch():
    search = ClassModeSearch(steps=40, learning_rate=1e-3)  # too little to forget the start
    targets, seeds = torch.tensor([0, 1, 2, 1]), torch.tensor([7, 8, 9, 10])
    whole = search.find(lstm(), targets, SHAPE, seeds=seeds)
    alone = search.find(lstm(), targets[3:], SHAPE, seeds=seeds[3:])
    torch.testing.assert_close(alone.inputs, whole.inputs[3:], rtol=0, atol=1e-5)
    assert torch.equal(search.find(lstm(), targets, SHAPE, seeds=seeds).inputs, whole.inputs)
    assert not torch.allclose(whole.inputs[1], whole.inputs[3], atol=1e-3)


def test_the_start_is_small_noise_and_the_search_raises_the_objective():
    short, search = ClassModeSearch(steps=20, learning_rate=1e-9), ClassModeSearch(steps=300)
    targets, seeds = torch.zeros(20, dtype=torch.long), torch.arange(20)
    begun = short.find(lstm(), targets, SHAPE, seeds=seeds)
    assert 0.08 < begun.inputs.std() < 0.12
    assert (search.find(lstm(), targets, SHAPE, seeds=seeds).objective > begun.objective).all()


def test_the_model_is_left_as_it_was():
    model = lstm()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():  # as the services around may be
        found = ClassModeSearch(steps=20).find(model, torch.tensor([0]), SHAPE, seeds=torch.tensor([0]))
    assert not found.inputs.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"penalty": -0.1}, "penalty is -0.1; expected a number of 0 or more"),
        ({"penalty": math.nan}, "penalty is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected a number above 0"),
        ({"steps": 19}, "steps is 19; expected 20 or more"),
        ({"spread": math.inf}, "spread is inf"),
    ],
)
def test_numbers_out_of_range_are_named(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassModeSearch(**given)


def test_seeds_must_match_the_targets():
    with pytest.raises(ValueError, match="seeds has 2 entries; expected one per target, 1"):
        ClassModeSearch(steps=20).find(lstm(), torch.tensor([0]), SHAPE, seeds=torch.arange(2))


def test_nearest_is_the_smallest_root_mean_square_difference():
    torch.manual_seed(0)
    inputs, among = torch.randn(5, 2, 9), torch.randn(11, 2, 9)
    distance, place = nearest(inputs, among)
    for row in range(5):
        each = [float((inputs[row] - other).square().mean().sqrt()) for other in among]
        assert float(distance[row]) == pytest.approx(min(each), abs=1e-6)
        assert int(place[row]) == each.index(min(each))
    assert float(nearest(among[3:4] + 0.5, among[3:4])[0]) == pytest.approx(0.5)
    assert float(nearest(among[3:4], among)[0]) == 0
    with pytest.raises(ValueError, match="among has no samples"):
        nearest(inputs, among[:0])


def test_agreement_is_the_mean_correlation_of_pairs():
    torch.manual_seed(0)
    shape = torch.randn(1, 2, 30)
    assert agreement(torch.cat([shape, 3 * shape + 5])) == pytest.approx(1)
    assert agreement(torch.cat([shape, -shape])) == pytest.approx(-1)
    three = torch.randn(3, 2, 30)
    pairs = torch.corrcoef(three.flatten(1).double())
    expected = float((pairs[0, 1] + pairs[0, 2] + pairs[1, 2]) / 3)
    assert agreement(three) == pytest.approx(expected)
    assert math.isnan(agreement(shape))
    assert math.isnan(agreement(torch.cat([shape, torch.ones_like(shape)])))
