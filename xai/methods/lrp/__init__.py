"""Layer-wise relevance propagation: several rules from one forward pass, and an account of what leaks.

>>> runs = relevance_runs(model, inputs, targets, [Epsilon(), AlphaBeta(2, 1), EPSILON_PLUS])
>>> runs[0].relevance.shape == inputs.shape
True

A rule (`rules`, `first_layer_rules`) says what a linear map hands to its inputs, a composite (`composites`) which rule
holds where. `tracing` makes a network a graph of named calls; `table` says what relevance does at each: `operations`,
and `linear_pass` where there are weights. `graph_descent` walks from the score to the inputs, `lstm_descent` does so
for LSTM classifiers; `runs` is the way in.
"""

from __future__ import annotations

from .composites import (
    COMPOSITES,
    EPSILON_ALPHA2BETA1,
    EPSILON_ALPHA2BETA1_FLAT,
    EPSILON_PLUS,
    EPSILON_PLUS_FLAT,
    AnyRule,
    Composite,
    epsilon_gamma_box,
)
from .explainer import LRP, mean_relevances
from .first_layer_rules import Flat, WSquare, ZBox
from .names import RULES, rule_named
from .rules import AlphaBeta, Epsilon, Gamma, Rule
from .runs import RelevanceRun, relevance_runs, relevances
from .tracing import layer_names

__all__ = [
    "COMPOSITES",
    "EPSILON_ALPHA2BETA1",
    "EPSILON_ALPHA2BETA1_FLAT",
    "EPSILON_PLUS",
    "EPSILON_PLUS_FLAT",
    "LRP",
    "RULES",
    "AlphaBeta",
    "AnyRule",
    "Composite",
    "Epsilon",
    "Flat",
    "Gamma",
    "RelevanceRun",
    "Rule",
    "WSquare",
    "ZBox",
    "epsilon_gamma_box",
    "layer_names",
    "mean_relevances",
    "relevance_runs",
    "relevances",
    "rule_named",
]
