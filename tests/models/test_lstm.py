"""The LSTM classifier of paper 1 and its prefix arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.lstm import LSTMClassifier, parameter_count


@pytest.mark.parametrize(
    ("channels", "classes", "hidden", "count"),
    [(1, 5, (128,), 67_205), (1, 10, (128, 128), 199_434), (3, 3, (64,), 17_603)],
)
def test_parameters_are_the_papers_with_one_bias_vector(channels, classes, hidden, count):
    assert parameter_count(LSTMClassifier(channels, classes, hidden)) == count


def test_forget_gate_starts_open_and_other_biases_at_zero():
    for layer in LSTMClassifier(1, 5, (6, 4)).layers:
        units = layer.hidden_size
        gates = layer.bias_ih_l0.detach().view(4, units)  # input, forget, cell, output
        assert torch.equal(gates[1], torch.ones(units))
        assert not gates[[0, 2, 3]].any()
        assert not layer.bias_hh_l0.any()


def test_second_bias_stays_zero_in_training():
    torch.manual_seed(0)
    model = LSTMClassifier(1, 3, (4, 4))
    first = model.layers[0].bias_ih_l0.detach().clone()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(8, 1, 9)), torch.arange(8) % 3).backward()
        optimiser.step()
    assert all(not layer.bias_hh_l0.any() for layer in model.layers)
    assert not torch.equal(model.layers[0].bias_ih_l0, first)


@pytest.fixture
def stack() -> LSTMClassifier:
    torch.manual_seed(2)
    return LSTMClassifier(2, 3, (6, 5)).double().eval()


def test_prefix_scores_are_the_running_mean_of_the_step_scores(stack):
    inputs = torch.randn(4, 2, 15, dtype=torch.float64)
    with torch.no_grad():
        running = stack.step_scores(inputs).cumsum(1) / torch.arange(1, 16).view(1, -1, 1)
        for length in range(1, 16):
            torch.testing.assert_close(running[:, length - 1], stack(inputs[..., :length]), rtol=0, atol=1e-14)


def test_interval_logits_equal_a_run_per_interval(stack):
    inputs, other = torch.randn(2, 3, 2, 15, dtype=torch.float64).unbind()
    starts = torch.tensor([7, 0, 14, 0, 3, 3, 7])  # unsorted, repeated, empty, to the end
    stops = torch.tensor([9, 0, 15, 15, 4, 15, 2])
    found = stack.interval_logits(inputs, other, starts, stops)
    for row, start, stop in zip(found, starts.tolist(), stops.tolist(), strict=True):
        changed = inputs.clone()
        changed[..., start:stop] = other[..., start:stop]
        with torch.no_grad():
            torch.testing.assert_close(row, stack(changed), rtol=0, atol=1e-14)


def test_interval_logits_are_plain_tensors_without_dropout():
    model = LSTMClassifier(1, 2, (3,), dropout=0.9).train()
    inputs, first = torch.randn(2, 1, 8), torch.tensor([0])
    found = model.interval_logits(inputs, inputs, first, first)
    assert not found.is_inference()
    assert not found.requires_grad
    torch.testing.assert_close(found[0], model.eval()(inputs).detach())


@pytest.mark.parametrize("start", [-1, 8])
def test_a_start_outside_the_window_is_named(start):
    inputs, starts = torch.randn(2, 1, 8), torch.tensor([0, start])
    with pytest.raises(ValueError, match=f"starts holds {start}; expected 0 to 7"):
        LSTMClassifier(1, 2, (3,)).interval_logits(inputs, inputs, starts, starts)


def test_trace_is_what_the_layers_did():
    """Gates and cells are recomputed by one product; torch's own step by step is the oracle."""
    torch.manual_seed(3)
    network = LSTMClassifier(2, 3, hidden=(5, 4)).double().eval()
    inputs = torch.randn(3, 2, 17, dtype=torch.float64)
    first, last = network.trace(inputs)
    state = (torch.zeros(3, 5, dtype=torch.float64), torch.zeros(3, 5, dtype=torch.float64))
    cell = nn.LSTMCell(2, 5).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.layers[0].state_dict().items()})
    for step in range(17):
        state = cell(inputs[:, :, step], state)
        torch.testing.assert_close(first.hidden[:, step], state[0])
        torch.testing.assert_close(first.cell[:, step], state[1])
    torch.testing.assert_close(first.output_gate * first.cell.tanh(), first.hidden)
    torch.testing.assert_close(network.head(last.hidden), network.step_scores(inputs))
    assert not last.hidden.requires_grad
