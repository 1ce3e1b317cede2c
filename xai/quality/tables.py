"""The long tables in which measured values and curves are handed on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from ..scores import LOGIT, PROBABILITY
from .curves import Curves, Grid
from .forward import scalar_index
from .perturbation import Baseline

SCORE_COLUMNS = ("sample", "explainer", "metric", "baseline", "value")
CURVE_COLUMNS = ("sample", "explainer", "baseline", "order", "fraction", "logit", "probability")

Row = tuple[str, str, str, Tensor]
"""Explainer, metric, baseline ("" where none) and the values ``(sample,)``."""


@dataclass(frozen=True)
class Measurement:
    """What `measure` returns.

    ``scores`` has one row per sample, explainer, metric and baseline ("" where none); ``value`` is NaN
    where undefined. ``curves`` has one row per point of a curve: ``order`` is "morf" or "lerf", ``fraction``
    of the features removed in [0, 1], ``logit`` and ``probability`` of the target class.
    """

    scores: pd.DataFrame
    curves: pd.DataFrame

    def undefined(self) -> pd.DataFrame:
        """Counts by explainer, metric and baseline: columns ``samples`` and ``undefined``."""
        groups = self.scores.groupby(["explainer", "metric", "baseline"])["value"]
        counts = groups.agg(samples="size", undefined=lambda values: int(values.isna().sum()))
        return counts.reset_index()


def score_table(rows: Iterable[Row]) -> pd.DataFrame:
    """The long table of `Measurement.scores`."""
    frames = [
        pd.DataFrame(
            {
                "sample": np.arange(len(values)),
                "explainer": name,
                "metric": metric,
                "baseline": baseline,
                "value": values.double().cpu().numpy(),
            }
        )
        for name, metric, baseline, values in rows
    ]
    return concatenated(frames, SCORE_COLUMNS)


def curve_table(name: str, baseline: Baseline, curves: Curves, grid: Grid) -> pd.DataFrame:
    """The long table of the two curves of one explainer under one baseline."""
    frames = []
    for order, scores in (("morf", curves.morf), ("lerf", curves.lerf)):
        samples, points = scores.shape[:2]
        flat = scores.reshape(samples * points, -1).cpu().numpy()
        frames.append(
            pd.DataFrame(
                {
                    "sample": np.repeat(np.arange(samples), points),
                    "explainer": name,
                    "baseline": baseline,
                    "order": order,
                    "fraction": np.tile(grid.fractions.numpy(), samples),
                    "logit": flat[:, scalar_index(LOGIT)],
                    "probability": flat[:, scalar_index(PROBABILITY)],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def joined(measurements: Iterable[tuple[Measurement, int]]) -> Measurement:
    """One measurement of samples measured in parts, each given with the position of its first sample."""
    tables = [
        (
            found.scores.assign(sample=found.scores["sample"] + first),
            found.curves.assign(sample=found.curves["sample"] + first),
        )
        for found, first in measurements
    ]
    scores, curves = ([*some] for some in zip(*tables, strict=True))
    return Measurement(concatenated(scores, SCORE_COLUMNS), concatenated(curves, CURVE_COLUMNS))


def concatenated(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The frames one after the other, with exactly these columns even where there is none."""
    if not frames:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(frames, ignore_index=True)[list(columns)]
