"""What every model hands back: one coefficient per group, part and factor, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..resampling import FEWEST_SUBJECTS, Array

POWER = 0.8
SIGNIFICANCE = 0.05
ROUNDING = 1e-9
"""Smaller differences, in percent or log units, are those of summation."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Estimates:
    """Arrays ``(group, part, factor)``, NaN where undefined; ``note`` then says why.

    ``coefficient``, ``std_error`` and the interval are in the unit of the shares per unit of the factor;
    ``freedom`` are the degrees of freedom behind ``p``.
    """

    coefficient: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    p: Array
    freedom: Array
    n_epochs: Array
    n_subjects: Array
    note: np.ndarray[Any, np.dtype[np.object_]]

    @classmethod
    def undefined(cls, shape: Shape) -> Estimates:
        """Nothing known yet: NaN everywhere, no epoch and no subject."""
        numbers = {item.name: np.full(shape, np.nan) for item in fields(cls)}
        counts = {name: np.zeros(shape, dtype=int) for name in ("n_epochs", "n_subjects")}
        return cls(**numbers | counts | {"note": np.full(shape, "", dtype=object)})

    def minimum_detectable_effect(self) -> Array:
        """The effect found with 80 % power at level 0.05, given this standard error."""
        quantiles = stats.t.ppf(1 - SIGNIFICANCE / 2, self.freedom) + stats.t.ppf(POWER, self.freedom)
        return np.asarray(quantiles * self.std_error)

    def table(self) -> pd.DataFrame:
        """One row per group, part and factor, in that order."""
        flat = {item.name: getattr(self, item.name).ravel() for item in fields(self)}
        return pd.DataFrame(flat | {"minimum_detectable_effect": self.minimum_detectable_effect().ravel()})


def why_not(coded: Array, subjects: int, names: list[str], between: int, intercepts: Array | None = None) -> str:
    """Why no model can be fitted to these rows ``(row, factor)`` of so many subjects; "" where one can.

    Besides 3 subjects, one more is needed than there are coefficients that vary only ``between`` them, the
    ``intercepts (row, fold)`` counted (None: one for all), and more rows than coefficients in all.
    """
    known = np.ones((len(coded), 1)) if intercepts is None else intercepts
    if subjects < max(FEWEST_SUBJECTS, between + known.shape[1] + 1):
        return "too few subjects"
    constant = [name for name, values in zip(names, coded.T, strict=True) if np.ptp(values) == 0]
    if constant:
        return f"{' and '.join(constant)} does not vary in this group"
    coefficients = known.shape[1] + coded.shape[1]
    if len(coded) <= coefficients:
        return "too few samples"
    rank = np.linalg.matrix_rank(np.column_stack([known, coded]))
    return "factors cannot be told apart in this group" if rank < coefficients else ""


def constant(values: Array) -> bool:
    """Whether values vary by no more than the rounding of a mean of many epochs."""
    return bool(np.ptp(values) <= ROUNDING)
