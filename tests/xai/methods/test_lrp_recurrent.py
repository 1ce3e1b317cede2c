"""LRP through an LSTM inside a larger network, against loops in float64 and against the walk through pure stacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_oracle import Naive, forward
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from models.lstm import LSTMClassifier
from xai.methods import LRP_EXPLAINERS, explainer
from xai.methods.lrp import (
    EPSILON_ALPHA2BETA1_FLAT,
    AlphaBeta,
    Clamp,
    Epsilon,
    Filtered,
    Gamma,
    descent,
    layer_names,
    relevance_runs,
    relevances,
)
from xai.methods.lrp.recurrence import recurrences
from xai.scores import LOGIT, PROBABILITY

STEPS, POINTS, UNITS, FILTERS, KERNEL, STRIDE = 4, 6, 3, 2, 5, 3
RULES = [Epsilon(), Epsilon(0.1), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25), EPSILON_ALPHA2BETA1_FLAT]


class Joint(nn.Module):
    """A convolution and an LSTM over steps of the same signal, side by side, under two dense layers."""

    def __init__(self, layers: int = 2, bias: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, FILTERS, KERNEL, stride=STRIDE, bias=bias)
        self.recurrent = nn.LSTM(POINTS, UNITS, num_layers=layers, batch_first=True, bias=bias)
        self.recurrent.dropout = 0.5
        columns = (STEPS * POINTS - KERNEL) // STRIDE + 1
        self.dense = nn.Linear(FILTERS * columns + UNITS, 5, bias=bias)
        self.head = nn.Linear(5, 3, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        columns = self.convolution(inputs).relu().flatten(1)
        steps = inputs.unflatten(2, (-1, POINTS)).transpose(1, 2).flatten(2)
        outputs, _ = self.recurrent(steps)
        return self.head(self.dense(torch.cat([columns, outputs[:, -1]], dim=1)).relu())


class Stack(nn.Module):
    """`LSTMClassifier` written with one `nn.LSTM`: its head reads the mean over the steps."""

    def __init__(self, like: LSTMClassifier) -> None:
        super().__init__()
        first, *others = like.layers
        self.recurrent = nn.LSTM(first.input_size, first.hidden_size, 1 + len(others), batch_first=True).double()
        self.head = like.head
        with torch.no_grad():
            for place, layer in enumerate(like.layers):
                for own, given_ in zip(self.recurrent.all_weights[place], layer.all_weights[0], strict=True):
                    own.copy_(given_)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.recurrent(inputs.transpose(1, 2))[0].mean(dim=1))


def joint(seed: int = 0, layers: int = 2, bias: bool = True) -> Joint:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Joint(layers, bias).double().eval()


def batch(samples: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 1, STEPS * POINTS, dtype=torch.float64, generator=generator), torch.arange(samples) % 3


def _linear(naive: Naive, layer: nn.Linear, values: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    found = np.zeros_like(values)
    for output, (weights, bias) in enumerate(zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)):
        parts = [weight * value for weight, value in zip(weights, values, strict=True)]
        found += naive.share("dense", parts, bias, relevance[output], naive.rule)
    return found


def _oracle(model: Joint, signal: np.ndarray, target: int, epsilon: float) -> tuple[np.ndarray, Naive]:
    """Relevance ``(time,)`` of one signal, and what its layers kept."""
    naive = Naive(model, Epsilon(epsilon))  # type: ignore[arg-type]
    sequence, traces = signal.reshape(STEPS, POINTS), []
    for number in range(model.recurrent.num_layers):
        traces.append(forward(model.recurrent, sequence, number))
        sequence = traces[-1]["hidden"]
    kernels, shifts = model.convolution.weight.detach().numpy()[:, 0], model.convolution.bias.tolist()
    starts = range(0, len(signal) - KERNEL + 1, STRIDE)
    columns = np.array(
        [
            max(float(kernel @ signal[start : start + KERNEL]) + shift, 0)
            for kernel, shift in zip(kernels, shifts, strict=True)
            for start in starts
        ]
    )
    joined = np.concatenate([columns, sequence[-1]])
    totals = model.dense.weight.detach().numpy() @ joined + model.dense.bias.detach().numpy()
    hidden = np.maximum(totals, 0)
    of_logits = np.zeros(3)
    of_logits[target] = float(model.head.weight[target].detach().numpy() @ hidden) + model.head.bias[target].item()
    of_joined = _linear(naive, model.dense, joined, _linear(naive, model.head, hidden, of_logits))
    found = np.zeros_like(signal)
    for filter_, (kernel, shift) in enumerate(zip(kernels, shifts, strict=True)):
        for column, start in enumerate(starts):
            parts = (kernel * signal[start : start + KERNEL]).tolist()
            of_column = of_joined[filter_ * len(starts) + column]
            found[start : start + KERNEL] += naive.share("convolution", parts, shift, of_column, naive.rule)
    relevance = np.zeros((STEPS, UNITS))
    relevance[-1] = of_joined[len(columns) :]
    for trace in reversed(traces):
        relevance = naive.layer("recurrent", trace, relevance)
    return found + relevance.reshape(-1), naive


@given(layers=st.integers(1, 3), seed=st.integers(0, 99), epsilon=st.sampled_from([1e-3, 0.1]))
@settings(max_examples=4, deadline=None)
def test_a_joint_network_equals_the_loops_with_its_account(layers, seed, epsilon):
    model, (inputs, targets) = joint(seed, layers), batch(2, seed)
    (run,) = relevance_runs(model, inputs, targets, [Epsilon(epsilon)])
    for sample in range(2):
        expected, naive = _oracle(model, inputs[sample, 0].numpy(), int(targets[sample]), epsilon)
        np.testing.assert_allclose(run.relevance[sample, 0].numpy(), expected, rtol=0, atol=1e-12)
        row = run.account.query("sample == @sample and layer == 'recurrent'").squeeze()
        assert row["bias"] == pytest.approx(naive.bias["recurrent"], abs=1e-12)
        assert row["epsilon"] == pytest.approx(naive.epsilon["recurrent"], abs=1e-12)


@pytest.mark.parametrize("hidden", [(4,), (5, 5)])
def test_a_pure_stack_has_the_relevance_of_the_walk_for_stacks(hidden):
    torch.manual_seed(2)
    stack = LSTMClassifier(2, 4, hidden).double().eval()
    inputs, targets = torch.randn(3, 2, 9, dtype=torch.float64), torch.tensor([1, 3, 0])
    whole = Stack(stack)
    torch.testing.assert_close(whole(inputs), stack(inputs))
    rules = [Epsilon(), Epsilon(0.1)]
    for found, expected in zip(
        relevances(whole, inputs, targets, rules), relevances(stack, inputs, targets, rules), strict=True
    ):
        # the walk through a graph meets the mean over the steps by itself, with a small stabiliser of its own
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_accounts_balance_from_the_score_to_the_inputs(score):
    model, (inputs, targets) = joint(), batch()
    scores = score(model(inputs), targets).detach()
    for run in relevance_runs(model, inputs, targets, RULES, score=score):
        account = run.account
        kept = account.relevance_out + account.bias + account.epsilon
        assert (account.relevance_in - kept).abs().max() < 1e-12
        lost = torch.from_numpy(account.groupby("sample")[["bias", "epsilon"]].sum().sum(axis=1).to_numpy())
        torch.testing.assert_close(run.relevance.sum((1, 2)) + lost, scores, rtol=0, atol=1e-10)


def test_without_biases_and_nearly_no_epsilon_the_logit_is_conserved():
    model, (inputs, targets) = joint(bias=False), batch()
    (relevance,) = relevances(model, inputs, targets, [Epsilon(1e-12)])
    logits = model(inputs).gather(1, targets[:, None])[:, 0].detach()
    torch.testing.assert_close(relevance.sum((1, 2)), logits, rtol=1e-6, atol=1e-8)


def test_batch_order_and_company_of_rules_change_nothing(monkeypatch):
    model, (inputs, targets) = joint(), batch(7)
    whole = relevances(model, inputs, targets, RULES)
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    shuffled = relevances(model, inputs[order], targets[order], RULES)
    monkeypatch.setitem(descent.VALUES_AT_ONCE, "cpu", 2 * len(RULES) * STEPS * POINTS)
    cut = relevances(model, inputs, targets, RULES)
    for place, rule in enumerate(RULES):
        (alone,) = relevances(model, inputs, targets, [rule])
        for other in (shuffled[place][order.argsort()], cut[place], alone):
            torch.testing.assert_close(other, whole[place], rtol=0, atol=1e-12)


def test_lstm_layers_follow_epsilon_whatever_the_rule_elsewhere():
    model, (inputs, targets) = joint(), batch()
    with torch.no_grad():  # relevance enters the LSTM at its first unit alone, by every rule
        model.dense.weight.zero_()
        model.dense.weight[:, -UNITS] = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0])
        model.dense.bias.zero_()
        model.head.weight.fill_(1.0)
        model.head.bias.zero_()
    per_unit = []
    for run in relevance_runs(model, inputs, targets, [Epsilon(), *RULES[2:], Epsilon(0.1)]):
        entering = run.account.query("layer == 'recurrent'")["relevance_in"].to_numpy()
        per_unit.append(run.relevance / torch.from_numpy(entering).view(-1, 1, 1))
    for other in per_unit[1:-1]:
        torch.testing.assert_close(other, per_unit[0], rtol=1e-9, atol=0)
    assert not torch.allclose(per_unit[-1], per_unit[0], rtol=1e-2)


def test_filters_stand_at_other_layers_of_the_network():
    model, (inputs, targets) = joint(), batch()
    filtered = Filtered(Epsilon(), [Clamp(0.2)], ["dense"])
    assert filtered.points == ["dense"]
    (run,) = relevance_runs(model, inputs, targets, [filtered])
    row = run.account.query("layer == 'dense'")
    assert (row["filtered"].abs() > 0).any()
    assert {"recurrent", "convolution", "dense", "head"} <= set(layer_names(model))


@pytest.mark.parametrize("name", LRP_EXPLAINERS)
def test_explainers_walk_it_and_single_precision_stays_close(name):
    model, (inputs, targets) = joint(), batch()
    double = explainer(name).attribute(model, inputs, targets, seeds=targets)
    single = explainer(name).attribute(model.float(), inputs.float(), targets, seeds=targets)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-2, atol=1e-3 * double.abs().max().item())


def test_dropout_between_layers_is_off_whatever_the_mode():
    model, (inputs, targets) = joint(), batch()
    expected = relevances(model, inputs, targets, RULES)
    found = relevances(model.train(), inputs, targets, RULES)
    assert model.training
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("bias", [True, False])
def test_the_steps_are_those_of_the_layer_itself(bias):
    layers = nn.LSTM(3, 4, num_layers=2, batch_first=True, bias=bias).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    outputs, (_, cells) = layers(inputs)
    found = recurrences(layers, inputs)
    torch.testing.assert_close(found[-1].hidden, outputs, rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.stack([each.cell[:, -1] for each in found]), cells, rtol=0, atol=1e-14)


class Reading(nn.Module):
    """Reads an LSTM in one of several ways."""

    def __init__(self, how: str, **settings: object) -> None:
        super().__init__()
        self.how, self.recurrent = how, nn.LSTM(POINTS, UNITS, **settings)

    def forward(self, inputs: Tensor) -> Tensor:
        steps = inputs.unflatten(2, (-1, POINTS)).squeeze(1)
        if self.how == "states":
            return self.recurrent(steps)[1][0].squeeze(0)
        if self.how == "started":
            return self.recurrent(steps, (steps[:1, :, :UNITS], steps[:1, :, :UNITS]))[0].mean(1)
        if self.how == "packed":
            return self.recurrent(pack_padded_sequence(steps, [STEPS] * 3, batch_first=True))[0]
        return self.recurrent(steps)[0].mean(1)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Reading("", batch_first=True, bidirectional=True), "is bidirectional; LRP supports LSTM layers of one direct"),
        (Reading("", batch_first=True, proj_size=2), "projects its outputs to 2; LRP supports LSTM layers without"),
        (Reading(""), "has batch_first=False; LRP supports LSTM layers with the samples first"),
        (Reading("started", batch_first=True), "is called with more than its inputs; LRP supports LSTM layers that"),
        (Reading("states", batch_first=True), "is read for its last states; LRP supports its outputs, the first"),
    ],
)
def test_what_lrp_does_not_know_of_an_lstm_is_named(model, sentence):
    with pytest.raises(ValueError, match=rf"^Layer 'recurrent' {sentence}"):
        relevances(model.double(), *batch(), [Epsilon()])


def test_packed_sequences_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^model Reading cannot be traced: |is a pack_padded_sequence; LRP supports"):
        relevances(Reading("packed", batch_first=True).double(), *batch(), [Epsilon()])


def test_a_bare_lstm_is_refused_because_it_returns_its_states():
    with pytest.raises(ValueError, match=r"^Layer '0' is read for its last states"):
        relevances(nn.LSTM(POINTS, UNITS, batch_first=True).double(), *batch(), [Epsilon()])
