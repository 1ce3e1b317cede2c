"""Precision, recall and F1 over classes: macro and weighted, on all that was tested and on balanced draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .confusions import Counts, Values, accuracy, class_rates, confusion_counts, ratio

DRAWS = 200
ALL, BALANCED = "all tested", "balanced draw"
RATES = ("precision", "recall", "f1")


def averaged_scores(predictions: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Table II of Vijayarangan et al. (2020), every way that it may be meant: a row per basis and average.

    ``basis``: all tested samples of a member, or `DRAWS` draws of as many samples of each class as the rarest has;
    ``per_class`` says how many (the fewest over members). ``average``: ``macro`` counts classes alike, ``weighted``
    by their samples, which is the same on a balanced draw. Columns precision, recall, f1 and accuracy are means over
    members, ``_sd`` their standard deviations; ``undefined`` counts classes that a member never predicts: their
    precision is left out of the average. Classes without a tested sample are left out.
    """
    rows = pd.DataFrame([row for _, own in predictions.groupby("member") for row in _member(own, classes, seed)])
    if rows.empty:
        return rows
    measures = [*RATES, "accuracy"]
    groups = rows.groupby(["basis", "average"], sort=False)
    table = groups[measures].mean().join(groups[measures].std(ddof=1).add_suffix("_sd"))
    table["per_class"], table["undefined"] = groups["per_class"].min(), groups["undefined"].sum()
    return table.reset_index()


def _member(predictions: pd.DataFrame, classes: Sequence[str], seed: int) -> Iterator[dict[str, Any]]:
    counts = confusion_counts(predictions, len(classes))
    support = counts.sum(axis=1)
    occurring = support > 0
    fewest = int(support[occurring].min())
    for average, weights in (("macro", occurring / occurring.sum()), ("weighted", support / support.sum())):
        yield {"basis": ALL, "average": average, "per_class": fewest, **_averages(counts[None], weights)}
    drawn = _balanced(counts, occurring, fewest, seed)
    yield {
        "basis": BALANCED,
        "average": "macro",
        "per_class": fewest,
        **_averages(drawn, occurring / occurring.sum()),
    }


def _balanced(counts: Counts, occurring: np.ndarray, fewest: int, seed: int) -> Counts:
    """Confusion matrices ``(draw, class, class)`` of ``fewest`` samples of each class, drawn without replacement."""
    random = np.random.default_rng(seed)
    drawn = np.zeros((DRAWS, *counts.shape), np.int64)
    for label in np.flatnonzero(occurring):
        drawn[:, label] = random.multivariate_hypergeometric(counts[label], fewest, size=DRAWS)
    return drawn


def _averages(counts: Counts, weights: Values) -> dict[str, float]:
    """Means over draws of the rates of ``counts (draw, class, class)``, averaged over classes by their weights."""
    found = {name: _weighted(values, weights) for name, values in class_rates(counts).items() if name in RATES}
    undefined = np.isnan(class_rates(counts)["precision"][:, weights > 0]).sum(axis=1).mean()
    return {**found, "accuracy": float(accuracy(counts).mean()), "undefined": float(undefined)}


def _weighted(values: Values, weights: Values) -> float:
    """The weighted mean over classes of ``values (draw, class)``, undefined ones left out, then over draws."""
    defined = ~np.isnan(values) & (weights > 0)
    total = (defined * weights).sum(axis=1)
    return float(np.nanmean(ratio((np.where(defined, values, 0) * weights).sum(axis=1), total)))
