"""LRP through LSTM classifiers against one sample, one step and one unit at a time in float64."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_oracle import Naive
from torch import Tensor, nn

from models.lstm import LSTMClassifier
from xai.methods import LRP_EXPLAINERS, explainer
from xai.methods.lrp import AlphaBeta, Epsilon, Gamma, descent, relevance_runs, relevances
from xai.scores import LOGIT, PROBABILITY

RULES = [Epsilon(), Epsilon(0.1), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25)]


def network(channels: int, hidden: tuple[int, ...], seed: int = 3) -> LSTMClassifier:
    torch.manual_seed(seed)
    model = LSTMClassifier(channels, 4, hidden).double().eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.weight_hh_l0 *= 2  # recurrent relevance must be large enough to be missed
            layer.bias_hh_l0.uniform_(-0.5, 0.5)
    return model


def batch(channels: int, length: int, samples: int = 3, seed: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(samples, channels, length, dtype=torch.float64), torch.arange(samples) % 4


def gaps(account: pd.DataFrame) -> np.ndarray:
    """By how much the rows of an account do not balance."""
    kept = account.relevance_out + account.bias + account.epsilon
    return (account.relevance_in - kept).abs().to_numpy()


@given(
    hidden=st.sampled_from([(1,), (5,), (4, 3), (2, 3, 2)]),
    channels=st.integers(1, 3),
    length=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=25, deadline=None)
def test_equals_the_naive_loop_with_its_account(hidden, channels, length, seed):
    model = network(channels, hidden, seed)
    inputs, targets = batch(channels, length, samples=2, seed=seed)
    for run in relevance_runs(model, inputs, targets, RULES):
        for sample, target in enumerate(targets.tolist()):
            naive = Naive(model, run.rule)
            expected = naive.attribute(inputs[sample].numpy(), target)
            scale = np.abs(expected).max()
            assert np.abs(run.relevance[sample].numpy() - expected).max() <= 1e-10 * scale
            rows = run.account[run.account["sample"] == sample].set_index("layer")
            for layer in naive.bias:
                assert rows.bias[layer] == pytest.approx(naive.bias[layer], rel=1e-9, abs=1e-12)
                assert rows.epsilon[layer] == pytest.approx(naive.epsilon[layer], rel=1e-9, abs=1e-12)


def test_single_precision_stays_close():
    model, (inputs, targets) = network(2, (16, 8)), batch(2, 40)
    exact = relevances(model, inputs, targets, RULES)
    single = relevances(model.float(), inputs.float(), targets, RULES)
    for rule, wide, narrow in zip(RULES, exact, single, strict=True):
        assert narrow.dtype == torch.float32
        assert (narrow - wide).abs().max() < 1e-5 * max(1.0, float(wide.abs().max())), rule.name


def test_the_naive_loop_loses_nothing_when_biases_and_stabilisers_are_dealt_out():
    model, (inputs, _) = network(2, (4, 3)), batch(2, 6)
    naive = Naive(model, Epsilon(0.05), conserve=True)
    relevance = naive.attribute(inputs[0].numpy(), 1)
    logit = model(inputs[:1])[0, 1].item()
    assert relevance.sum() + naive.lost == pytest.approx(logit, abs=1e-12)
    assert abs(relevance.sum() - Naive(model, Epsilon(0.05)).attribute(inputs[0].numpy(), 1).sum()) > 1e-3


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_accounts_balance_from_the_score_to_the_inputs(score):
    model, (inputs, targets) = network(2, (6, 5)), batch(2, 30, samples=5)
    scores = score(model(inputs), targets).detach().numpy()
    for run in relevance_runs(model, inputs, targets, RULES, score=score):
        account = run.account
        amounts = ["relevance_in", "relevance_out", "bias", "epsilon", "filtered"]
        assert account.columns.tolist() == ["sample", "layer", *amounts]
        assert account.layer.tolist() == ["score", "head", "lstm_2", "lstm_1"] * 5
        assert gaps(account).max() < 1e-12
        by_sample = account.groupby("sample")
        np.testing.assert_allclose(by_sample.relevance_in.first(), scores, atol=1e-12)
        np.testing.assert_allclose(by_sample.relevance_out.last(), run.relevance.sum((1, 2)), atol=1e-12)
        inner = account.assign(above=by_sample.relevance_out.shift())[account.layer != "score"]
        np.testing.assert_allclose(inner.relevance_in, inner.above, atol=1e-12)
        assert account.epsilon.abs().max() > 1e-5  # something did leak, and was seen
        assert account.bias.abs().max() > 1e-2


def test_without_biases_and_nearly_no_epsilon_the_logit_is_conserved():
    model, (inputs, targets) = network(2, (5, 4)), batch(2, 12)
    with torch.no_grad():
        for layer in model.layers:
            layer.bias_hh_l0.zero_()
            layer.bias_ih_l0.zero_()
        model.head.bias.zero_()
    (relevance,) = relevances(model, inputs, targets, [Epsilon(1e-12)])
    logits = model(inputs).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(relevance.sum((1, 2)), logits, rtol=1e-6, atol=1e-8)


def test_two_steps_of_one_unit_by_hand():
    model = LSTMClassifier(1, 2, (1,)).double().eval()
    with torch.no_grad():
        (layer,) = model.layers
        layer.weight_ih_l0.copy_(torch.tensor([[0.0], [0.0], [2.0], [0.0]]))
        layer.weight_hh_l0.copy_(torch.tensor([[0.0], [0.0], [1.0], [0.0]]))
        layer.bias_ih_l0.zero_()  # gates half open
        model.head.weight.copy_(torch.tensor([[0.0], [4.0]]))
        model.head.bias.zero_()
    first, second = 0.3, -0.2
    cell_1 = 0.5 * np.tanh(2 * first)
    hidden_1 = 0.5 * np.tanh(cell_1)
    total = 2 * second + hidden_1
    cell_2 = 0.5 * cell_1 + 0.5 * np.tanh(total)
    hidden_2 = 0.5 * np.tanh(cell_2)
    from_head_1, from_head_2 = 4 * hidden_1 / 2, 4 * hidden_2 / 2
    candidate_2 = 0.5 * np.tanh(total) / cell_2 * from_head_2
    at_second = 2 * second / total * candidate_2
    at_first = from_head_1 + 0.5 * cell_1 / cell_2 * from_head_2 + hidden_1 / total * candidate_2
    inputs = torch.tensor([[[first, second]]], dtype=torch.float64)
    (relevance,) = relevances(model, inputs, torch.tensor([1]), [Epsilon(1e-12)])
    np.testing.assert_allclose(relevance[0, 0], [at_first, at_second], rtol=1e-9)
    (other,) = relevances(model, inputs, torch.tensor([0]), [Epsilon(1e-12)])
    assert not other.any()


def test_forgetful_layers_give_each_step_its_own_score():
    """Without memory a step's relevance is what its own step score adds to the logit."""
    model, (inputs, targets) = network(3, (4,)), batch(3, 7)
    with torch.no_grad():
        (layer,) = model.layers
        layer.weight_hh_l0.zero_()
        layer.bias_hh_l0.zero_()
        layer.bias_ih_l0.zero_()
        layer.bias_ih_l0[4:8] = -60  # forget all
        model.head.bias.zero_()
    (relevance,) = relevances(model, inputs, targets, [Epsilon(1e-12)])
    added = model.step_scores(inputs)[torch.arange(3), :, targets] / 7
    torch.testing.assert_close(relevance.sum(1), added, rtol=1e-6, atol=1e-9)


def test_silent_channels_receive_nothing():
    model, (inputs, targets) = network(3, (5, 4)), batch(3, 10)
    inputs[:, 1] = 0
    for relevance in relevances(model, inputs, targets, RULES):
        assert not relevance[:, 1].any()
        assert relevance[:, [0, 2]].abs().amin() > 0


@pytest.mark.parametrize("score", [LOGIT, PROBABILITY])
def test_batch_order_and_company_of_rules_change_nothing(score, monkeypatch):
    model, (inputs, targets) = network(2, (5, 4)), batch(2, 11, samples=7)
    whole = relevances(model, inputs, targets, RULES, score=score)
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    shuffled = relevances(model, inputs[order], targets[order], RULES, score=score)
    monkeypatch.setitem(descent.VALUES_AT_ONCE, "cpu", 2 * 2 * 11 * 4)  # two samples at once
    cut = relevance_runs(model, inputs, targets, RULES, score=score)
    for place, rule in enumerate(RULES):
        (alone,) = relevances(model, inputs, targets, [rule], score=score)
        for other in (shuffled[place][order.argsort()], cut[place].relevance, alone):
            torch.testing.assert_close(other, whole[place], rtol=0, atol=1e-12)
        assert cut[place].account["sample"].tolist() == np.repeat(range(7), 4).tolist()
        assert gaps(cut[place].account).max() < 1e-12


def test_shifting_all_logits_changes_no_explained_probability():
    model, (inputs, targets) = network(2, (5,)), batch(2, 11)
    before = relevances(model, inputs, targets, [Epsilon(1e-12)], score=PROBABILITY)[0]
    with torch.no_grad():
        model.head.bias += 3
    after = relevances(model, inputs, targets, [Epsilon(1e-12)], score=PROBABILITY)[0]
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("name", LRP_EXPLAINERS)
def test_explainers_return_their_rules_relevance(name):
    model, (inputs, targets) = network(2, (5, 4)), batch(2, 11)
    how = explainer(name)
    found = how.attribute(model, inputs, targets, seeds=torch.arange(3))
    assert found.shape == inputs.shape
    (run,) = relevance_runs(model, inputs, targets, [how.rule])
    assert torch.equal(found, run.relevance)


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_every_gradient_mode_gives_the_same_and_leaves_the_model_alone(context):
    model, (inputs, targets) = network(2, (5,)), batch(2, 11)
    expected = relevances(model, inputs, targets, RULES, score=PROBABILITY)
    with context():
        leaf = inputs.clone().requires_grad_(context is torch.enable_grad)
        found = relevances(model, leaf, targets.clone(), RULES, score=PROBABILITY)
    for one, other in zip(found, expected, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_silent_recording_is_explained_by_its_biases():
    model, (inputs, targets) = network(2, (5,)), batch(2, 11)
    for run in relevance_runs(model, torch.zeros_like(inputs), targets, RULES):
        assert not run.relevance.any()
        assert gaps(run.account).max() < 1e-12


def test_other_networks_are_refused_in_one_sentence():
    inputs, targets = batch(2, 11)
    other = nn.Sequential(nn.Flatten(), nn.LayerNorm(22), nn.Linear(22, 4)).double()
    with pytest.raises(ValueError, match=r"^Layer '1' is a LayerNorm; LRP supports linear and convolution layers, "):
        explainer("lrp_epsilon").attribute(other, inputs, targets, seeds=targets)
    for name in ("lrp_epsilon_clamp0.2", "lrp_tjoa-paper"):
        with pytest.raises(ValueError, match=r"^rules holds a filter or a Tjoa; LRP through LSTM layers takes"):
            explainer(name).attribute(network(2, (5,)), inputs, targets, seeds=targets)
    with pytest.raises(ValueError, match=r"^inputs have the shape \(3, 22\); LRP expects \(sample, channel, time\)\.$"):
        relevances(network(2, (5,)), inputs.flatten(1), targets, RULES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same():
    model, (inputs, targets) = network(2, (5, 4)), batch(2, 11)
    expected = relevance_runs(model, inputs, targets, RULES)
    found = relevance_runs(model.cuda(), inputs.cuda(), targets.cuda(), RULES)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.relevance.cpu(), other.relevance, rtol=0, atol=1e-10)
        assert gaps(one.account).max() < 1e-10
