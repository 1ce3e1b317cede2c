"""LRP rules: their names, and a linear head against the matrix of all its contributions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xai.methods import LRP_EXPLAINERS, Explainer, explainer
from xai.methods.lrp import (
    EPSILON_PLUS,
    LRP,
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Rule,
    WSquare,
    ZBox,
    epsilon_gamma_box,
    rule_named,
)
from xai.methods.lrp.contributions import Contributions, stabilised
from xai.methods.lrp.linear_maps import map_of
from xai.methods.lrp.linear_pass import LinearPass
from xai.methods.lrp.lstm_descent import AveragedHead

STABILISER = 1e-6


def by_epsilon(values: np.ndarray, rule: Epsilon) -> np.ndarray:
    total = values.sum()
    return values / (total + (rule.epsilon if total >= 0 else -rule.epsilon))


def by_alpha_beta(values: np.ndarray, rule: AlphaBeta) -> np.ndarray:
    up, down = values.clip(min=0), values.clip(max=0)
    bottom = down.sum() - STABILISER if down.any() else STABILISER
    return rule.alpha * up / (up.sum() + STABILISER) - rule.beta * down / bottom


def by_gamma(values: np.ndarray, rule: Gamma) -> np.ndarray:
    favoured = values.clip(min=0) if values.sum() >= 0 else values.clip(max=0)
    raised = values + rule.gamma * favoured
    return raised / (raised.sum() + (STABILISER if values.sum() >= 0 else -STABILISER))


SHARES = {Epsilon: by_epsilon, AlphaBeta: by_alpha_beta, Gamma: by_gamma}

rules = (
    st.builds(Epsilon, st.floats(1e-4, 10))
    | st.floats(0, 3).map(lambda beta: AlphaBeta(1 + beta, beta))
    | st.builds(Gamma, st.floats(1e-3, 5))
)


def naive(weight: np.ndarray, bias: np.ndarray, hidden: np.ndarray, relevance: np.ndarray, rule: Rule) -> dict:
    """One sample: every contribution of every step and unit to every class in one matrix."""
    steps = len(hidden)
    leaving, of_bias, kept = np.zeros_like(hidden), 0.0, 0.0
    for target, entering in enumerate(relevance):
        contributions = np.append((hidden * weight[target] / steps).ravel(), bias[target])
        shares = SHARES[type(rule)](contributions, rule) * entering
        leaving += shares[:-1].reshape(hidden.shape)
        of_bias += shares[-1]
        kept += entering - shares.sum()
    return {"leaving": leaving, "bias": of_bias, "epsilon": kept}


@given(rule=rules, seed=st.integers(0, 10**6), bias=st.booleans(), rectified=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_head_shares_as_the_matrix_of_its_contributions(rule, seed, bias, rectified):
    torch.manual_seed(seed)
    head = nn.Linear(6, 4, bias=bias).double()
    hidden, relevance = torch.randn(3, 5, 6).double(), torch.randn(1, 3, 4).double()
    hidden = hidden.relu() if rectified else hidden
    linear = AveragedHead.of(head)
    by_step = hidden.transpose(0, 1)
    contributions = Contributions(linear, by_step, linear.apply(by_step, linear.weight, linear.bias))
    found = LinearPass.down(contributions, relevance, [rule])
    of_bias, of_epsilon = found.kept()
    for sample in range(3):
        offsets = head.bias.detach().numpy() if bias else np.zeros(4)
        weight = head.weight.detach().numpy()
        expected = naive(weight, offsets, hidden[sample].numpy(), relevance[0, sample].numpy(), rule)
        scale = max(1.0, np.abs(expected["leaving"]).sum())
        np.testing.assert_allclose(found.leaving[0, :, sample], expected["leaving"], rtol=0, atol=1e-10 * scale)
        assert float(of_bias[0, sample]) == pytest.approx(expected["bias"], abs=1e-10 * scale)
        assert float(of_epsilon[0, sample]) == pytest.approx(expected["epsilon"], abs=1e-10 * scale)


def shares(rule: Rule, contributions: list[float], relevance: float) -> list[float]:
    """What each contribution to one output receives of its relevance."""
    layer = nn.Linear(len(contributions), 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([contributions]))
    inputs = torch.ones(1, len(contributions)).double()
    whole = Contributions(map_of(layer), inputs, layer(inputs).detach())
    return LinearPass.down(whole, torch.full((1, 1, 1), relevance).double(), [rule]).leaving.flatten().tolist()


def test_shares_by_hand():
    """Contributions 3, 1 and -2 of an output that holds relevance 2."""
    assert shares(Epsilon(2), [3, 1, -2], 2) == pytest.approx([1.5, 0.5, -1.0])
    assert shares(AlphaBeta(1, 0), [3, 1, -2], 2) == pytest.approx([1.5, 0.5, 0], rel=1e-5)
    assert shares(AlphaBeta(2, 1), [3, 1, -2], 2) == pytest.approx([3, 1, -2], rel=1e-5)
    assert shares(Gamma(1), [3, 1, -2], 2) == pytest.approx([2, 2 / 3, -2 / 3], rel=1e-5)
    assert shares(WSquare(), [3, 1, -2], 2) == pytest.approx([9 / 7, 1 / 7, 4 / 7], rel=1e-5)
    assert shares(Flat(), [3, 1, -2], 2) == pytest.approx([2 / 3] * 3, rel=1e-5)
    # inputs of 1 are 2 above low and 3 below high: 6, 2 and 6 of 14
    assert shares(ZBox(-1, 4), [3, 1, -2], 2) == pytest.approx([6 / 7, 2 / 7, 6 / 7], rel=1e-5)


def test_gamma_favours_what_agrees_with_the_output():
    assert shares(Gamma(1), [-3, -1, 2], -2) == pytest.approx([-2, -2 / 3, 2 / 3], rel=1e-5)


@pytest.mark.parametrize("rule", [Epsilon(), AlphaBeta(1, 0), AlphaBeta(2, 1), Gamma(0.25), WSquare(), Flat()])
@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, -1.0], [-1.0, -2.0], [1.0, 2.0]])
def test_no_output_divides_by_zero(rule, values):
    assert np.isfinite(shares(rule, values, 1.0)).all()


def test_stabilised_moves_away_from_zero():
    values: Tensor = torch.tensor([-2.0, -1e-9, 0.0, 1e-9, 2.0])
    np.testing.assert_allclose(stabilised(values, 0.5), [-2.5, -0.5, 0.5, 0.5, 2.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lrp_epsilon", LRP(Epsilon(0.001))),
        ("lrp_epsilon_e0.1", LRP(Epsilon(0.1))),
        ("lrp_epsilon_e100", LRP(Epsilon(100))),
        ("lrp_epsilon_e1e-06", LRP(Epsilon(1e-6))),
        ("lrp_zplus", LRP(AlphaBeta(1, 0))),
        ("lrp_alpha2beta1", LRP(AlphaBeta(2, 1))),
        ("lrp_alpha1.5beta0.5", LRP(AlphaBeta(1.5, 0.5))),
        ("lrp_gamma_g0.25", LRP(Gamma(0.25))),
        ("lrp_zbox_l-1_h2.5", LRP(ZBox(-1, 2.5))),
        ("lrp_wsquare", LRP(WSquare())),
        ("lrp_flat", LRP(Flat())),
        ("lrp_composite_epsilon_plus", LRP(EPSILON_PLUS)),
        ("lrp_composite_epsilon_gamma_box_l-3_h3", LRP(epsilon_gamma_box(-3, 3))),
    ],
)
def test_names_read_as_documented(name, expected):
    assert explainer(name) == expected
    assert expected.name == name
    assert LRP().name == "lrp_epsilon"


@given(rules)
@settings(max_examples=100, deadline=None)
def test_every_rule_comes_back_from_its_name(rule):
    assert rule_named(rule.name) == rule
    assert explainer(f"lrp_{rule.name}") == LRP(rule)


@pytest.mark.parametrize("name", LRP_EXPLAINERS)
def test_the_compared_rules_are_frozen_explainers(name):
    found = explainer(name)
    assert found.name == name
    assert isinstance(found, Explainer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.rule = Epsilon()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [
        "lrp",
        "lrp_",
        "epsilon",
        "lrp_epsilon_e",
        "lrp_epsilon_e0",
        "lrp_epsilon_e0.001",
        "lrp_epsilon_e0.10",
        "lrp_epsilon_e-1",
        "lrp_epsilon_einf",
        "lrp_epsilon_enan",
        "lrp_epsilon_e1_0",
        "lrp_zplus_e1",
        "lrp_alpha1beta0",
        "lrp_alpha2beta2",
        "lrp_alpha0.5beta-0.5",
        "lrp_alphabeta",
        "lrp_gamma",
        "lrp_gamma_g0",
        "lrp_gamma_ginf",
        "lrp_zbox",
        "lrp_zbox_l1_h1",
        "lrp_composite_",
        "lrp_composite_epsilon_gamma_box_l3_h-3",
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"expected one of gradient, .*lrp_epsilon, lrp_zplus, ") as error:
        explainer(name)
    assert repr(name) in str(error.value)
    assert rule_named(name.removeprefix("lrp_")) is None or name == "epsilon"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Epsilon(0), r"^epsilon is 0; expected a positive number\.$"),
        (lambda: Gamma(-1), r"^gamma is -1; expected a positive number\.$"),
        (lambda: ZBox(1, 0), r"^low is 1 and high 0; expected two numbers, low below high\.$"),
        (lambda: AlphaBeta(2, 2), r"^alpha is 2 and beta 2; expected alpha - beta = 1, beta 0 or more\.$"),
        (lambda: AlphaBeta(0.5, -0.5), r"^alpha is 0\.5 and beta -0\.5; expected"),
    ],
)
def test_parameters_out_of_range_are_named(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
