"""Regressions on epochs, fitted by statsmodels: the paper's, and two that know whose epochs they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import statsmodels.api as sm
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from ..resampling import Array
from .design import Design, Indices
from .estimates import Estimates, constant, why_not
from .groups import Group, Scale, Units

Numbers = tuple[Array, Array, Array, Array, float, str]
"""Per regressor coefficient, standard error, interval ``(column, 2)`` and p; degrees of freedom; note."""
Fit = Callable[[Array, Array, Indices, Indices, float], Numbers]
"""Shares ``(epoch,)``, regressors ``(epoch, column)``, subject, random levels ``(epoch, random)``, level."""


OPTIMISERS = ["bfgs", "lbfgs", "powell"]
"""Tried one after the other; the last needs no gradient and so converges where a random variance is zero."""


def fit_epochs(
    fit: Fit, units: Units, groups: Sequence[Group], scale: Scale, design: Design, level: float
) -> Estimates:
    """Shares ~ 1 + factors over the epochs of each group, part by part."""
    found = Estimates.undefined((len(groups), len(design.parts), len(design.factors)))
    names = [factor.name for factor in design.factors]
    for row, group in enumerate(groups):
        coded, subject = units.coded[group.unit], units.subject[group.unit]
        found.n_epochs[row], found.n_subjects[row] = len(subject), len(np.unique(subject))
        problem = why_not(coded, len(np.unique(subject)), names, len(design.between()))
        regressors = np.column_stack([np.ones(len(coded)), coded])
        for part, shares in enumerate(group.values(scale).T):
            place = (row, part)
            found.note[place] = problem or ("share does not vary" if constant(shares) else "")
            if found.note[place][0]:
                continue
            coefficient, error, interval, p, freedom, note = fit(shares, regressors, subject, group.random, level)
            found.coefficient[place], found.std_error[place], found.p[place] = coefficient[1:], error[1:], p[1:]
            found.ci_low[place], found.ci_high[place] = interval[1:].T
            found.freedom[place], found.note[place] = freedom, note
    return found


def ols(shares: Array, regressors: Array, subject: Indices, random: Indices, level: float) -> Numbers:
    """Ordinary least squares, as if epochs were independent (Ellis et al., 2021)."""
    result = sm.OLS(shares, regressors).fit()
    return result.params, result.bse, result.conf_int(1 - level), result.pvalues, result.df_resid, ""


def ols_cluster(shares: Array, regressors: Array, subject: Indices, random: Indices, level: float) -> Numbers:
    """Least squares with errors robust to dependence within a subject, on t with subjects - 1 degrees of freedom."""
    result = sm.OLS(shares, regressors).fit(cov_type="cluster", cov_kwds={"groups": subject}, use_t=True)
    freedom = len(np.unique(subject)) - 1
    return result.params, result.bse, result.conf_int(1 - level), result.pvalues, freedom, ""


def mixed(shares: Array, regressors: Array, subject: Indices, random: Indices, level: float) -> Numbers:
    """Linear mixed model with random intercepts, by REML; NaN and a note where the fit fails.

    An intercept of one level cannot be told from the constant and is left out; one with a level for every epoch
    cannot be told from the noise.
    """
    columns = regressors.shape[1]
    nothing = np.full(columns, np.nan)
    undefined = (nothing, nothing, np.full((columns, 2), np.nan), nothing, np.nan)
    levels = np.array([len(np.unique(column)) for column in random.T])
    if (levels == len(shares)).any() or (levels == 1).all():
        return (*undefined, "random intercepts cannot be told from the noise")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = _mixed_model(shares, regressors, random[:, levels > 1]).fit(method=OPTIMISERS)
            error = np.asarray(result.bse_fe)
        except (np.linalg.LinAlgError, ValueError) as failure:
            return (*undefined, f"mixed model failed: {failure}")
    if not result.converged:
        return (*undefined, "mixed model did not converge")
    if not np.isfinite(error).all():
        return (*undefined, "mixed model has no standard error")
    boundary = any("boundary" in str(warning.message) for warning in caught)
    interval = np.asarray(result.conf_int(1 - level))[:columns]
    note = "a random variance is estimated at zero" if boundary else ""
    return np.asarray(result.fe_params), error, interval, np.asarray(result.pvalues)[:columns], np.inf, note


def _mixed_model(shares: Array, regressors: Array, random: Indices) -> MixedLM:
    """Random columns as variance components, within the blocks of epochs that share no level of any of them."""
    block = _blocks(random)
    names: list[list[list[str]]] = [[] for _ in range(random.shape[1])]
    matrices: list[list[Array]] = [[] for _ in range(random.shape[1])]
    for chosen in (block == number for number in np.unique(block)):
        for column, levels in enumerate(random[chosen].T):
            present = np.unique(levels)
            names[column].append([str(level) for level in present])
            matrices[column].append((levels[:, None] == present).astype(float))
    components = VCSpec([str(column) for column in range(random.shape[1])], names, matrices)
    return MixedLM(shares, regressors, groups=block, exog_vc=components)


def _blocks(random: Indices) -> Indices:
    """The first column whose levels the other columns' levels nest in, else one block; it is much faster."""
    for column in random.T:
        if all(_nests(other, column) for other in random.T):
            return column
    return np.zeros(len(random), dtype=np.int64)


def _nests(inner: Indices, outer: Indices) -> bool:
    """Whether each level of ``inner`` lies in one level of ``outer``."""
    pairs = np.unique(np.column_stack([inner, outer]), axis=0)
    return len(pairs) == len(np.unique(inner))
