"""LRP through an LSTM, against the numpy loop over samples and steps that is used for it.

The loop builds every message between two units, as Arras et al. (2017) write it, vectorised over units. Beside it
stands its leanest form, which stores no message and takes one matrix-vector product per map. The
loops explain the first beats only, and their time is counted for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.lstm import LSTMClassifier
from xai.methods import explainer
from xai.methods.lrp import Epsilon

from ..networks import STEPS, classes_of, network, random_inputs, seeds_of
from ..row import Case, Results, Row, Setting

EPSILON = Epsilon().epsilon
LOOPED = 4
"""Beats."""

Array = NDArray[np.floating[Any]]
Share = Callable[[Array, Array, Array, Array], Array]
"""Relevance of the inputs of a map, from the inputs, its weights ``(output, input)``, outputs and relevance."""


def away_from_zero(values: Array) -> Array:
    return values + np.where(values >= 0, EPSILON, -EPSILON).astype(values.dtype)


def by_messages(inputs: Array, weight: Array, outputs: Array, relevance: Array) -> Array:
    return (weight * inputs / away_from_zero(outputs)[:, None] * relevance[:, None]).sum(0)


def by_products(inputs: Array, weight: Array, outputs: Array, relevance: Array) -> Array:
    return inputs * ((relevance / away_from_zero(outputs)) @ weight)


def sum_by_messages(term: Array, total: Array, relevance: Array) -> Array:
    return by_messages(term, np.eye(len(term), dtype=term.dtype), total, relevance)


def sum_by_products(term: Array, total: Array, relevance: Array) -> Array:
    return term / away_from_zero(total) * relevance


class NumpyForm:
    """The same network and rule with one sample and one step at a time."""

    def __init__(self, model: LSTMClassifier, share: Share, share_sum: Callable[[Array, Array, Array], Array]) -> None:
        (layer,) = model.layers
        self.w_x, self.w_h, first, second = (weight.detach().cpu().numpy() for weight in layer.all_weights[0])
        self.bias = first + second
        self.head, self.head_bias = (part.detach().cpu().numpy() for part in (model.head.weight, model.head.bias))
        self.share, self.share_sum = share, share_sum

    def attribute(self, beat: Array, target: int) -> Array:
        """Relevance ``(channel, time)`` of ``beat (channel, time)``."""
        units, steps = self.w_h.shape[1], beat.shape[1]
        x = np.ascontiguousarray(beat.T)
        gates, cell, hidden = np.zeros((steps, 4, units), x.dtype), *np.zeros((2, steps + 1, units), x.dtype)
        totals = np.zeros((steps, units), x.dtype)
        for t in range(steps):
            before = (self.w_x @ x[t] + self.w_h @ hidden[t - 1] + self.bias).reshape(4, units)
            gates[t], totals[t] = 1 / (1 + np.exp(-before)), before[2]
            gates[t, 2] = np.tanh(before[2])
            cell[t] = gates[t, 1] * cell[t - 1] + gates[t, 0] * gates[t, 2]
            hidden[t] = gates[t, 3] * np.tanh(cell[t])
        logit = self.head[target] @ hidden[:steps].mean(0) + self.head_bias[target]
        from_head = hidden[:steps] * self.head[target] / steps / away_from_zero(logit) * logit
        return self.down(x, gates, cell, hidden, totals, from_head)

    def down(self, x: Array, gates: Array, cell: Array, hidden: Array, totals: Array, from_head: Array) -> Array:
        """The way back through time; the last row of ``cell`` and ``hidden`` is the state before the first step."""
        units = cell.shape[1]
        w_x, w_h = self.w_x[2 * units : 3 * units], self.w_h[2 * units : 3 * units]
        relevance, of_cell, of_hidden = np.zeros_like(x), np.zeros_like(cell[0]), np.zeros_like(cell[0])
        for t in range(len(x) - 1, -1, -1):
            of_cell = of_cell + of_hidden + from_head[t]
            of_candidate = self.share_sum(gates[t, 0] * gates[t, 2], cell[t], of_cell)
            relevance[t] = self.share(x[t], w_x, totals[t], of_candidate)
            of_hidden = self.share(hidden[t - 1], w_h, totals[t], of_candidate)
            of_cell = self.share_sum(gates[t, 1] * cell[t - 1], cell[t], of_cell)
        return relevance.T


def _build(setting: Setting) -> Case:
    model = network("L", setting)
    beats = random_inputs(setting, 3, 1, 20) if setting.small else random_inputs(setting, 128, 1, STEPS)
    looped = 2 if setting.small else LOOPED
    targets, seeds, arrays = classes_of(beats), seeds_of(beats), beats[:looped].cpu().numpy()

    def ours() -> Results:
        found = explainer("lrp_epsilon").attribute(model, beats, targets, seeds=seeds)
        return [found[:looped]]

    def loop(form: NumpyForm) -> Results:
        found = [form.attribute(beat, target) for beat, target in zip(arrays, targets.tolist(), strict=False)]
        return [torch.from_numpy(np.stack(found))]

    messages = NumpyForm(model, by_messages, sum_by_messages)
    products = NumpyForm(model, by_products, sum_by_products)
    return Case(
        ours,
        {"numpy loop": {"": lambda: loop(messages)}, "lean numpy loop": {"": lambda: loop(products)}},
        parts=dict.fromkeys(("numpy loop", "lean numpy loop"), looped / len(beats)),
    )


ROWS = (Row("lrp-LSTM", "LRP of 128 beats", _build, goals={"numpy loop": 18}, rounding=1e-3),)
