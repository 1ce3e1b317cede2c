"""Gaps against a loop that cuts each of them by itself in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.lstm import LSTMClassifier
from xai.methods import missing_values
from xai.methods.missing_values import ALL_CHANNELS, gap_effects, gap_starts


def network(channels: int, classes: int = 3) -> LSTMClassifier:
    torch.manual_seed(1)
    model = LSTMClassifier(channels, classes, (5, 4)).double().eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.weight_hh_l0 *= 3
        model.head.weight *= 5
    return model


def naive(model: LSTMClassifier, one: Tensor, target: int, length: int, filled: str, channel: int) -> dict[str, float]:
    """Effects on a single input ``(channel, time)``, gap by gap."""
    whole = model(one[None])[0]
    rows = []
    start = 1
    while start + length <= one.shape[1]:
        cut = one.clone()
        for each in range(len(one)) if channel == ALL_CHANNELS else [channel]:
            cut[each, start : start + length] = one[each, start - 1] if filled == "held" else 0.0
        left = model(cut[None])[0]
        fall = whole.softmax(0)[target] - left.softmax(0)[target]
        rows.append((whole[target] - left[target], fall, whole.argmax() != left.argmax()))
        start += (length + 1) // 2
    logit, probability, changed = (torch.stack(list(values)).double().mean() for values in zip(*rows, strict=True))
    return {"logit": logit, "probability": probability, "changed": changed, "positions": len(rows)}


@given(
    channels=st.integers(1, 3),
    steps=st.integers(4, 12),
    data=st.data(),
    most=st.sampled_from([1, 40, 2048]),
)
@settings(max_examples=15, deadline=None)
def test_equals_one_gap_at_a_time(channels, steps, data, most):
    lengths = data.draw(st.lists(st.integers(1, steps - 1), min_size=1, max_size=2, unique=True))
    model, inputs, targets = network(channels), torch.randn(3, channels, steps).double() * 2, torch.tensor([2, 0, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(missing_values, "ROWS_AT_ONCE", most)
        found = gap_effects(model, inputs, targets, lengths)
    groups = [ALL_CHANNELS, *(range(channels) if channels > 1 else [])]
    assert len(found) == 3 * len(groups) * len(lengths) * 2
    for _, row in found.iterrows():
        sample = row["sample"]
        with torch.no_grad():
            expected = naive(model, inputs[sample], int(targets[sample]), row["length"], row["filled"], row["channel"])
        for name, value in expected.items():
            assert row[name] == pytest.approx(float(value), abs=1e-10), name


def test_a_gap_that_holds_a_constant_changes_nothing_and_one_of_zeros_does():
    model, inputs = network(1), torch.ones(2, 1, 20).double()
    found = gap_effects(model, inputs, torch.tensor([0, 1]), [5]).set_index(["filled", "sample"])
    assert found.loc["held", ["logit", "probability", "changed"]].abs().to_numpy().max() < 1e-12
    assert found.loc["zero", "logit"].abs().min() > 1e-3


def test_only_the_channel_that_is_read_matters():
    model = network(3)
    with torch.no_grad():
        model.layers[0].weight_ih_l0[:, [0, 2]] = 0
    found = gap_effects(model, torch.randn(4, 3, 15).double(), torch.zeros(4, dtype=torch.int64), [4])
    size = found.groupby("channel")["logit"].apply(lambda values: values.abs().max())
    assert size[1] == pytest.approx(size[ALL_CHANNELS], abs=1e-12)
    assert size[1] > 1e-3
    assert size[[0, 2]].max() < 1e-12


@given(steps=st.integers(2, 60), data=st.data())
@settings(max_examples=50, deadline=None)
def test_gaps_lie_inside_and_every_second_one_is_clear_of_the_next(steps, data):
    length = data.draw(st.integers(1, steps - 1))
    starts = gap_starts(steps, length)
    assert starts[0] == 1
    assert starts[-1] + length <= steps
    for phase in (starts[0::2], starts[1::2]):
        # what is held before a gap lies outside the gap before it
        assert all(later > start + length - 1 for start, later in itertools.pairwise(phase))


@pytest.mark.parametrize("length", [0, 20])
def test_a_length_outside_the_window_is_named(length):
    with pytest.raises(ValueError, match=f"lengths holds {length}; expected 1 to 19"):
        gap_effects(network(1), torch.zeros(1, 1, 20).double(), torch.tensor([0]), [3, length])
