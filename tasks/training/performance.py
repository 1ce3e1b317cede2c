"""How well a version classifies: every member on its own test samples, by class and by subject."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from models.bundle import Bundle, load_bundle

FEWEST_SUBJECTS_PER_CLASS = 3
"""An interval from two people is not one: smaller classes are shown, but left out of inference."""

READ_AT_ONCE = 1024


class LabelledSubjects(Protocol):
    """What testing asks of a cohort."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, indexed by sample: ``subject`` and ``label``, a class index (-1: unknown)."""
        ...

    def signals(self, index: np.ndarray) -> np.ndarray:
        """Windows ``(sample, channel, time)``, float32, physical units."""
        ...


class TestSplit(Protocol):
    """Sample numbers that a member is tested on, int64."""

    @property
    def test(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; ``undefined`` of the bootstrap's draws had no value."""

    value: float
    low: float
    high: float
    undefined: int


def predictions_of_members(cohort: LabelledSubjects, bundle: Path, splits: Sequence[TestSplit]) -> pd.DataFrame:
    """Predicts the test samples of every member by that member alone.

    Columns: sample, subject, member, label, prediction (class indices) and ``probability_<class>``.
    ValueError if there are not as many splits as members.
    """
    version = load_bundle(bundle)
    if len(splits) != len(version.members):
        raise ValueError(f"splits has {len(splits)} entries; expected one per member, {len(version.members)}.")
    tables = [
        _predict(cohort, version, member, np.sort(np.asarray(split.test, np.int64)))
        for member, split in enumerate(splits)
    ]
    return pd.concat(tables, ignore_index=True)


def performance_tables(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The headline numbers and the tables ``members``, ``classes`` and ``confusion``.

    Headline: ``accuracy``, ``balanced_accuracy_all_classes`` and ``macro_f1`` over all test samples, each
    with ``<name>_mean`` and ``<name>_sd`` over members (the paper's Table 1); ``balanced_accuracy`` with
    ``_ci_low`` and ``_ci_high`` over the classes of at least 3 subjects, the rest in ``classes_left_out``.
    Samples of unknown label are left out; undefined numbers are NaN.
    """
    known = predictions[predictions["label"] >= 0]
    members = member_table(known, classes)
    interval, left_out = balanced_accuracy_interval(known, classes)
    summary: dict[str, Any] = {
        "samples": len(known),
        "subjects": int(known["subject"].nunique()),
        "members": len(members),
        "balanced_accuracy": interval.value,
        "balanced_accuracy_ci_low": interval.low,
        "balanced_accuracy_ci_high": interval.high,
        "bootstrap_undefined": interval.undefined,
        "classes_left_out": left_out,
    }
    for name, value in scores_of(known, classes).items():
        summary[name] = value
        summary[f"{name}_mean"] = float(members[name].mean())
        summary[f"{name}_sd"] = float(members[name].std(ddof=1))
    tables = {
        "members": members,
        "classes": class_table(known, classes),
        "confusion": confusion(known, classes),
    }
    return summary, tables


def scores_of(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """Accuracy, balanced accuracy (mean recall) and macro F1, in [0, 1], over the classes that occur."""
    by_class = class_table(predictions, classes)
    occurring = by_class[by_class["samples"] > 0]
    return {
        "accuracy": float((predictions["label"] == predictions["prediction"]).mean()),
        "balanced_accuracy_all_classes": float(occurring["recall"].mean()),
        "macro_f1": float(occurring["f1"].mean()),
    }


def member_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row per member: its samples, subjects and scores."""
    rows = [
        {
            "member": member,
            "samples": len(own),
            "subjects": own["subject"].nunique(),
            **scores_of(own, classes),
        }
        for member, own in predictions.groupby("member")
    ]
    names = ["member", "samples", "subjects", "accuracy", "balanced_accuracy_all_classes", "macro_f1"]
    return pd.DataFrame(rows, columns=names)


def class_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row per class: samples, subjects, recall, precision, f1; NaN where nothing is divided by."""
    counts = _count(predictions, len(classes))
    hits, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    subjects = predictions.groupby("label")["subject"].nunique().reindex(range(len(classes)), fill_value=0)
    return pd.DataFrame(
        {
            "class": list(classes),
            "samples": true,
            "subjects": subjects.to_numpy(),
            "recall": _ratio(hits, true),
            "precision": _ratio(hits, predicted),
            "f1": _ratio(2 * hits, true + predicted),
        }
    )


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Sample counts: a row per true class, named in the column ``class``, a column per predicted class."""
    table = pd.DataFrame(_count(predictions, len(classes)), columns=list(classes))
    table.insert(0, "class", list(classes), allow_duplicates=True)
    return table


def balanced_accuracy_interval(
    predictions: pd.DataFrame, classes: Sequence[str], draws: int = 2000, seed: int = 0
) -> tuple[Interval, list[str]]:
    """Balanced accuracy with its 95 % percentile bootstrap over subjects, and the classes left out of it.

    Subjects are drawn whole, with replacement: windows of one person are not independent. A draw that
    misses a class has no value; it is counted, not replaced.
    """
    subjects, rows = np.unique(predictions["subject"].to_numpy(str), return_inverse=True)
    labels = predictions["label"].to_numpy(dtype=np.int64)
    total, hits = np.zeros((2, len(subjects), len(classes)))
    np.add.at(total, (rows, labels), 1)
    np.add.at(hits, (rows, labels), labels == predictions["prediction"].to_numpy())
    enough = (total > 0).sum(axis=0) >= FEWEST_SUBJECTS_PER_CLASS
    left_out = [name for name, judged in zip(classes, enough, strict=True) if not judged]
    if not enough.any():
        return Interval(math.nan, math.nan, math.nan, draws), left_out
    total, hits = total[:, enough], hits[:, enough]
    even = np.full(len(subjects), 1 / len(subjects))
    weights = np.random.default_rng(seed).multinomial(len(subjects), even, size=draws)
    values = _ratio(weights @ hits, weights @ total).mean(axis=1)
    low, high = np.nanquantile(values, [0.025, 0.975])
    value = _ratio(hits.sum(axis=0), total.sum(axis=0)).mean()
    return Interval(float(value), float(low), float(high), int(np.isnan(values).sum())), left_out


def _predict(cohort: LabelledSubjects, version: Bundle, member: int, samples: np.ndarray) -> pd.DataFrame:
    known = cohort.samples.loc[samples, ["subject", "label"]]
    nothing = np.empty((0, len(version.config.classes)), np.float32)
    probabilities = np.concatenate([nothing, *_probabilities(cohort, version, member, samples)])
    names = [f"probability_{name}" for name in version.config.classes]
    return pd.DataFrame(
        {
            "sample": samples,
            "subject": known["subject"].to_numpy(),
            "member": member,
            "label": known["label"].to_numpy(dtype=np.int64),
            "prediction": probabilities.argmax(axis=1),
            **dict(zip(names, probabilities.T, strict=True)),
        }
    )


def _probabilities(cohort: LabelledSubjects, version: Bundle, member: int, samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), READ_AT_ONCE):
        signals = torch.from_numpy(cohort.signals(samples[start : start + READ_AT_ONCE]))
        with torch.no_grad():
            yield version.members[member](version.normalise(signals)).softmax(dim=1).numpy()


def _count(predictions: pd.DataFrame, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (predictions["label"].to_numpy(), predictions["prediction"].to_numpy()), 1)
    return counts


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
