"""LRP on an LSTM against its one-sample numpy form: equality first, then interleaved timings in one process.

    python tests/benchmarks/lrp.py

Model L: one LSTM layer of 128 units, 216 steps, one channel, five classes; 128 beats, the epsilon rule. The numpy
forms take one beat and one step at a time, vectorised over units. "messages" builds every message between two
units, as Arras et al. (2017) write it, and is what the floor compares with; "products" is the leanest form of
the same: no message is stored, one matrix-vector product per map. Times are per beat. Trust the ratios.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.lstm import LSTMClassifier
from xai.methods import explainer
from xai.methods.lrp import AlphaBeta, Epsilon, Gamma, relevances

THREADS, REPEATS = 1, 9
FLOOR, GOAL = 15, 18
BEATS, NUMPY_BEATS = 128, 4  # the batch of a job, and as many as the one-by-one forms have time for
EPSILON = Epsilon().epsilon

Array = NDArray[np.floating]
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
        self.w_x, self.w_h, first, second = (weight.detach().numpy() for weight in layer.all_weights[0])
        self.bias = first + second
        self.head, self.head_bias = model.head.weight.detach().numpy(), model.head.bias.detach().numpy()
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


def contenders(model: LSTMClassifier, beats: Tensor, targets: Tensor) -> dict[str, Callable[[], tuple[Array, float]]]:
    """Name -> a run that returns the relevance of its beats and by how many relevances to divide its time."""
    arrays, aims, seeds = beats.numpy(), targets.tolist(), torch.arange(len(beats))
    three = [Epsilon(), AlphaBeta(2, 1), Gamma(0.25)]

    def one_by_one(form: NumpyForm) -> tuple[Array, float]:
        pairs = zip(arrays[:NUMPY_BEATS], aims[:NUMPY_BEATS], strict=True)
        return np.stack([form.attribute(*pair) for pair in pairs]), NUMPY_BEATS

    def ours() -> tuple[Array, float]:
        return explainer("lrp_epsilon").attribute(model, beats, targets, seeds=seeds).numpy(), len(beats)

    def ours_three() -> tuple[Array, float]:
        return relevances(model, beats, targets, three)[0].numpy(), len(three) * len(beats)

    messages = NumpyForm(model, by_messages, sum_by_messages)
    products = NumpyForm(model, by_products, sum_by_products)
    return {
        "plumbline": ours,
        "plumbline, 3 rules, each": ours_three,
        "numpy, messages": lambda: one_by_one(messages),
        "numpy, products": lambda: one_by_one(products),
    }


def largest_difference(runs: dict[str, Callable[[], tuple[Array, float]]]) -> float:
    """Largest difference of any contender to the first, in units of the largest relevance."""
    reference, *others = [run()[0][:NUMPY_BEATS] for run in runs.values()]
    return max(float(np.abs(other - reference).max()) for other in others) / float(np.abs(reference).max())


def timings(runs: dict[str, Callable[[], tuple[Array, float]]]) -> dict[str, list[float]]:
    """Seconds per relevance map in each repeat, contenders taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            started = time.perf_counter()
            _, maps = run()
            seconds[name].append((time.perf_counter() - started) / maps)
    return seconds


def main() -> int:
    """Prints medians, quartiles and the ratios; 1 where the results differ or the floor is missed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = LSTMClassifier(1, 5, (128,)).eval()
    beats, targets = torch.randn(BEATS, 1, 216), torch.arange(BEATS) % 5
    for dtype, limit in ((torch.float64, 1e-10), (torch.float32, 1e-3)):
        difference = largest_difference(contenders(model.to(dtype), beats.to(dtype), targets))
        print(f"largest difference over largest relevance, {dtype}: {difference:.1e} (limit {limit:.0e})")
        if difference > limit:
            return 1
    seconds = timings(contenders(model, beats, targets))
    for name, values in seconds.items():
        low, median, high = (1e3 * q for q in statistics.quantiles(values, n=4))
        print(f"{name:>24}: median {median:7.2f} ms, quartiles {low:7.2f} to {high:7.2f}")
    ours, three, messages, products = (statistics.median(values) for values in seconds.values())
    print(f"numpy's messages over plumbline: {messages / ours:.1f} (floor {FLOOR}, goal {GOAL})")
    print(f"with 3 rules from one forward, each: {messages / three:.1f}")
    print(f"numpy's products over plumbline: {products / ours:.1f}, 3 rules {products / three:.1f}")
    return 0 if messages / ours >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
