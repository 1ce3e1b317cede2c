"""Networks run on what an interval changes only: equal to a run per copy, with less work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models import build_network, changed_layers
from models.changed_layers import changed
from models.pieces import all_positions, mean_over_time

NARROW = {
    "ecgnet": {"width": 4, "depth": 7, "units": 3},
    "ecg-cam": {"width": 3, "depth": 3},
    "hannun": {"width": 2, "depth": 7},
    "ecg-lstm": {"units": 3},
}


def network(name: str, **arguments: object) -> nn.Module:
    """A small one in float64 whose batch norms have seen data."""
    torch.manual_seed(6)
    model = build_network(name, **{"channels": 2, "classes": 4, **NARROW[name], **arguments}).double()
    model.train()
    for _ in range(3):
        model(torch.randn(8, 2, 720, dtype=torch.float64))
    return model.eval()


NETWORKS = {name: network(name) for name in NARROW}


def replaced(inputs: Tensor, replacement: Tensor, start: int, stop: int) -> Tensor:
    copy = inputs.clone()
    copy[..., start:stop] = replacement[..., start:stop]
    return copy


def one_by_one(model: nn.Module, inputs: Tensor, other: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
    """The oracle: every copy made and run whole."""
    pairs = zip(starts.tolist(), stops.tolist(), strict=True)
    with torch.no_grad():
        return torch.stack([model(replaced(inputs, other, *pair)) for pair in pairs])


@given(
    name=st.sampled_from(list(NARROW)),
    samples=st.integers(1, 3),
    rows=st.sampled_from([1, 5, 64]),
    longest=st.sampled_from([1, 24, 720]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_interval_logits_equal_a_run_per_interval(name, samples, rows, longest, data):
    start = st.integers(0, 719)  # unsorted, repeated
    firsts = data.draw(st.lists(start, min_size=1, max_size=9))
    starts = torch.tensor(firsts)
    stops = torch.tensor([min(720, first + data.draw(st.integers(0, longest))) for first in firsts])  # some are empty
    torch.manual_seed(len(firsts))
    inputs, other = torch.randn(2, samples, 2, 720, dtype=torch.float64).unbind()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changed_layers, "ROWS_AT_ONCE", rows)
        found = NETWORKS[name].interval_logits(inputs, other, starts, stops)
    expected = one_by_one(NETWORKS[name], inputs, other, starts, stops)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "points", "arguments"),
    [
        ("ecgnet", 648, {"depth": 16}),
        ("ecg-cam", 720, {"alignment": "legacy"}),
        ("ecg-cam", 304, {}),
        ("hannun", 333, {}),
        ("ecg-lstm", 72, {}),
    ],
)
def test_other_lengths_and_alignments_are_as_exact(name, points, arguments):
    model = network(name, **arguments)
    inputs, other = torch.randn(2, 2, 2, points, dtype=torch.float64).unbind()
    starts = torch.tensor([0, 7, points // 2, points - 24, points - 1])
    found = model.interval_logits(inputs, other, starts, starts + 24)
    expected = one_by_one(model, inputs, other, starts, starts + 24)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ecgnet", "ecg-cam", "ecg-lstm"])
def test_the_papers_networks_are_exact_in_float32(name):
    torch.manual_seed(1)
    model = build_network(name).eval()
    inputs, starts = torch.randn(1, 1, 720), torch.tensor([0, 11, 348, 349, 690])
    nothing = torch.zeros_like(inputs)
    found = model.interval_logits(inputs, nothing, starts, starts + 24)
    torch.testing.assert_close(found, one_by_one(model, inputs, nothing, starts, starts + 24), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "least"), [("ecg-cam", 4.9), ("ecgnet", 1.6), ("hannun", 1.4)])
def test_so_many_multiplications_fewer_are_made(name, least):
    """Against a run per copy, windows of 24 points; the one run of the original is counted apart."""
    model, inputs = build_network(name).eval(), torch.randn(1, 1, 720)
    starts = torch.arange(3, 697, 60)
    counted = []
    runs = (
        lambda: model(inputs),
        lambda: model.interval_logits(inputs, torch.zeros_like(inputs), starts, starts + 24),
    )
    for run in runs:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()
        counted.append(counter.get_total_flops())
    whole, all_together = counted
    assert len(starts) * whole / (all_together - whole) > least


LAYERS = {
    "stride above the kernel": [nn.Conv1d(2, 3, 1, stride=3), nn.MaxPool1d(2, stride=3)],
    "strided convolutions": [nn.Conv1d(2, 3, 4, stride=3, padding=5), nn.ReLU(), nn.Conv1d(3, 2, 5, bias=False)],
    "overlapping pools": [nn.MaxPool1d(3, stride=2), nn.Conv1d(2, 3, 3), nn.MaxPool1d(5, stride=1)],
    "paddings": [nn.ZeroPad1d((3, 0)), nn.ZeroPad1d((0, 2)), nn.Conv1d(2, 2, 4), nn.ZeroPad2d((0, 0, 1, 2))],
    "norms and activations": [nn.BatchNorm1d(2), nn.ReLU(), nn.ReLU(), nn.Conv1d(2, 2, 3), nn.BatchNorm1d(2)],
}


@given(name=st.sampled_from(list(LAYERS)), length=st.integers(20, 60), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_such_layers_in_a_row_are_exact(name, length, data):
    torch.manual_seed(length)
    layers = nn.Sequential(*LAYERS[name]).double().eval()
    for norm in (layer for layer in layers if isinstance(layer, nn.BatchNorm1d)):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    intervals = data.draw(st.lists(st.tuples(st.integers(0, length - 1), st.integers(0, length)), min_size=1))
    starts, stops = torch.tensor(intervals).unbind(1)
    inputs, other = torch.randn(2, 2, 2, length, dtype=torch.float64).unbind()
    expected = one_by_one(layers, inputs, other, starts, stops)
    found = changed([layers], inputs, other, starts, stops, read=all_positions)
    torch.testing.assert_close(found, expected.flatten(2), rtol=0, atol=1e-12)
    found = changed([layers], inputs, other, starts, stops, read=mean_over_time)
    torch.testing.assert_close(found, expected.mean(3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NARROW)
def test_batch_mates_and_order_change_nothing(name):
    model = NETWORKS[name]
    inputs, other = torch.randn(2, 3, 2, 720, dtype=torch.float64).unbind()
    starts = torch.tensor([0, 41, 690])
    together = model.interval_logits(inputs, other, starts, starts + 30)
    turned = model.interval_logits(inputs.flip(0), other.flip(0), starts.flip(0), starts.flip(0) + 30)
    torch.testing.assert_close(turned.flip(0, 1), together, rtol=0, atol=1e-13)
    alone = [model.interval_logits(inputs[k : k + 1], other[k : k + 1], starts, starts + 30) for k in range(3)]
    torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NARROW)
def test_interval_logits_are_plain_tensors_without_dropout_and_leave_the_network_alone(name):
    model = network(name, dropout=0.4).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inputs, first = torch.randn(2, 2, 720, dtype=torch.float64), torch.tensor([0])
    found = model.interval_logits(inputs, inputs, first, first)
    assert model.training
    assert not found.is_inference()
    assert not found.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    torch.testing.assert_close(found[0], model.eval()(inputs).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NARROW)
def test_an_undefined_step_stays_undefined(name):
    inputs, start = torch.randn(1, 2, 720, dtype=torch.float64), torch.tensor([10, 200])
    inputs[0, 1, 12] = torch.nan
    found = NETWORKS[name].interval_logits(inputs, torch.zeros_like(inputs), start, start + 20)
    assert not found[0].isnan().any(), "the interval takes the NaN away"
    assert found[1].isnan().all()


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("start", [-1, 720])
def test_a_start_outside_the_window_is_named(name, start):
    inputs, starts = torch.randn(1, 2, 720).double(), torch.tensor([0, start])
    with pytest.raises(ValueError, match=f"starts holds {start}; expected 0 to 719"):
        NETWORKS[name].interval_logits(inputs, inputs, starts, starts)


@pytest.mark.parametrize("name", ["ecgnet", "ecg-cam", "ecg-lstm"])
def test_a_length_that_does_not_fit_is_refused_here_too(name):
    inputs, starts = torch.randn(1, 2, 719).double(), torch.tensor([0])
    with pytest.raises(ValueError, match="inputs have 719 points"):
        NETWORKS[name].interval_logits(inputs, inputs, starts, starts)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.LSTM(2, 2), "A layer is a LSTM, which does not go by pieces"),
        (nn.Conv1d(2, 2, 3, dilation=2), r"A Conv1d has dilation \(2,\); expected \(1,\)"),
        (nn.Conv1d(2, 2, 3, groups=2), "A Conv1d has groups 2; expected 1"),
        (nn.Conv1d(2, 2, 3, padding="same"), "A Conv1d has padding 'same'; expected a number"),
        (nn.MaxPool1d(2, ceil_mode=True), "A MaxPool1d has ceil_mode True; expected False"),
        (nn.BatchNorm1d(2, affine=False), "A BatchNorm1d has affine False; expected True"),
        (nn.ZeroPad1d(2), "A ZeroPad1d comes before a Identity; expected a Conv1d"),
        (nn.ZeroPad2d(1), "A ZeroPad2d pads time by 1 and 1; expected filters only"),
    ],
)
def test_layers_that_do_not_go_by_pieces_are_refused(layer, message):
    inputs, starts = torch.randn(1, 2, 20), torch.tensor([0])
    with pytest.raises(ValueError, match=message):
        changed([layer], inputs, inputs, starts, starts, read=all_positions)
