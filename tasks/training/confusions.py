"""Scores of confusion matrices ``(..., true class, predicted class)``, and matrices of subjects drawn again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def confusion_counts(predictions: pd.DataFrame, classes: int) -> Counts:
    """Samples by the columns ``label`` and ``prediction``, class indices: ``(class, class)``."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (predictions["label"].to_numpy(), predictions["prediction"].to_numpy()), 1)
    return counts


def subject_confusions(predictions: pd.DataFrame, classes: int) -> Counts:
    """As `confusion_counts` for each of the subjects, by name: ``(subject, class, class)``."""
    subjects, rows = np.unique(predictions["subject"].to_numpy(str), return_inverse=True)
    counts = np.zeros((len(subjects), classes, classes), np.int64)
    np.add.at(counts, (rows, predictions["label"].to_numpy(), predictions["prediction"].to_numpy()), 1)
    return counts


def drawn_confusions(by_subject: Counts, draws: int, seed: int) -> Counts:
    """Sums ``(draw, class, class)`` over as many subjects as there are, drawn whole and with replacement."""
    subjects = len(by_subject)
    weights = np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=draws)
    return np.tensordot(weights, by_subject, axes=1)


def class_rates(counts: Counts) -> dict[str, Values]:
    """Recall, precision and F1 of every class ``(..., class)``; NaN where nothing is divided by."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    return {
        "recall": ratio(hits, true),
        "precision": ratio(hits, predicted),
        "f1": ratio(2 * hits, true + predicted),
    }


def accuracy(counts: Counts) -> Values:
    """Share of the samples on the diagonal ``(...)``; NaN without samples."""
    return ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def kappa(counts: Counts) -> Values:
    """Cohen's kappa ``(...)``: agreement beyond that of the margins, 1 at most, 0 at chance.

    Cohen (1960). NaN without samples, or where truth and prediction are one and the same class throughout.
    """
    total = counts.sum(axis=(-2, -1))
    expected = ratio((counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(accuracy(counts) - expected, 1 - expected)


def ratio(part: NDArray, whole: NDArray) -> Values:
    """``part / whole``; NaN where ``whole`` is not above 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
