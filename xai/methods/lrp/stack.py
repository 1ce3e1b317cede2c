"""LRP through a whole LSTM classifier, from the explained score to the inputs, several rules from one forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import linear

from ...protocols import Classifier, LayerTrace, LSTMStack
from ...scores import LOGIT, ScoreOperator
from .leak import Leak, account
from .linear import HeadPass
from .lstm import LSTMPass
from .rules import Epsilon, Rule

VALUES_AT_ONCE = {"cpu": 2**20, "cuda": 2**26}
"""Outputs of one layer held at once, at most, by device: on a CPU more would leave its cache."""


@dataclass(frozen=True)
class RelevanceRun:
    """What one rule made of a batch.

    ``relevance`` has the shape of the inputs. ``account`` has a row per sample (its position) and layer, from the
    score down to the first LSTM layer: ``relevance_in`` is ``relevance_out`` plus what the ``bias`` and the
    stabiliser (``epsilon``) keep, up to rounding. The first layer's ``relevance_out`` is the sum of ``relevance``.
    """

    rule: Rule
    relevance: Tensor
    account: pd.DataFrame


def relevances(
    model: Classifier, inputs: Tensor, targets: Tensor, rules: Sequence[Rule], *, score: ScoreOperator = LOGIT
) -> list[Tensor]:
    """Relevance of ``inputs (sample, channel, time)`` for the ``score`` of ``targets (sample,)``, one per rule.

    Relevance enters each logit as the logit times the score's derivative by it: its value where the logit is
    the score, the terms of the tangent where it is the probability, so that what is explained is what is scored.
    A rule holds in the head; LSTM layers always follow the epsilon rule: it, or `Epsilon`'s default.
    Raises ValueError for a model that is no LSTM stack and for inputs of another shape.
    """
    found: list[list[Tensor]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score):
        for place, relevance in zip(descent.places, descent.relevance(), strict=True):
            found[place].append(relevance)
    return [torch.cat(parts) for parts in found]


def relevance_runs(
    model: Classifier, inputs: Tensor, targets: Tensor, rules: Sequence[Rule], *, score: ScoreOperator = LOGIT
) -> list[RelevanceRun]:
    """As `relevances`, with the account of where relevance leaked; one run per rule."""
    found: list[list[Tensor]] = [[] for _ in rules]
    accounts: list[list[pd.DataFrame]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score):
        leaks, relevance = descent.leaks(), descent.relevance()
        for row, place in enumerate(descent.places):
            found[place].append(relevance[row])
            accounts[place].append(account(leaks, row, descent.first_sample))
    return [
        RelevanceRun(rule, torch.cat(parts), pd.concat(tables, ignore_index=True))
        for rule, parts, tables in zip(rules, found, accounts, strict=True)
    ]


@dataclass(frozen=True)
class ScorePass:
    """How the explained ``score (sample,)`` becomes relevance of the logits, ``leaving (sample, class)``."""

    score: Tensor
    leaving: Tensor

    @classmethod
    def down(cls, logits: Tensor, targets: Tensor, score: ScoreOperator) -> ScorePass:
        """The terms of the score's tangent at ``logits (sample, class)``: each logit times its derivative."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = logits.clone().requires_grad_()
            value = score(leaf, targets.clone())
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        return cls(value.detach(), slope * logits)

    def leak(self, rules: int) -> Leak:
        """The account of the score, for each of so many rules: the tangent's intercept counts as bias."""
        entering = self.score.double().expand(rules, -1)
        leaving = self.leaving.sum(1, dtype=torch.float64).expand(rules, -1)
        return Leak("score", entering, leaving, entering - leaving, torch.zeros_like(leaving))


@dataclass(frozen=True)
class Descent:
    """The way of the relevance of some rules, at ``places`` of the list asked for, through some samples."""

    places: Sequence[int]
    first_sample: int
    score: ScorePass
    head: HeadPass
    layers: Sequence[LSTMPass]

    def relevance(self) -> Tensor:
        """Relevance of the inputs ``(rule, sample, channel, time)``."""
        return self.layers[-1].leaving.permute(1, 2, 3, 0).contiguous()

    def leaks(self) -> list[Leak]:
        """The account from the score to the first layer."""
        return [self.score.leak(len(self.places)), self.head.leak(), *(layer.leak() for layer in self.layers)]


def _descents(
    model: Classifier, inputs: Tensor, targets: Tensor, rules: Sequence[Rule], score: ScoreOperator
) -> Iterator[Descent]:
    """The descents of all rules, a few samples at a time; every sample's forward pass is run once."""
    stack = _require_stack(model, inputs)
    groups = _places_by_epsilon(rules)
    together = _samples_at_once(stack, inputs)
    for first in range(0, len(inputs), together):
        traces = stack.trace(inputs[first : first + together].detach())
        logits = linear(traces[-1].hidden.mean(1), stack.readout().weight, stack.readout().bias).detach()
        start = ScorePass.down(logits, targets[first : first + together], score)
        for epsilon, places in groups.items():
            chosen = [rules[place] for place in places]
            head = HeadPass.down(stack.readout(), traces[-1].hidden, start.leaving.expand(len(places), -1, -1), chosen)
            yield Descent(places, first, start, head, _through_layers(traces, head.leaving, epsilon))


def _through_layers(traces: Sequence[LayerTrace], relevance: Tensor, epsilon: float) -> list[LSTMPass]:
    """From the last layer, whose outputs have ``relevance (time, rule, sample, unit)``, to the first."""
    layers: list[LSTMPass] = []
    for number in range(len(traces), 0, -1):
        layers.append(LSTMPass.down(f"lstm_{number}", traces[number - 1], relevance, epsilon))
        relevance = layers[-1].leaving
    return layers


def _places_by_epsilon(rules: Sequence[Rule]) -> dict[float, list[int]]:
    """The rules' positions by the epsilon of their LSTM layers: rules of one epsilon share all else there."""
    places: dict[float, list[int]] = {}
    for place, rule in enumerate(rules):
        epsilon = rule.epsilon if isinstance(rule, Epsilon) else Epsilon().epsilon
        places.setdefault(epsilon, []).append(place)
    return places


def _samples_at_once(stack: LSTMStack, inputs: Tensor) -> int:
    most = VALUES_AT_ONCE.get(inputs.device.type, VALUES_AT_ONCE["cpu"])
    return max(1, most // (inputs.shape[2] * stack.readout().in_features))


def _require_stack(model: Classifier, inputs: Tensor) -> LSTMStack:
    if not isinstance(model, LSTMStack):
        raise ValueError(f"model is a {type(model).__name__}; LRP expects stacked LSTM layers and a linear head.")
    if inputs.dim() != 3:
        raise ValueError(f"inputs have the shape {tuple(inputs.shape)}; LRP expects (sample, channel, time).")
    return model
