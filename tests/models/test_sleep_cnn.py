"""The sleep network of paper 3, its variant by channel, and occlusion by receptive field."""

from __future__ import annotations

import pytest
import torch
import torch.fx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import build_network, receptive_field
from models.lstm import parameter_count
from models.sleep_cnn import SleepCNN

VARIANTS = {"paper": None, "long kernels": (5, 51, 21)}


def network(variant: str = "paper", width: int = 3) -> SleepCNN:
    torch.manual_seed(4)
    model = SleepCNN(3, 4, width, VARIANTS[variant]).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.3, 0.3)
    return model


def replaced(inputs: Tensor, replacement: Tensor, start: int, stop: int) -> Tensor:
    changed = inputs.clone()
    changed[..., start:stop] = replacement[..., start:stop]
    return changed


@pytest.mark.parametrize(("channels", "count"), [(3, 255_061), (1, 254_901)])
def test_parameters_are_the_papers(channels, count):
    assert parameter_count(SleepCNN(channels, 5)) == count


def test_layers_have_the_papers_shapes():
    hidden, shapes = torch.zeros(1, 3, 3000), []
    for layer in SleepCNN(3, 5).features:
        hidden = layer(hidden)
        if isinstance(layer, nn.Conv1d | nn.MaxPool1d):
            shapes.append(tuple(hidden.shape[1:]))
    first = [(16, 2996), (16, 2992), (16, 1496)]
    then = [(32, 1494), (32, 1492), (32, 746), (32, 744), (32, 742), (32, 371)]
    assert shapes == [*first, *then, (256, 369), (256, 367)]


def test_dropout_is_five_times_before_the_last_layer_and_the_recipe_sets_it():
    model = build_network("sleep-cnn", channels=3, classes=5, dropout=0.02)
    rates = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout | nn.Dropout1d)]
    assert rates == pytest.approx([0.02] * 5 + [0.1])


def test_weights_start_glorot_uniform_and_biases_at_zero():
    torch.manual_seed(0)
    model = SleepCNN(3, 5)
    last = model.features[-2].weight.detach()
    limit = (6 / ((256 + 256) * 3)) ** 0.5
    assert 0.99 * limit < last.abs().max() <= limit
    assert float(last.std()) == pytest.approx(limit / 3**0.5, rel=0.01)
    assert all(not p.any() for name, p in model.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize(("variant", "shortest"), [("paper", 72), ("long kernels", 118)])
def test_the_shortest_window_is_what_one_position_sees(variant, shortest):
    model = network(variant)
    assert model.shortest == shortest
    assert model(torch.randn(2, 3, shortest).double()).shape == (2, 4)
    assert model.features(torch.randn(2, 3, shortest).double()).shape[2] == 1
    short, first = torch.randn(2, 3, shortest - 1).double(), torch.tensor([0])
    message = f"inputs have {shortest - 1} time steps; expected {shortest} or more"
    with pytest.raises(ValueError, match=message):
        model(short)
    with pytest.raises(ValueError, match=message):
        model.interval_logits(short, short, first, first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 0.2}, "dropout is 0.2; expected 0 to below 0.2"),
        ({"width": 0}, "width is 0"),
        ({"kernels": (5, 51)}, r"kernels is \(5, 51\); expected 3 odd numbers"),
        ({"kernels": (5, 51, 4)}, "expected 3 odd numbers"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SleepCNN(3, 5, **arguments)


@pytest.mark.parametrize("variant", VARIANTS)
def test_torch_fx_traces_it(variant):
    model, inputs = network(variant), torch.randn(2, 3, 300).double()
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(inputs), model(inputs))


def test_each_channel_has_filters_of_its_own_over_the_same_time():
    """The oracle: every channel convolved alone at every middle point, written out."""
    model, inputs = network("long kernels"), torch.randn(1, 3, 130).double()
    first = model.features[0]
    found = first(inputs)
    assert found.shape == (1, 9, 80)
    for channel, (convolution, kernel) in enumerate(zip(first.convolutions, (5, 51, 21), strict=True)):
        for step in (0, 37, 79):
            middle = step + 25
            seen = inputs[0, channel, middle - kernel // 2 : middle + kernel // 2 + 1]
            expected = convolution.weight[:, 0] @ seen + convolution.bias
            torch.testing.assert_close(found[0, 3 * channel : 3 * channel + 3, step], expected)


@given(
    variant=st.sampled_from(list(VARIANTS)),
    samples=st.integers(1, 3),
    length=st.integers(118, 330),
    rows=st.sampled_from([1, 5, 64]),
    data=st.data(),
)
@settings(max_examples=30, deadline=None)
def test_interval_logits_equal_a_run_per_interval(variant, samples, length, rows, data):
    ends = st.tuples(st.integers(0, length - 1), st.integers(0, length))  # unsorted, repeated, some empty
    intervals = data.draw(st.lists(ends, min_size=1, max_size=9))
    model = network(variant)
    torch.manual_seed(length)
    inputs, other = torch.randn(2, samples, 3, length, dtype=torch.float64).unbind()
    starts, stops = torch.tensor(intervals).unbind(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receptive_field, "ROWS_AT_ONCE", rows)
        found = model.interval_logits(inputs, other, starts, stops)
    for row, (start, stop) in zip(found, intervals, strict=True):
        expected = model(replaced(inputs, other, start, stop)).detach()
        torch.testing.assert_close(row, expected, rtol=0, atol=1e-12)


def test_interval_logits_of_the_papers_network_are_exact_in_float32():
    torch.manual_seed(1)
    model = SleepCNN(3, 5).eval()
    inputs, starts = torch.randn(1, 3, 3000), torch.tensor([0, 4, 1500, 1501, 2896, 2904])
    found = model.interval_logits(inputs, torch.zeros_like(inputs), starts, starts + 100)
    copies = [replaced(inputs, torch.zeros_like(inputs), start, start + 100) for start in starts.tolist()]
    torch.testing.assert_close(found[:, 0], model(torch.cat(copies)).detach(), rtol=0, atol=1e-5)


def test_interval_logits_run_only_what_the_interval_reaches():
    model, seen = network(), []
    inputs, starts = torch.randn(1, 3, 3000).double(), torch.arange(0, 2900, 100)
    model.features[0].register_forward_hook(lambda _, arguments, __: seen.append(arguments[0].shape[2]))
    model.interval_logits(inputs, torch.zeros_like(inputs), starts, starts + 100)
    assert seen[0] == 3000
    assert max(seen[1:]) <= 100 + 2 * 72 + 8


def test_the_count_covers_every_position_that_an_interval_changes():
    field = SleepCNN(3, 5).field
    for start, stop in [(0, 1), (71, 72), (72, 73), (500, 600), (2999, 3000), (0, 3000), (7, 7)]:
        first, count = field.reached(torch.tensor([start]), torch.tensor([stop]), 367)
        sees = {p for p in range(367) if start < stop and start < p * 8 + 72 and p * 8 < stop}
        assert sees <= set(range(int(first), int(first) + count))
        assert 0 <= int(first) <= 367 - count


def test_batch_mates_and_order_change_nothing():
    model = network()
    inputs, other = torch.randn(2, 5, 3, 200, dtype=torch.float64).unbind()
    starts = torch.tensor([0, 40, 90])
    together = model.interval_logits(inputs, other, starts, starts + 30)
    turned = model.interval_logits(inputs.flip(0), other.flip(0), starts.flip(0), starts.flip(0) + 30)
    torch.testing.assert_close(turned.flip(0, 1), together, rtol=0, atol=1e-13)
    alone = [model.interval_logits(inputs[k : k + 1], other[k : k + 1], starts, starts + 30) for k in range(5)]
    torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=0, atol=1e-13)


def test_interval_logits_are_plain_tensors_without_dropout_and_keep_the_mode():
    model = SleepCNN(1, 2, 2, dropout=0.19).train()
    inputs, first = torch.randn(2, 1, 80), torch.tensor([0])
    found = model.interval_logits(inputs, inputs, first, first)
    assert model.training
    assert not found.is_inference()
    assert not found.requires_grad
    torch.testing.assert_close(found[0], model.eval()(inputs).detach())


@pytest.mark.parametrize("start", [-1, 80])
def test_a_start_outside_the_window_is_named(start):
    inputs, starts = torch.randn(2, 1, 80), torch.tensor([0, start])
    with pytest.raises(ValueError, match=f"starts holds {start}; expected 0 to 79"):
        SleepCNN(1, 2, 2).interval_logits(inputs, inputs, starts, starts)


def test_an_undefined_step_stays_undefined():
    model = network()
    inputs, start = torch.randn(1, 3, 300).double(), torch.tensor([10, 200])
    inputs[0, 1, 12] = torch.nan
    found = model.interval_logits(inputs, torch.zeros_like(inputs), start, start + 20)
    assert not found[0].isnan().any(), "the interval takes the NaN away"
    assert found[1].isnan().all()
