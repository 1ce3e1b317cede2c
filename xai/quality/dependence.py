"""How far back a network looks, and whether the best occlusion width grows with it.

The paper's claim: "the length of the occluded section is proportional to the temporal dependence length of
the model" (van der Westhuizen & Lasenby, 2017, section 4.1). Here it is a slope on logarithms, with an interval.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from ..methods.gradients import differentiable
from ..protocols import PrefixClassifier

Array = np.ndarray[Any, np.dtype[np.float64]]

SHARE_OF_PEAK = 0.05
FEWEST_SUBJECTS = 6
"""A slope over fewer subjects has no interval."""


def late_steps(time: int, count: int = 8) -> list[int]:
    """Up to ``count`` output steps spread evenly over the last quarter of a window, its last step among them."""
    return sorted({round(step) for step in np.linspace(time - 1 - (time - 1) // 4, time - 1, count)})


def dependence_curve(model: PrefixClassifier, inputs: Tensor, targets: Tensor, steps: Sequence[int]) -> Tensor:
    """Mean of ``|d s_c(t) / d x(t - lag)|`` over the output steps ``t`` and the channels, float64.

    ``s_c(t)`` is the target's score at step ``t`` alone (`step_scores`), ``inputs (sample, channel, time)`` are
    normalised. Returns ``(sample, lag)`` for the lags 0 to ``min(steps)``, which every output step reaches.
    """
    reach = min(steps)
    with differentiable(model):
        leaf = inputs.detach().clone().requires_grad_()
        scores = model.step_scores(leaf)
        scores = scores.gather(2, targets.view(-1, 1, 1).expand(-1, scores.shape[1], 1)).squeeze(2)
        total = torch.zeros(len(inputs), reach + 1, dtype=torch.float64, device=inputs.device)
        for step in steps:
            (gradient,) = torch.autograd.grad(scores[:, step].sum(), leaf, retain_graph=True)
            total += gradient.abs().double().mean(1)[:, step - reach : step + 1].flip(1)
    return total / len(steps)


def dependence_length(curves: Tensor, share: float = SHARE_OF_PEAK) -> Tensor:
    """The lag (steps) from which on a curve ``(..., lag)`` stays under ``share`` of its peak, ``(...)`` float64.

    NaN where it does not fall that far within the lags there are (censored), and where it is 0 or not finite.
    """
    peak = curves.amax(-1, keepdim=True)
    reached = curves >= share * peak
    lags = torch.arange(1, curves.shape[-1] + 1, device=curves.device)
    length = torch.where(reached, lags, 0).amax(-1).double()
    undefined = reached[..., -1] | (peak[..., 0] <= 0) | ~curves.isfinite().all(-1)
    return length.masked_fill(undefined, torch.nan)


def with_forget_bias(model: nn.Module, shift: float) -> nn.Module:
    """A copy of the network whose LSTM layers forget less (``shift`` above 0) or more: the gate's bias is moved.

    It changes the dependence length and leaves all else of the network as it is.
    """
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for layer in changed.modules():
            if isinstance(layer, nn.LSTM):
                for _, _, bias, *_ in layer.all_weights:  # PyTorch orders the gates input, forget, cell, output
                    bias[layer.hidden_size : 2 * layer.hidden_size] += shift
    return changed


def best_width(widths: Sequence[int], areas: Sequence[float]) -> tuple[float, bool]:
    """The width with the lowest of the ``areas``, and whether it is the narrowest or widest tried.

    Widths are about a constant ratio apart, so the least area is placed between them by the parabola on
    log(width) through the lowest and its two neighbours; it never leaves these. NaN where an area is not finite.
    """
    values = np.asarray(areas, dtype=float)
    if not np.isfinite(values).all():
        return float("nan"), False
    lowest = int(values.argmin())
    if lowest in (0, len(values) - 1):
        return float(widths[lowest]), True
    place = np.log(np.asarray(widths, dtype=float))[lowest - 1 : lowest + 2]
    bend, slope, _ = np.polyfit(place - place[1], values[lowest - 1 : lowest + 2], 2)
    return float(np.exp(place[1] - slope / (2 * bend))) if bend > 0 else float(widths[lowest]), False


@dataclass(frozen=True)
class Slope:
    """A least-squares slope with its interval over ``subjects``; NaN where undefined. ``points`` were fitted."""

    slope: float
    ci_low: float
    ci_high: float
    subjects: int
    points: int


def slope_by_subject(
    x: Array,
    y: Array,
    subjects: Array,
    *,
    within: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Slope:
    """Slope of ``y`` on ``x`` over points ``(point,)``, with a bootstrap over the subjects that they belong to.

    Points with a NaN are left out. ``within``: each subject has its own intercept, so that only what differs
    within a subject counts, and subjects with a single point do not. The interval is the percentile one with its
    tails widened to the t distribution, as in `comparison`. NaN where ``x`` does not vary, no interval under 6
    subjects.
    """
    sums = _sums_by_subject(x, y, subjects)
    if within:
        sums = _centred(sums[sums[:, 0] > 1])
    slope = float(_slopes(sums.sum(0)[None])[0]) if len(sums) else float("nan")
    low = high = float("nan")
    if len(sums) >= FEWEST_SUBJECTS and np.isfinite(slope):
        low, high = _interval(sums, resamples, seed, level)
    return Slope(slope, low, high, len(sums), int(sums[:, 0].sum()))


def _sums_by_subject(x: Array, y: Array, subjects: Array) -> Array:
    """``(subject, 5)``: the sums of 1, x, y, x² and xy over the known points of each subject that has any."""
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    units, owner = np.unique(subjects[known], return_inverse=True)
    parts = (np.ones_like(x), x, y, x * x, x * y)
    return np.stack([np.bincount(owner, part, minlength=len(units)) for part in parts], axis=1)


def _centred(sums: Array) -> Array:
    """The same sums of x and y less their subject's means; a spread that is rounding is 0."""
    count, x, y, xx, xy = sums.T
    spread = np.where(xx - x * x / count > 1e-12 * xx, xx - x * x / count, 0.0)
    together = np.where(spread > 0, xy - x * y / count, 0.0)
    return np.stack([count, 0 * x, 0 * y, spread, together], axis=1)


def _slopes(sums: Array) -> Array:
    """Slopes from rows of the sums of 1, x, y, x², xy; NaN where x does not vary."""
    count, x, y, xx, xy = sums.T
    spread = xx - x * x / count
    flat = spread <= 1e-12 * xx
    return np.where(flat, np.nan, (xy - x * y / count) / np.where(flat, 1, spread))


def _interval(sums: Array, resamples: int, seed: int, level: float) -> tuple[float, float]:
    count = len(sums)
    weights = np.random.default_rng([seed, count]).multinomial(count, np.full(count, 1 / count), size=resamples)
    tail = stats.norm.cdf(-np.sqrt(count / (count - 1)) * stats.t.ppf((1 + level) / 2, count - 1))
    low, high = np.nanquantile(_slopes(weights @ sums), [tail, 1 - tail])
    return float(low), float(high)
