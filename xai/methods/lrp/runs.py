"""LRP from the explained score to the inputs of a network: several rules from one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ...protocols import Classifier, LSTMStack, RelevanceFilter
from ...scores import LOGIT
from .composites import AnyRule
from .descent import Descent, Score
from .graph_descent import NO_FILTERS, graph_descents
from .leak import account
from .lstm_descent import lstm_descents


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
    filters: Mapping[str, RelevanceFilter] = NO_FILTERS,
) -> list[Tensor]:
    """Relevance of ``inputs (sample, channel, *grid)`` for the ``score`` of ``targets (sample,)``, one per rule.

    Relevance enters each output as the output times the score's derivative by it: its value where the output is
    the score, the terms of the tangent where it is the probability, so that what is explained is what is scored.
    ``filters`` act, by layer name, on what that layer hands to each of its inputs. In an `LSTMStack` a rule holds
    in the head; its LSTM layers always follow the epsilon rule: it, or `Epsilon`'s default.
    Raises ValueError naming what LRP does not support in the model, and a filter's layer that the model lacks.
    """
    found: list[list[Tensor]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score, filters, accounting=False):
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
    filters: Mapping[str, RelevanceFilter] = NO_FILTERS,
) -> list[RelevanceRun]:
    """As `relevances`, with the account of where relevance leaked; one run per rule."""
    found: list[list[Tensor]] = [[] for _ in rules]
    accounts: list[list[pd.DataFrame]] = [[] for _ in rules]
    for descent in _descents(model, inputs, targets, rules, score, filters, accounting=True):
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
    filters: Mapping[str, RelevanceFilter],
    *,
    accounting: bool,
) -> Iterator[Descent]:
    if not isinstance(model, LSTMStack):
        return graph_descents(model, inputs, targets, rules, score, filters=filters, accounting=accounting)
    if filters:
        raise ValueError(f"filters names {next(iter(filters))!r}; LRP through LSTM layers takes no filters.")
    return lstm_descents(model, inputs, targets, rules, score, accounting=accounting)
