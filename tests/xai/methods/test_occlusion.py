"""Occlusion against a loop that runs every window by itself in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from models.sleep_cnn import SleepCNN
from xai.methods import Occlusion, minmax, occluded
from xai.protocols import Classifier, IntervalClassifier, PrefixClassifier
from xai.scores import LOGIT, PROBABILITY, ScoreOperator


class Volumes(nn.Module):
    """A small convolution over any number of grid axes, which offers no prefix states."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        self.features = convolution(channels, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.features(inputs).tanh().flatten(2).amax(2))


class Opaque(nn.Module):
    """Hides everything but the call: the slow path of the same network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)


def naive(model: Classifier, inputs: Tensor, targets: Tensor, how: Occlusion, score: ScoreOperator = LOGIT) -> Tensor:
    """One window, one sample, one channel group at a time; windows as the text of `Occlusion` says."""
    grid = inputs.shape[2:]
    widths = how.width if isinstance(how.width, tuple) else (how.width,) * len(grid)
    strides = how.stride if isinstance(how.stride, tuple) else (how.stride,) * len(grid)
    spans = []
    for length, width, stride in zip(grid, widths, strides, strict=True):
        start, along = 0, [(0, width)]
        while start + width < length:
            start += stride
            along.append((start, min(start + width, length)))
        spans.append(along)
    used = PROBABILITY if how.direction == "paper" else score
    channels = inputs.shape[1]
    groups = [range(channels)] if how.channels == "joint" else [[c] for c in range(channels)]
    total, cover = torch.zeros_like(inputs), torch.zeros_like(inputs)
    for sample, target in enumerate(targets):
        one = inputs[sample : sample + 1]
        whole = used(model(one), target[None])
        for group, window in itertools.product(groups, itertools.product(*spans)):
            changed = one.clone()
            for channel in group:
                where = (0, channel, *(slice(*span) for span in window))
                changed[where] = fill(one[0, channel], how.value)
            left = used(model(changed), target[None])
            for channel in group:
                where = (sample, channel, *(slice(*span) for span in window))
                total[where] += left if how.direction == "paper" else whole - left
                cover[where] += 1
    return total if how.direction == "paper" else total / cover


def fill(channel: Tensor, value: float | str) -> float:
    values = channel.flatten().tolist()
    if value == "mean":
        return sum(values) / len(values)
    if value == "mode":
        return min(sorted(set(values)), key=lambda candidate: -values.count(candidate))
    return float(value)


def attribute(how: Occlusion, model: Classifier, inputs: Tensor, targets: Tensor, **kwargs: object) -> Tensor:
    return how.attribute(model, inputs, targets, seeds=torch.arange(len(inputs)), **kwargs)


def network(channels: int, hidden: tuple[int, ...]) -> LSTMClassifier:
    torch.manual_seed(3)
    model = LSTMClassifier(channels, 4, hidden).double().eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.weight_hh_l0 *= 3  # long memories and saturated gates: errors must travel to be seen
            layer.bias_hh_l0.uniform_(-0.5, 0.5)
    return model


@given(
    hidden=st.sampled_from([(5,), (4, 3)]),
    channels=st.integers(1, 3),
    length=st.integers(6, 17),
    width=st.integers(1, 6),
    data=st.data(),
    value=st.sampled_from([0.0, 0.5, "mean", "mode"]),
    mode=st.sampled_from(["joint", "single"]),
    direction=st.sampled_from(["corrected", "paper"]),
    score=st.sampled_from([LOGIT, PROBABILITY]),
    rows=st.sampled_from([1, 7, 2048]),
)
@settings(max_examples=40, deadline=None)
def test_prefix_path_equals_the_naive_loop(hidden, channels, length, width, data, value, mode, direction, score, rows):
    stride = data.draw(st.integers(1, width))
    how = Occlusion(width, stride, value, mode, direction)
    model = network(channels, hidden)
    inputs = torch.randn(3, channels, length, dtype=torch.float64).mul(2).round().div(2)
    targets = torch.tensor([0, 3, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(occluded.ROWS_AT_ONCE, "cpu", rows)
        found = attribute(how, model, inputs, targets, score=score)
    expected = naive(model, inputs, targets, how, score)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@given(
    axes=st.integers(1, 3),
    channels=st.integers(1, 2),
    data=st.data(),
    value=st.sampled_from([0.0, -1.5, "mean", "mode"]),
    mode=st.sampled_from(["joint", "single"]),
    direction=st.sampled_from(["corrected", "paper"]),
    rows=st.sampled_from([1, 5, 2048]),
)
@settings(max_examples=30, deadline=None)
def test_generic_path_equals_the_naive_loop_on_any_grid(axes, channels, data, value, mode, direction, rows):
    grid = tuple(data.draw(st.integers(3, 5)) for _ in range(axes))
    width = tuple(data.draw(st.integers(1, length)) for length in grid)
    stride = tuple(data.draw(st.integers(1, wide)) for wide in width)
    torch.manual_seed(axes)
    model = Volumes(channels, axes).double()
    inputs = torch.randn(2, channels, *grid, dtype=torch.float64)
    targets = torch.tensor([2, 0])
    how = Occlusion(width, stride, value, mode, direction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(occluded.ROWS_AT_ONCE, "cpu", rows)
        found = attribute(how, model, inputs, targets)
    torch.testing.assert_close(found, naive(model, inputs, targets, how), rtol=0, atol=1e-12)


def test_one_width_holds_for_every_axis():
    torch.manual_seed(0)
    model, inputs, targets = Volumes(1, 2), torch.randn(2, 1, 6, 7), torch.tensor([0, 1])
    found = attribute(Occlusion(3), model, inputs, targets)
    torch.testing.assert_close(found, attribute(Occlusion((3, 3)), model, inputs, targets))


def test_prefix_path_is_taken_and_equals_the_slow_one():
    model = network(2, (6, 5))
    inputs, targets = torch.randn(5, 2, 30, dtype=torch.float64), torch.arange(5) % 4
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    found = attribute(Occlusion(7), model, inputs, targets)
    assert isinstance(model, PrefixClassifier)
    assert not calls
    slow = attribute(Occlusion(7), Opaque(model), inputs, targets)
    assert calls
    torch.testing.assert_close(found, slow, rtol=0, atol=1e-13)


@pytest.mark.parametrize("mode", ["joint", "single"])
@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_receptive_field_path_is_taken_and_equals_the_naive_loop(mode, score):
    torch.manual_seed(5)
    model = SleepCNN(2, 3, width=2).double().eval()
    inputs, targets = torch.randn(2, 2, 130, dtype=torch.float64), torch.tensor([2, 0])
    whole = []
    model.register_forward_hook(lambda *_: whole.append(1))
    how = Occlusion(20, 9, "mean", mode)
    found = attribute(how, model, inputs, targets, score=score)
    assert isinstance(model, IntervalClassifier)
    assert not isinstance(model, PrefixClassifier)
    assert not whole
    torch.testing.assert_close(found, naive(model, inputs, targets, how, score), rtol=0, atol=1e-12)


@pytest.mark.parametrize("wrap", [lambda model: model, Opaque])
def test_batch_mates_and_order_change_nothing(wrap):
    model = wrap(network(1, (6,)))
    inputs, targets = torch.randn(7, 1, 25, dtype=torch.float64), torch.arange(7) % 4
    how = Occlusion(4, 3, "mean")
    together = attribute(how, model, inputs, targets)
    order = torch.tensor([4, 0, 6, 2, 1, 5, 3])
    torch.testing.assert_close(
        attribute(how, model, inputs[order], targets[order]), together[order], rtol=0, atol=1e-13
    )
    alone = [attribute(how, model, inputs[k : k + 1], targets[k : k + 1]) for k in range(7)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-13)


def test_memory_bound_holds(monkeypatch):
    monkeypatch.setitem(occluded.ROWS_AT_ONCE, "cpu", 10)
    largest = []
    model = Volumes(1, 1)
    model.register_forward_hook(lambda _, args, __: largest.append(len(args[0])))
    attribute(Occlusion(3), model, torch.randn(6, 1, 30), torch.zeros(6, dtype=torch.long))
    assert max(largest) <= 10


def test_a_volume_with_hours_of_windows_is_refused_with_a_way_out():
    volume, target = torch.zeros(1, 1, 19, 48, 48), torch.tensor([0])
    with pytest.raises(ValueError, match=r"occlusion_w10 has 15,210 windows .* expected at most 8,192: .*_s5"):
        attribute(Occlusion(10), Volumes(1, 3), volume, target)
    assert Occlusion(10, 5).windows_on(volume).count <= 8192


def test_loud_evidence_is_high_when_corrected_and_low_on_paper():
    class OnlyStepFive(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.stack([inputs[:, 0, 5], torch.zeros(len(inputs))], dim=1)

    inputs, targets = torch.ones(1, 1, 12), torch.tensor([0])
    corrected = attribute(Occlusion(1), OnlyStepFive(), inputs, targets)
    paper = attribute(Occlusion(1, direction="paper"), OnlyStepFive(), inputs, targets)
    assert corrected.argmax() == 5
    assert paper.argmin() == 5
    assert float(paper[0, 0, 5]) == pytest.approx(0.5)  # logits 0 and 0 once the step is gone


def test_paper_heat_sums_over_the_covering_windows():
    class Even(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.zeros(len(inputs), 2)

    heat = attribute(Occlusion(3, direction="paper"), Even(), torch.ones(1, 1, 6), torch.tensor([0]))
    assert heat.flatten().tolist() == [0.5, 1.0, 1.5, 1.5, 1.0, 0.5]


def test_result_may_be_written_into_and_keeps_the_inputs():
    model, inputs = LSTMClassifier(1, 2, (3,)).eval(), torch.randn(2, 1, 12)
    before = inputs.clone()
    found = attribute(Occlusion(4), model, inputs, torch.tensor([0, 1]))
    found += 1
    assert not found.is_inference()
    assert torch.equal(inputs, before)


def test_mode_is_the_most_frequent_value_and_the_smallest_of_equals():
    seen = []

    class Spy(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            seen.append(inputs)
            return inputs.flatten(1)[:, :2]

    inputs = torch.tensor([[[3.0, 1.0, 3.0, 1.0, 2.0], [7.0, 7.0, -4.0, -4.0, -4.0]]])
    attribute(Occlusion(5, value="mode"), Spy(), inputs, torch.tensor([0]))
    assert torch.cat(seen)[-1, :, 0].tolist() == [1.0, -4.0]


def test_minmax_is_per_sample_and_undefined_for_a_constant():
    maps = torch.tensor([[[0.0, 5.0, 10.0]], [[-1.0, -1.0, 1.0]], [[2.0, 2.0, 2.0]]])
    stretched = minmax(maps)
    assert stretched[0].flatten().tolist() == [0.0, 0.5, 1.0]
    assert stretched[1].flatten().tolist() == [0.0, 0.0, 1.0]
    assert stretched[2].isnan().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 3, "stride": 4}, "stride is 4 for width 3"),
        ({"width": 0}, "stride is 1 for width 0"),
        ({"width": (3, 2), "stride": (1, 1, 1)}, "same number of axes"),
        ({"width": 3, "value": "median"}, "value is 'median'"),
        ({"width": 3, "value": float("nan")}, "value is nan"),
        ({"width": 3, "channels": "each"}, "channels is 'each'"),
        ({"width": 3, "direction": "up"}, "direction is 'up'"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        Occlusion(**parameters)


def test_a_window_must_fit_the_grid():
    inputs, targets = torch.randn(1, 1, 5), torch.tensor([0])
    with pytest.raises(ValueError, match="width is 6; expected at most the grid"):
        attribute(Occlusion(6), Volumes(1, 1), inputs, targets)
    with pytest.raises(ValueError, match="do not match the grid"):
        attribute(Occlusion((2, 2)), Volumes(1, 1), inputs, targets)
