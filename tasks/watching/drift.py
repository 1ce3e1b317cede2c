"""Has a champion drifted? Differences of means, new subjects minus baseline, valid over all looks together.

The subject is the unit. Two things are corrected for, by the union bound, so that it does not matter how measures,
subgroups and looks depend on each other (every look sees the subjects of the one before, and the same baseline):

- the family within a look, declared by the baseline: every measure in every subgroup of enough subjects, each of all
  that arrived since promotion and of the look's own arrivals;
- repeated looks: look k spends ``alpha / (k (k + 1))``, and these sum to alpha over any number of looks. All intervals
  of all looks hold together with probability 1 - alpha, and nobody needs to say beforehand how often one will look.

The interval is Student's, with the larger of Welch's standard error and the pooled one, and the pooled one's degrees of
freedom: where nothing has changed it is never narrower than the exact one. A bootstrap of means would need millions of
draws at such levels, and of five subjects it is too narrow. Welch's alone breaks down where five new subjects happen to
be alike, as their accuracies often are, and its few degrees of freedom hide what is plain to see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

ALPHA = 0.05
FEWEST_SUBJECTS = 5
"""Of a cell, in the baseline and among the new ones: fewer are suppressed, they could be traced to persons."""
EVERYONE = "all"
FACTORS = ("sex", "age_band")
SINCE_PROMOTION, LATEST = "since promotion", "this look"
"""Who is compared: all that arrived, which finds small drift, and the look's own: sudden drift drowns in the former."""


@dataclass(frozen=True)
class Difference:
    """Mean of the new subjects minus that of the baseline's, with its interval; NaN where undefined."""

    difference: float
    ci_low: float
    ci_high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero; an undefined one does not."""
        return bool(self.ci_low > 0 or self.ci_high < 0)


@dataclass(frozen=True)
class Finding:
    """One measure in one subgroup at one look.

    ``baseline`` is the baseline's mean with its own 95 % interval, ``new`` that of the ``n_new`` subjects
    that arrived since promotion. Both, and the interval, are NaN where ``n_new`` is below FEWEST_SUBJECTS.
    """

    measure: str
    subgroup: str
    window: str
    baseline: float
    baseline_low: float
    baseline_high: float
    n_baseline: int
    new: float
    n_new: int
    difference: float
    ci_low: float
    ci_high: float
    violated: bool

    @property
    def sentence(self) -> str:
        """What was found."""
        where = "" if self.subgroup == EVERYONE else f" of {self.subgroup}"
        where += "" if self.window == SINCE_PROMOTION else f" in {self.window}"
        if math.isnan(self.difference):
            return f"{self.measure}{where}: too few yet ({self.n_new} of {FEWEST_SUBJECTS})"
        return (
            f"{self.measure}{where} is {self.new:.3g}, at promotion {self.baseline:.3g}: "
            f"{self.difference:+.3g} [{self.ci_low:.3g}, {self.ci_high:.3g}], {self.n_new} subjects"
        )

    def as_row(self) -> dict[str, Any]:
        """A row of the look's table."""
        return asdict(self)


def spent_at(look: int) -> float:
    """The part of ALPHA that the ``look``-th tested look, from 1, may spend."""
    if look < 1:
        raise ValueError(f"look is {look}; expected 1 or more.")
    return ALPHA / (look * (look + 1))


def difference_of_means(
    new: NDArray[np.float64], baseline: NDArray[np.float64], alpha: float, *, comparisons: int = 1
) -> Difference:
    """Mean of ``new`` minus mean of ``baseline`` (subject,) each, with an interval at ``1 - alpha / comparisons``.

    NaN where one side has fewer than 2 subjects. Where nobody differs from anybody the interval is a point.
    """
    if min(len(new), len(baseline)) < 2:
        return Difference(math.nan, math.nan, math.nan)
    return Difference(*(float(bound) for bound in intervals(new, baseline, alpha, comparisons)))


def intervals(
    new: NDArray[np.float64], baseline: NDArray[np.float64], alpha: float, comparisons: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Difference, lower and upper bound (...,) of samples (..., subject), 2 subjects or more on each side."""
    n, m = new.shape[-1], baseline.shape[-1]
    spread, former = new.var(axis=-1, ddof=1), baseline.var(axis=-1, ddof=1)
    own, other = np.asarray(spread / n), np.asarray(former / m)
    pooled = ((n - 1) * spread + (m - 1) * former) / (n + m - 2) * (1 / n + 1 / m)
    reach = stats.t.isf(alpha / comparisons / 2, n + m - 2) * np.sqrt(np.maximum(own + other, pooled))
    difference = new.mean(axis=-1) - baseline.mean(axis=-1)
    return difference, difference - reach, difference + reach


def declared_family(baseline: pd.DataFrame) -> list[tuple[str, str]]:
    """The (measure, subgroup) pairs with enough subjects in the baseline, in a fixed order.

    ``baseline``: one row per subject and measure, columns subject, measure, value, sex, age_band.
    """
    counts = {
        (str(measure), subgroup): int(rows["value"].notna().sum())
        for measure, of_measure in baseline.groupby("measure")
        for subgroup, rows in _subgroups(of_measure)
    }
    return sorted(
        (cell for cell, count in counts.items() if count >= FEWEST_SUBJECTS),
        key=lambda cell: (cell[1] != EVERYONE, cell),
    )


def enough_arrived(arrived: pd.DataFrame, baseline: pd.DataFrame) -> bool:
    """Whether any declared cell has enough new subjects to be tested; until then a look spends nothing."""
    counts = _values(arrived, declared_family(baseline))
    return any(len(values) >= FEWEST_SUBJECTS for values in counts.values())


def look_for_drift(
    arrived: pd.DataFrame, baseline: pd.DataFrame, look: int, latest: pd.DataFrame | None = None
) -> list[Finding]:
    """Every declared measure in every declared subgroup: what arrived since promotion against the baseline.

    ``latest``: what this look itself brought, by default all of it. All tables have one row per subject and measure;
    see `declared_family`. ``look``: how many looks, this one included, have tested anything since promotion.
    """
    family = declared_family(baseline)
    old = _values(baseline, family)
    windows = {SINCE_PROMOTION: arrived, LATEST: arrived if latest is None else latest}
    return [
        _finding(cell, window, values[cell], old[cell], spent_at(look), len(windows) * len(family))
        for window, values in ((name, _values(table, family)) for name, table in windows.items())
        for cell in family
    ]


def _finding(
    cell: tuple[str, str],
    window: str,
    new: NDArray[np.float64],
    old: NDArray[np.float64],
    alpha: float,
    comparisons: int,
) -> Finding:
    enough = len(new) >= FEWEST_SUBJECTS
    found = difference_of_means(new if enough else new[:0], old, alpha, comparisons=comparisons)
    own = stats.t.isf(ALPHA / 2, len(old) - 1) * old.std(ddof=1) / math.sqrt(len(old))
    return Finding(
        measure=cell[0],
        subgroup=cell[1],
        window=window,
        baseline=float(old.mean()),
        baseline_low=float(old.mean() - own),
        baseline_high=float(old.mean() + own),
        n_baseline=len(old),
        new=float(new.mean()) if enough else math.nan,
        n_new=len(new),
        difference=found.difference,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        violated=found.excludes_zero,
    )


def _values(table: pd.DataFrame, family: Sequence[tuple[str, str]]) -> dict[tuple[str, str], NDArray[np.float64]]:
    """The defined values (subject,) of every cell."""
    found = {
        (str(measure), subgroup): rows["value"].dropna().to_numpy(dtype=np.float64)
        for measure, of_measure in table.groupby("measure")
        for subgroup, rows in _subgroups(of_measure)
    }
    return {cell: found.get(cell, np.empty(0)) for cell in family}


def _subgroups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Everyone, then every level of every factor; a subject whose level is unknown belongs to everyone only."""
    groups = [(EVERYONE, rows)]
    for factor in FACTORS:
        groups += [(f"{factor}: {level}", own) for level, own in rows.groupby(factor)]
    return groups
