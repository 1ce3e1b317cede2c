"""Does the relevance of a part depend on who the person is? One table of coefficients for all models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ..resampling import adjusted
from .design import Design
from .estimates import Estimates
from .fits import fit_epochs, mixed, ols, ols_cluster
from .groups import Group, Scale, Units, grouped
from .subject_means import subject_mean

Model = Literal["subject_mean", "ols", "ols_cluster", "mixed"]
MODELS: tuple[Model, ...] = get_args(Model)
"""The primary one first."""
SCALES: tuple[Scale, ...] = get_args(Scale)

FAMILY_KEYS = ["explainer", "model", "scale", "family"]
COLUMNS = (
    "explainer", "family", "true", "predicted", "part", "model", "scale", "factor", "coefficient", "std_error",
    "ci_low", "ci_high", "p", "q", "n_epochs", "n_subjects", "n_missing", "n_undefined",
    "minimum_detectable_effect", "note",
)  # fmt: skip


def coefficient_table(
    table: pd.DataFrame,
    design: Design,
    *,
    models: Sequence[Model] = MODELS,
    scales: Sequence[Scale] = SCALES,
    permutations: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Coefficients of every declared factor in every declared group and part, by every model.

    ``table`` has one row per epoch, explainer and part (see `grouped`). Returns columns `COLUMNS`: on the scale
    ``percent`` a ``coefficient`` is in percentage points per unit of the factor, on ``clr`` in log units. ``q``
    is p corrected over the family (Benjamini & Hochberg), separately per explainer, model and scale. ``n_missing``
    epochs of the group were dropped for want of a factor, ``n_undefined`` for want of a share; ``n_epochs`` and
    ``n_subjects`` are those used. ``minimum_detectable_effect`` is at 80 % power and level 0.05. Where a model
    cannot be fitted or fails, the numbers are NaN and ``note`` says why. Raises ValueError as `grouped` does.
    """
    units, groups = grouped(table, design)
    rows = []
    for model in models:
        for scale in scales:
            found = estimates(model, units, groups, scale, design, level=level, permutations=permutations, seed=seed)
            rows.append(pd.concat([_labels(groups, design), found.table()], axis=1).assign(model=model, scale=scale))
    result = pd.concat(rows, ignore_index=True)
    result["q"] = result.groupby(FAMILY_KEYS)["p"].transform(lambda p: adjusted(p.to_numpy(dtype=float), "bh"))
    return result[list(COLUMNS)]


def estimates(
    model: Model,
    units: Units,
    groups: Sequence[Group],
    scale: Scale,
    design: Design,
    *,
    level: float,
    permutations: int,
    seed: int,
) -> Estimates:
    """What one model finds in all groups; ValueError where the model is unknown."""
    if model == "subject_mean":
        return subject_mean(units, groups, scale, design, level=level, permutations=permutations, seed=seed)
    fits = {"ols": ols, "ols_cluster": ols_cluster, "mixed": mixed}
    if model not in fits:
        raise ValueError(f"model is {model!r}; expected one of {MODELS}.")
    return fit_epochs(fits[model], units, groups, scale, design, level)


def _labels(groups: Sequence[Group], design: Design) -> pd.DataFrame:
    """One row per group, part and factor, as `Estimates.table` orders them."""
    names = ("explainer", "family", "true", "predicted", "n_missing", "n_undefined")
    facts = [(g.explainer, g.family, g.true, g.predicted, g.missing, g.undefined) for g in groups]
    factors = [factor.name for factor in design.factors]
    cells = len(design.parts) * len(factors)
    labels = pd.DataFrame(facts, columns=names).loc[np.repeat(np.arange(len(groups)), cells)].reset_index(drop=True)
    labels["part"] = np.tile(np.repeat(design.parts, len(factors)), len(groups))
    labels["factor"] = np.tile(factors, len(groups) * len(design.parts))
    return labels
