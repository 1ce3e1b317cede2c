"""LRP from the explained score to the inputs of a network: several rules from one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from ...protocols import Classifier, LSTMStack
from ...scores import LOGIT
from .descent import Descent, Score
from .graph_descent import graph_descents
from .leak import account
from .lstm_descent import lstm_descents
from .plans import AnyRule, Plan


@dataclass(frozen=True)
class RelevanceRun:
    """What one rule made of a batch.

    ``relevance`` has the shape of the inputs. ``account`` has a row per sample (its position) and layer, from the
    score down: ``relevance_in`` is ``relevance_out`` plus what the ``bias`` (and other constants), the stabiliser
    (``epsilon``) and a filter (``filtered``) keep, up to rounding. Layers that can keep nothing have no row. What
    all rows keep and the sum of ``relevance`` add up to the score.
    """

    rule: AnyRule
    relevance: Tensor
    account: pd.DataFrame


def relevances(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    rules: Sequence[AnyRule],
    *,
    score: Score = LOGIT,
) -> list[Tensor]:
    """Relevance of ``inputs (sample, channel, *grid)`` for the ``score`` of ``targets (sample,)``, one per rule.

    Relevance enters each output as the output times the score's derivative by it: its value where the output is
    the score, the terms of the tangent where it is the probability, so that what is explained is what is scored.
    Rules, `Filtered` ones too, share a forward pass; each other `Propagation` that some `Tjoa` asks for has its own.
    LSTM layers, of an `LSTMStack` or inside another network, always follow the epsilon rule: it, or `Epsilon`'s
    default. Raises ValueError naming what LRP does not support in the model, and a filter's point that it lacks.
    """
    found: list[list[Tensor]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score, accounting=False):
        for place, relevance in zip(descent.places, descent.relevance, strict=True):
            found[place].append(relevance)
    return [torch.cat(parts) for parts in found]


def relevance_runs(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    rules: Sequence[AnyRule],
    *,
    score: Score = LOGIT,
) -> list[RelevanceRun]:
    """As `relevances`, with the account of where relevance leaked; one run per rule."""
    found: list[list[Tensor]] = [[] for _ in rules]
    accounts: list[list[pd.DataFrame]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score, accounting=True):
        for row, place in enumerate(descent.places):
            found[place].append(descent.relevance[row])
            accounts[place].append(account(descent.leaks, row, descent.first_sample))
    return [
        RelevanceRun(rule, torch.cat(parts), pd.concat(tables, ignore_index=True))
        for rule, parts, tables in zip(rules, found, accounts, strict=True)
    ]


def _descents(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    rules: Sequence[AnyRule],
    score: Score,
    *,
    accounting: bool,
) -> Iterator[Descent]:
    plans = [Plan.of(rule) for rule in rules]
    if isinstance(model, LSTMStack):
        only = [plan.only_rule() for plan in plans]
        yield from lstm_descents(model, inputs, targets, only, score, accounting=accounting)
        return
    for propagation in dict.fromkeys(plan.propagation for plan in plans):
        places = [place for place, plan in enumerate(plans) if plan.propagation == propagation]
        together = [plans[place] for place in places]
        for descent in graph_descents(model, inputs, targets, together, score, accounting=accounting):
            yield replace(descent, places=[places[row] for row in descent.places])
