"""The primary test: epochs are averaged to nights and nights to subjects before anything is compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import statsmodels.api as sm

from ..resampling import FEWEST_SUBJECTS, Array, defined_blocks, mean_intervals, sign_flip_p
from .design import Design, Indices
from .estimates import ROUNDING, Estimates, constant, why_not
from .groups import Group, Scale, Units
from .permutation import freedman_lane_p


def subject_mean(
    units: Units, groups: Sequence[Group], scale: Scale, design: Design, *, level: float, permutations: int, seed: int
) -> Estimates:
    """Factors of subjects by regression of the subjects' means, factors within them by paired differences.

    Between: ordinary least squares over subjects, with an intercept for every fold (see `Units`), gives
    coefficient, standard error and interval (t), and permutation of residuals p (see `freedman_lane_p`). Within:
    the mean difference between a subject's nights at the two levels with its bootstrap interval, and sign flips p;
    subjects without both levels are left out.
    ``permutations`` is also the number of sign flips and of resamples.
    """
    found = Estimates.undefined((len(groups), len(design.parts), len(design.factors)))
    means, epochs = _unit_means(units, groups, scale)
    subjects = _average(means, units.subject, np.ones(len(units.subject), dtype=bool))
    _between(found, subjects, epochs, units, design, level, permutations, seed)
    for factor in design.within():
        high, low = (_average(means, units.subject, units.coded[:, factor] == code) for code in (1, 0))
        _within(found, factor, high - low, epochs, level, permutations, seed)
    return found


def _unit_means(units: Units, groups: Sequence[Group], scale: Scale) -> tuple[Array, Array]:
    """Mean shares ``(unit, group, part)``, NaN where a unit has no epoch, and epochs ``(subject, group)``."""
    count, subjects = len(units.subject), int(units.subject.max()) + 1
    means, epochs = [], []
    for group in groups:
        number = np.bincount(group.unit, minlength=count)
        sums = [np.bincount(group.unit, weights=values, minlength=count) for values in group.values(scale).T]
        means.append(np.column_stack(sums) / np.where(number == 0, np.nan, number)[:, None])
        epochs.append(np.bincount(units.subject, weights=number, minlength=subjects))
    return np.stack(means, axis=1), np.stack(epochs, axis=1)


def _average(means: Array, subject: Indices, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Array:
    """Mean over the chosen units of each subject ``(subject, group, part)``; NaN where none is defined."""
    member = (subject == np.arange(subject.max() + 1)[:, None]) & chosen
    defined = ~np.isnan(means)
    sums = np.tensordot(member.astype(float), np.where(defined, means, 0.0), axes=1)
    counts = np.tensordot(member.astype(float), defined.astype(float), axes=1)
    return sums / np.where(counts == 0, np.nan, counts)


def _between(
    found: Estimates, subjects: Array, epochs: Array, units: Units, design: Design, level: float,
    permutations: int, seed: int,
) -> None:  # fmt: skip
    """Fills in the factors of subjects; groups with the same subjects share their permutations."""
    positions = design.between()
    names = [design.factors[position].name for position in positions]
    first_unit = np.unique(units.subject, return_index=True)[1]
    coded, folds = units.coded[np.ix_(first_unit, positions)], units.fold[first_unit]
    patterns, pattern_of = np.unique(~np.isnan(subjects[:, :, 0]), axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T if len(positions) else ()):
        chosen = np.flatnonzero(pattern_of.ravel() == number)
        at = np.ix_(chosen, np.arange(found.p.shape[1]), positions)
        found.n_subjects[at] = pattern.sum()
        found.n_epochs[at] = epochs[np.ix_(pattern, chosen)].sum(axis=0)[:, None, None]
        intercepts = _intercepts(folds[pattern])
        found.note[at] = why_not(coded[pattern], int(pattern.sum()), names, len(positions), intercepts)
        if found.note[at].flat[0] == "":
            values = subjects[pattern][:, chosen]
            regressors, nuisance = np.column_stack([intercepts, coded[pattern]]), intercepts.shape[1]
            p = freedman_lane_p(
                values.reshape(len(values), -1), regressors, permutations, seed, nuisance=nuisance
            ).reshape(len(chosen), -1, len(positions))
            _regress(found, chosen, positions, values, regressors, p, level)


def _intercepts(folds: Indices) -> Array:
    """A constant, and what each fold but the first adds to it ``(subject, fold)``."""
    others = np.unique(folds)[1:]
    return np.column_stack([np.ones(len(folds)), folds[:, None] == others]).astype(float)


def _regress(
    found: Estimates, chosen: Indices, positions: Indices, values: Array, regressors: Array, p: Array, level: float
) -> None:
    """Fits each group and part of ``values (subject, group, part)``; the factors are the last regressors."""
    nuisance = regressors.shape[1] - len(positions)
    for row, group in enumerate(chosen):
        for part in range(values.shape[2]):
            at = (group, part, positions)
            if constant(values[:, row, part]):
                found.note[at] = "share does not vary"
                continue
            result = sm.OLS(values[:, row, part], regressors).fit()
            found.coefficient[at], found.std_error[at] = result.params[nuisance:], result.bse[nuisance:]
            found.ci_low[at], found.ci_high[at] = result.conf_int(1 - level)[nuisance:].T
            found.p[at], found.freedom[at] = p[row, part], result.df_resid


def _within(
    found: Estimates, factor: int, differences: Array, epochs: Array, level: float, resamples: int, seed: int
) -> None:
    """Fills in a factor that differs between nights, from differences ``(subject, group, part)``."""
    paired = ~np.isnan(differences[:, :, 0])
    found.n_subjects[:, :, factor] = paired.sum(axis=0)[:, None]
    found.n_epochs[:, :, factor] = np.where(paired, epochs, 0).sum(axis=0)[:, None]
    found.note[:, :, factor] = np.where(paired.sum(axis=0) < FEWEST_SUBJECTS, "too few subjects", "")[:, None]
    largest: Array = np.nan_to_num(np.abs(differences)).max(axis=0)
    still = paired.any(axis=0, keepdims=True).T & (largest <= ROUNDING)
    found.note[:, :, factor][still & (found.note[:, :, factor] == "")] = "share does not vary"
    for columns, block in defined_blocks(np.where(still, np.nan, differences).reshape(len(differences), -1)):
        if len(block) < FEWEST_SUBJECTS:
            continue
        group, part = np.unravel_index(columns, differences.shape[1:])
        at = (group, part, factor)
        found.coefficient[at] = block.mean(axis=0)
        found.std_error[at] = block.std(axis=0, ddof=1) / np.sqrt(len(block))
        found.ci_low[at], found.ci_high[at] = mean_intervals(block, resamples, seed, level)
        found.p[at], found.freedom[at] = sign_flip_p(block, resamples, seed), len(block) - 1
