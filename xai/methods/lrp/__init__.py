"""Layer-wise relevance propagation: several rules from one forward pass, and an account of what leaks.

>>> runs = relevance_runs(model, inputs, targets, [Epsilon(), AlphaBeta(2, 1), EPSILON_PLUS])
>>> runs[0].relevance.shape == inputs.shape
True

A rule (`rules`, `first_layer_rules`) says what a linear map hands to its inputs, a composite (`composites`) which rule
holds where. Filters (`filters`) change relevance on its way, at points (`filter_points`) of the network; `Filtered`
puts both together. `Tjoa` is the propagation of the paper that introduced them, defects and all. `plans` says what
each of these asks for.

`tracing` makes a network a graph of named calls; `table` says what relevance does at each: `operations`, and
`linear_pass` where there are weights, `recurrent` at an LSTM; `propagation` what changes with norms and skips.
`graph_descent` walks from the score to the inputs, `lstm_descent` does so for classifiers that are a stack of LSTM
layers; `runs` is the way in.
"""

from __future__ import annotations

from .composites import (
    COMPOSITES,
    EPSILON_ALPHA2BETA1,
    EPSILON_ALPHA2BETA1_FLAT,
    EPSILON_PLUS,
    EPSILON_PLUS_FLAT,
    Composite,
    epsilon_gamma_box,
    zplus_box,
)
from .explainer import LRP, mean_relevances
from .filter_points import filter_points
from .filtered import Filtered
from .filters import FILTERS, SWEEP, Clamp, Pass, Raw, filter_named
from .first_layer_rules import Flat, WSquare, ZBox
from .names import RULES, rule_named
from .plans import AnyRule
from .propagation import Propagation
from .rules import AlphaBeta, Epsilon, Gamma, Rule, WPlus
from .runs import RelevanceRun, relevance_runs, relevances
from .tjoa import Tjoa
from .tracing import layer_names

__all__ = [
    "COMPOSITES",
    "EPSILON_ALPHA2BETA1",
    "EPSILON_ALPHA2BETA1_FLAT",
    "EPSILON_PLUS",
    "EPSILON_PLUS_FLAT",
    "FILTERS",
    "LRP",
    "RULES",
    "SWEEP",
    "AlphaBeta",
    "AnyRule",
    "Clamp",
    "Composite",
    "Epsilon",
    "Filtered",
    "Flat",
    "Gamma",
    "Pass",
    "Propagation",
    "Raw",
    "RelevanceRun",
    "Rule",
    "Tjoa",
    "WPlus",
    "WSquare",
    "ZBox",
    "epsilon_gamma_box",
    "filter_named",
    "filter_points",
    "layer_names",
    "mean_relevances",
    "relevance_runs",
    "relevances",
    "rule_named",
    "zplus_box",
]
