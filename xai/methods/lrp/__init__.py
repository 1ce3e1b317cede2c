"""Layer-wise relevance propagation: several rules from one forward pass, and an account of what leaks.

>>> runs = relevance_runs(model, inputs, targets, [Epsilon(), AlphaBeta(2, 1), Gamma(0.25)])
>>> runs[0].relevance.shape == inputs.shape
True

LSTM classifiers so far. A rule (`rules`) says what a linear map hands to its inputs; a pass (`HeadPass`,
`LSTMPass`) takes relevance through one layer and knows its leak; `stack` walks from the score to the inputs.
"""

from __future__ import annotations

from .explainer import LRP
from .rules import RULES, AlphaBeta, Epsilon, Gamma, Rule, rule_named
from .stack import RelevanceRun, relevance_runs, relevances

__all__ = [
    "LRP",
    "RULES",
    "AlphaBeta",
    "Epsilon",
    "Gamma",
    "RelevanceRun",
    "Rule",
    "relevance_runs",
    "relevances",
    "rule_named",
]
