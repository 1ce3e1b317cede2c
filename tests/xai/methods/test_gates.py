"""Saturation of gates: equal to a plain recurrence, known where the gates are forced, each sample by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lstm import LSTMClassifier
from xai.methods.gates import GATES, OPEN, SHUT, gate_use


def network(hidden: tuple[int, ...] = (5, 4), channels: int = 2, spread: float = 6.0) -> LSTMClassifier:
    """Weights far larger than at the start, so that gates saturate; float64."""
    torch.manual_seed(3)
    made = LSTMClassifier(channels, 3, hidden).double().eval()
    with torch.no_grad():
        for layer in made.layers:
            layer.weight_ih_l0.mul_(spread)
            layer.weight_hh_l0.mul_(spread)
    return made


def inputs(samples: int = 7, channels: int = 2, steps: int = 20) -> torch.Tensor:
    return torch.randn(samples, channels, steps, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def plain_use(model: LSTMClassifier, window: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Open, shut ``(gate, unit)`` and variance of the cells ``(unit,)`` of each layer, step by step."""

    def sigmoid(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-value))

    sequence, found = window.T, []
    for layer in model.layers:
        w, u, b, _ = (weight.detach().numpy() for weight in layer.all_weights[0])
        units = u.shape[1]
        h, c = np.zeros(units), np.zeros(units)
        gates, cells, outputs = [], [], []
        for value in sequence:
            i, f, g, o = np.split(w @ value + u @ h + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            gates.append([sigmoid(i), sigmoid(f), sigmoid(o)])
            cells.append(c)
            outputs.append(h)
        values = np.array(gates)
        found.append(((values > 0.9).mean(0), (values < 0.1).mean(0), np.array(cells).var(0)))
        sequence = np.array(outputs)
    return found


def test_shares_are_those_of_a_plain_recurrence() -> None:
    model, windows = network(), inputs()
    uses = gate_use(model, windows)
    assert [use.open.shape for use in uses] == [(7, 3, 5), (7, 3, 4)]
    for sample, window in enumerate(windows.numpy()):
        for use, (opened, shut, variance) in zip(uses, plain_use(model, window), strict=True):
            np.testing.assert_allclose(use.open[sample], opened, atol=1e-12)
            np.testing.assert_allclose(use.shut[sample], shut, atol=1e-12)
            np.testing.assert_allclose(use.cell_variance[sample], variance, atol=1e-9)
    assert uses[0].open.max() > 0.5
    assert uses[0].shut.max() > 0.5


@pytest.mark.parametrize("gate", range(len(GATES)))
@pytest.mark.parametrize("bias", [30.0, -30.0])
def test_a_gate_that_is_forced_is_always_open_or_shut(gate: int, bias: float) -> None:
    model = LSTMClassifier(1, 2, (3,)).eval()
    block = {"input": 0, "forget": 1, "output": 3}[GATES[gate]]
    with torch.no_grad():
        model.layers[0].bias_ih_l0[3 * block : 3 * block + 3] = bias
    (use,) = gate_use(model, inputs(channels=1).float())
    expected = (1.0, 0.0) if bias > 0 else (0.0, 1.0)
    assert (use.open[:, gate].unique().tolist(), use.shut[:, gate].unique().tolist()) == ([expected[0]], [expected[1]])


def test_untrained_gates_are_not_saturated() -> None:
    torch.manual_seed(0)
    (use,) = gate_use(LSTMClassifier(1, 2, (16,)).eval(), inputs(channels=1).float())
    assert float(use.open.max()) == float(use.shut.max()) == 0


@given(st.permutations(range(40)))
@settings(max_examples=5, deadline=None)
def test_neither_batch_nor_order_matter(order: list[int]) -> None:
    model, windows = network(), inputs(samples=40)
    together, moved = gate_use(model, windows), gate_use(model, windows[order])
    alone = gate_use(model, windows[order[:1]])
    for whole, other, single in zip(together, moved, alone, strict=True):
        assert torch.equal(whole.open[order], other.open)
        assert torch.equal(whole.shut[order[:1]], single.shut)


def test_a_sample_that_is_not_a_number_is_undefined_alone() -> None:
    windows = inputs()
    windows[2, 0, 10] = torch.nan
    for use in gate_use(network(), windows):
        assert bool(use.open[2].isnan().all())
        assert bool(use.shut[2].isnan().all())
        assert not bool(use.open[[0, 1, 3]].isnan().any())


def test_thresholds_are_those_of_karpathy() -> None:
    assert (OPEN, SHUT) == (0.9, 0.1)


@pytest.mark.parametrize("shape", [(0, 2, 20), (3, 2, 0)])
def test_nothing_to_look_at_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"inputs have shape \(.*\); expected at least one sample and one step"):
        gate_use(network(), torch.zeros(shape, dtype=torch.float64))
