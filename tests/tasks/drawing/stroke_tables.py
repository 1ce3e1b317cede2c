"""Invented cases, coefficients and networks in the shape of the stroke study's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.drawing import Geometry
from tasks.drawing.relevance_slices import SegmentedCase

SHAPE = (5, 12, 14)
MAPS = ("ADC", "MTT", "rCBF", "rCBV", "Tmax", "TTP")
BRAIN = Geometry(MAPS, ("1e-6 mm2/s", "s", "relative", "relative", "s", "s"), 1.0, volume=SHAPE)
ALPHAS = ("0.05", "0.1", "0.2", "0.4", "0.6")
PASSES = [f"pass0-{high}" for high in ALPHAS] + [f"pass{low}-1" for low in ALPHAS]
CLAMPS = [f"clamp{high}" for high in ALPHAS]
FILTERS = ["raw", *PASSES, *CLAMPS]
METRICS = {
    "d": "D(relevance, truth)", "precision": "precision", "dice": "Dice", "auprc": "AUPRC",
    "mass": "relevance mass on the truth",
}  # fmt: skip


def case(dice: float = 0.769) -> SegmentedCase:
    truth = np.zeros(SHAPE, dtype=bool)
    truth[2, 4:8, 5:9] = True
    return SegmentedCase(
        np.random.default_rng(0).normal(size=(6, *SHAPE)) + 3, truth, np.roll(truth, 2, axis=2), dice
    )  # fmt: skip


def relevance(seed: int = 1, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(6, *SHAPE))


def coefficients(cases: Sequence[int] = (4, 27), series: str = "ABX") -> pd.DataFrame:
    """Twelve values per cell, as in the paper: two nets by six channels."""
    rng = np.random.default_rng(2)
    rows = [
        (number, letter, name, against, value)
        for number in cases
        for against in ("truth", "input")
        for name in FILTERS
        for letter in series
        for value in rng.random(12)
    ]
    table = pd.DataFrame(rows, columns=["case", "series", "filter", "against", "value"])
    table.loc[(table["filter"] == "clamp0.6") & (table["series"] == series[-1]), "value"] = np.nan
    return table


def means(filters: Sequence[str], series: str = "ABCX") -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = [(name, letter, value) for name in filters for letter in series for value in rng.normal(size=30) / 10]
    table = pd.DataFrame(rows, columns=["filter", "series", "mean"])
    table.loc[::50, "mean"] = np.nan
    return table


def sweep() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = [(name, metric, value, value - 0.05, value + 0.05) for metric in METRICS for name in FILTERS
            for value in rng.uniform(0.1, 0.8, 1)]  # fmt: skip
    return pd.DataFrame(rows, columns=["filter", "metric", "mean", "ci_low", "ci_high"])


def controls() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = [(name, metric, rng.uniform(0, 0.4)) for name in ("random", "amplitude", "prediction", "edges")
            for metric in METRICS]  # fmt: skip
    return pd.DataFrame(rows, columns=["control", "metric", "mean"])


def nets() -> pd.DataFrame:
    """The paper's eighteen, one without a coefficient."""
    names = [f"{letter}{number}" for letter in "ABCX" for number in range(1, 5)] + ["X5", "X6"]
    rng = np.random.default_rng(6)
    dice = rng.beta(5, 4, len(names))
    table = pd.DataFrame({"net": names, "series": [name[0] for name in names], "dice": dice})
    table["d"] = dice / 2 + rng.normal(0, 0.05, len(names))
    table["largest"] = 10 ** rng.normal(0, 2, len(names))
    table.loc[3, "d"] = np.nan
    return table.assign(nothing=np.nan)
