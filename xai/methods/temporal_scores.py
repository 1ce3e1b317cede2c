"""Temporal scores: what a causal classifier decides after every step, and when the evidence reaches it.

van der Westhuizen & Lasenby (2017), section 5.3: classify the steps ``1..n`` for every ``n``. The logits are the
mean over time of per-step scores, so that those of all prefixes are a running mean of one forward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..protocols import PrefixClassifier


def prefix_scores(model: PrefixClassifier, inputs: Tensor) -> Tensor:
    """Logits of every prefix of ``inputs (sample, channel, time)``: ``(sample, time, class)``, no gradient.

    Entry ``t`` equals ``model(inputs[:, :, : t + 1])``.
    """
    with torch.no_grad():
        return running_mean(model.step_scores(inputs))


def running_mean(step_scores: Tensor) -> Tensor:
    """Mean over the steps so far of ``step_scores (sample, time, class)``, in their shape and dtype."""
    steps = torch.arange(1, step_scores.shape[1] + 1, device=step_scores.device, dtype=step_scores.dtype)
    return step_scores.cumsum(1) / steps[:, None]


def first_stable_correct(decisions: Tensor, targets: Tensor) -> Tensor:
    """First step from which on the decision is right up to the end, float64 ``(sample,)``; NaN where it ends wrong.

    ``decisions (sample, time)`` are class indices after each step, ``targets (sample,)`` the true ones. 0 means
    right from the first step on.
    """
    wrong = decisions != targets[:, None]
    numbers = torch.arange(1, decisions.shape[1] + 1, device=decisions.device)
    after_last_wrong = (wrong * numbers).amax(1).double()
    return after_last_wrong.masked_fill(wrong[:, -1], float("nan"))


def first_decision(decisions: Tensor, steps: int) -> Tensor:
    """The class that a sample's first ``steps`` decisions name most often, int64 ``(sample,)``: the prior it shows.

    ``decisions`` is ``(sample, time)``; of classes named equally often the one with the lowest index counts.
    Raises ValueError where ``steps`` is not 1 to the number of decisions.
    """
    if not 1 <= steps <= decisions.shape[1]:
        raise ValueError(f"steps is {steps}; expected 1 to the number of decisions, {decisions.shape[1]}.")
    return decisions[:, :steps].mode(1).values


def margins(step_scores: Tensor, targets: Tensor) -> Tensor:
    """Score of the target less that of the best other class at every step: ``(sample, time)``, logits.

    ``step_scores`` is ``(sample, time, class)``, ``targets (sample,)``. Above 0 where a step by itself speaks for
    the target. Raises ValueError for a single class, which has no other.
    """
    if step_scores.shape[2] < 2:
        raise ValueError(f"step_scores has {step_scores.shape[2]} classes; expected 2 or more.")
    where = targets.view(-1, 1, 1).expand(-1, step_scores.shape[1], 1)
    others = step_scores.scatter(2, where, float("-inf"))
    return step_scores.gather(2, where).squeeze(2) - others.amax(2)


def rise(values: Tensor) -> Tensor:
    """Change-point of ``values (sample, time)``: the step with which they rise, float64 ``(sample,)``.

    The split in two parts, each with its own mean, that leaves the smallest sum of squares among those whose
    second mean is the higher: evidence that fades again still sets in where it rises. Least squares over all
    steps, so that no single step decides. NaN where no split rises (constant or falling values, a single step).
    """
    steps = values.shape[1]
    if steps < 2:
        return values.new_full((len(values),), float("nan"), dtype=torch.float64)
    sums = values.double().cumsum(1)
    before = torch.arange(1, steps, device=values.device, dtype=torch.float64)
    after = steps - before
    gain = (sums[:, -1:] - sums[:, :-1]) / after - sums[:, :-1] / before
    # equal numbers give a gain of rounding noise, which is no rise
    least = 1e-9 * values.double().abs().amax(1, keepdim=True)
    explained = torch.where(gain > least, gain.square() * before * after / steps, 0.0)
    best = explained.max(1)
    return (best.indices + 1).double().masked_fill(best.values == 0, float("nan"))
