"""Checks of the filter calculus of Tjoa et al.: area under a filtered band, composition, recovery, bounds on mu.

A band is the set of amplitudes that a filter lets through, as parts of the largest one. Filters are any callables
of relevance ``(sample, channel, *grid)``; the paper's text treats them as functions on [0, 1], and so do these checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from .resampling import Array

Filter = Callable[[Tensor], Tensor]
POINTS = 10_001
"""Amplitudes 0 to 1 at which integrals are taken; their error is about one part in this."""


def uniform_band() -> Tensor:
    """One signal ``(1, 1, POINTS)`` float64 that holds every amplitude from 0 to 1 alike."""
    return torch.linspace(0, 1, POINTS, dtype=torch.float64).view(1, 1, -1)


def band_area(keep: Filter) -> float:
    """Integral of the filtered identity over [0, 1].

    Of a pass filter (0, alpha) it is alpha^2 / 2. The paper takes A1 = alpha^2 as its bound and prints alpha^2 / 2 >=
    alpha^2; what holds is alpha^2 / 2 <= alpha^2. Of a clamp at alpha it is alpha - alpha^2 / 2.
    """
    return _integral(keep(uniform_band()))


def composition_gap(first: Filter, then: Filter, at_once: Filter, relevance: Tensor) -> Tensor:
    """Largest difference ``(sample,)`` of two filters one after the other from one filter, as part of max |relevance|.

    Pass filters of fixed amplitudes compose to the pass filter of the intersection of their bands. Those of the
    paper's code do not: each takes its fractions of the maximum that the one before it has left, so that (0, a)
    after (0, b) is (0, ab), not (0, min(a, b)). NaN where the relevance is 0.
    """
    gap = (then(first(relevance)) - at_once(relevance)).flatten(1).abs().amax(dim=1)
    peak = relevance.flatten(1).abs().amax(dim=1)
    return gap.double() / peak.double().masked_fill(peak == 0, torch.nan)


@dataclass(frozen=True)
class Recovery:
    """How a filter differs from the true one on a uniform band, as parts of the area of the true one's.

    ``lost``: area that it takes away, in [0, 1]; ``added``: area that it lets through beyond, from 0 up.
    """

    lost: float
    added: float


def recovery(keep: Filter, truth: Filter) -> Recovery:
    """How far ``keep`` recovers what ``truth`` lets through of a uniform band.

    The paper says that a pass filter (0, alpha0) recovers the band [0.1, 0.5] without error for any alpha0 from 0.1 up.
    It loses a part below 0.5, and adds what is not in the band from anywhere above 0: only the band itself has no
    error. Raises ValueError where ``truth`` lets nothing through.
    """
    found, wanted = keep(uniform_band()), truth(uniform_band())
    whole = _integral(wanted.abs())
    if whole == 0:
        raise ValueError("truth lets nothing of a uniform band through; expected a filter that keeps some amplitudes.")
    missing = wanted.abs() - found.abs()
    return Recovery(_integral(missing.clamp_min(0)) / whole, _integral((-missing).clamp_min(0)) / whole)


@dataclass(frozen=True)
class Bound:
    """P(mu <= ``bound``) estimated: ``inside`` of ``subjects`` keep to it, ``share`` with its Wilson interval."""

    bound: float
    inside: int
    subjects: int
    share: float
    low: float
    high: float


def probability_of_bound(mu: Array, bound: float, *, level: float = 0.95) -> Bound:
    """The paper's P(mu <= mu^alpha) >= p, with ``bound`` for mu^alpha, by subject.

    ``mu (subject, channel)`` are normalised means, NaN where undefined (see `normalised_mean`). A subject keeps to
    the bound when all of its channels do: channels of one person are not independent. Subjects without any value
    are left out. The interval is Wilson's (1927). Raises ValueError where no subject is left.
    """
    largest = _largest(mu)
    inside, subjects = int((largest <= bound).sum()), len(largest)
    low, high = _wilson(inside, subjects, level)
    return Bound(bound, inside, subjects, inside / subjects, low, high)


def least_bound(mu: Array, probability: float, *, level: float = 0.95) -> Bound:
    """The smallest observed mu^alpha for which P(mu <= mu^alpha) >= ``probability`` by the interval's lower end.

    As `probability_of_bound`; the bound is chosen on the subjects that it is judged by, and so looks a little better
    than it is. Its numbers are NaN where even the largest one does not reach the probability: with n subjects the
    lower end cannot exceed n / (n + z^2). Raises ValueError for a probability outside (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; expected a number between 0 and 1.")
    for bound in np.unique(_largest(mu)):
        found = probability_of_bound(mu, float(bound), level=level)
        if found.low >= probability:
            return found
    return Bound(np.nan, 0, len(_largest(mu)), np.nan, np.nan, np.nan)


def _largest(mu: Array) -> Array:
    """Each subject's largest mu, of those that have one."""
    known = mu[~np.isnan(mu).all(axis=1)]
    if not len(known):
        raise ValueError(f"mu is undefined in all {len(mu)} subjects; expected a value in at least one.")
    return np.asarray(np.nanmax(known, axis=1))


def _wilson(inside: int, subjects: int, level: float) -> tuple[float, float]:
    interval = stats.binomtest(inside, subjects).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def _integral(values: Tensor) -> float:
    return float(torch.trapezoid(values.flatten(), dx=1 / (POINTS - 1)))
