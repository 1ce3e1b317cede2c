"""How often does a model find an effect where there is none? Demographics dealt to the subjects at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from ..resampling import Array, adjusted, mean_intervals
from .coefficients import Model, estimates
from .design import Design
from .estimates import SIGNIFICANCE
from .groups import Group, Scale, Units, grouped

COLUMNS = (
    "explainer", "family", "model", "scale", "draws", "tests", "false_positive_rate", "ci_low", "ci_high",
    "familywise_rate", "familywise_ci_low", "familywise_ci_high",
)  # fmt: skip


def false_positive_rates(
    table: pd.DataFrame,
    design: Design,
    *,
    draws: int = 200,
    seed: int = 0,
    models: Sequence[Model] = ("subject_mean", "ols", "ols_cluster"),
    scale: Scale = "percent",
    permutations: int = 1_000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Rates at which each model calls chance an effect, in `table` as `coefficient_table` takes it.

    In every draw the factors of subjects are permuted between them, all together, and a subject's nights change
    levels with probability 1/2; groups and shares stay. Returns one row per explainer, family and model:
    ``false_positive_rate`` is the part of the ``tests`` (of the last draw) with p < 0.05, its interval over
    draws, whose tests are not independent; ``familywise_rate`` the part of draws with any q < 0.05, with its
    Wilson interval. Raises ValueError as `grouped` does and for fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"draws is {draws}; expected 2 or more.")
    units, groups = grouped(table, design)
    rows = []
    dealt = list(_deals(units, design, draws, seed))
    for model in models:
        p = [
            estimates(model, deal, groups, scale, design, level=level, permutations=permutations, seed=number).p
            for number, deal in enumerate(dealt)
        ]
        for (explainer, family), chosen in _families(groups).items():
            rates = _rates(np.stack(p)[:, chosen].reshape(draws, -1), seed, level)
            rows.append({"explainer": explainer, "family": family, "model": model, "scale": scale, **rates})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _deals(units: Units, design: Design, draws: int, seed: int) -> Iterator[Units]:
    """The units with their factors dealt anew."""
    first_unit = np.unique(units.subject, return_index=True)[1]
    between, within = design.between(), design.within()
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        coded = units.coded.copy()
        order = generator.permutation(len(first_unit))
        coded[:, between] = units.coded[np.ix_(first_unit[order][units.subject], between)]
        swapped = generator.integers(0, 2, size=(len(first_unit), len(within)))[units.subject]
        coded[:, within] = np.abs(units.coded[:, within] - swapped)
        yield replace(units, coded=coded)


def _families(groups: Sequence[Group]) -> dict[tuple[str, str], list[int]]:
    """Positions of the groups of each explainer and family."""
    found: dict[tuple[str, str], list[int]] = {}
    for position, group in enumerate(groups):
        found.setdefault((group.explainer, group.family), []).append(position)
    return found


def _rates(p: Array, seed: int, level: float) -> dict[str, float]:
    """Rates and intervals from p ``(draw, test)``; tests that cannot be made are left out."""
    made = ~np.isnan(p)
    tested = made.any(axis=1)
    shares = (p < SIGNIFICANCE).sum(axis=1)[tested] / made.sum(axis=1)[tested]
    families = sum(bool((adjusted(row, "bh")[~np.isnan(row)] < SIGNIFICANCE).any()) for row in p[tested])
    rates: dict[str, float] = {"draws": int(tested.sum()), "tests": int(made[-1].sum())}
    if len(shares) < 2:
        return rates
    low, high = mean_intervals(shares[:, None], 10_000, seed, level)
    wilson = stats.binomtest(families, len(shares)).proportion_ci(level, method="wilson")
    return rates | {
        "false_positive_rate": float(shares.mean()),
        "ci_low": float(low[0]),
        "ci_high": float(high[0]),
        "familywise_rate": families / len(shares),
        "familywise_ci_low": float(wilson.low),
        "familywise_ci_high": float(wilson.high),
    }
