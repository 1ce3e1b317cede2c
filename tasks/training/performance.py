"""How well a version classifies: every member on its own test samples, by class and by subject."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from models.bundle import Bundle, load_bundle

from .averaged_scores import averaged_scores
from .confusions import (
    Counts,
    Values,
    accuracy,
    class_rates,
    confusion_counts,
    drawn_confusions,
    kappa,
    subject_confusions,
)

FEWEST_SUBJECTS_PER_CLASS = 3
"""An interval from two people is not one: smaller classes are shown, but left out of inference."""

DRAWS = 2000
"""Of the bootstrap."""

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
    """The headline numbers and the tables, by name.

    Tables: ``members``, ``classes`` and ``confusion``; ``member_classes`` and ``member_confusion`` hold the latter
    two of every member. ``averaged_scores``: precision, recall and F1 over classes, see there.

    Headline: ``accuracy``, ``balanced_accuracy_all_classes``, ``macro_f1`` and Cohen's ``kappa`` over all test
    samples, each with ``<name>_mean`` and ``<name>_sd`` over members (the paper's Table 1), accuracy and kappa with
    ``_ci_low`` and ``_ci_high``; ``balanced_accuracy`` with the same over the classes of at least 3 subjects, the
    rest in ``classes_left_out``. Samples of unknown label are left out; undefined numbers are NaN.
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
    drawn = _drawn(known, classes)
    for name, score in (("accuracy", accuracy), ("kappa", kappa)):
        summary[f"{name}_ci_low"], summary[f"{name}_ci_high"] = map(float, _interval(score(drawn)))
    tables = {
        "members": members,
        "classes": class_table(known, classes, intervals=True),
        "confusion": confusion(known, classes),
        "averaged_scores": averaged_scores(known, classes),
        "member_classes": _by_member(known, classes, class_table),
        "member_confusion": _by_member(known, classes, confusion),
    }
    return summary, tables


def scores_of(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """Accuracy, balanced accuracy (mean recall) and macro F1 over the classes that occur, and Cohen's kappa."""
    by_class = class_table(predictions, classes)
    counts = confusion_counts(predictions, len(classes))
    occurring = by_class[by_class["samples"] > 0]
    return {
        "accuracy": float(accuracy(counts)),
        "balanced_accuracy_all_classes": float(occurring["recall"].mean()),
        "macro_f1": float(occurring["f1"].mean()),
        "kappa": float(kappa(counts)),
    }


def member_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """One row per member: its samples, subjects and scores, and the classes that it was not tested on, by name."""
    rows = [
        {
            "member": member,
            "samples": len(own),
            "subjects": own["subject"].nunique(),
            **scores_of(own, classes),
            "classes_missing": ", ".join(name for label, name in enumerate(classes) if label not in set(own["label"])),
        }
        for member, own in predictions.groupby("member")
    ]
    names = ["member", "samples", "subjects", *scores_of(predictions.head(0), classes), "classes_missing"]
    return pd.DataFrame(rows, columns=names)


def class_table(predictions: pd.DataFrame, classes: Sequence[str], *, intervals: bool = False) -> pd.DataFrame:
    """One row per class: samples, subjects, recall, precision, f1; NaN where nothing is divided by.

    ``intervals`` adds to each rate ``_ci_low`` and ``_ci_high``, of subjects drawn whole as in
    `balanced_accuracy_interval`; NaN for a class of fewer than 3 subjects.
    """
    counts = confusion_counts(predictions, len(classes))
    subjects = predictions.groupby("label")["subject"].nunique().reindex(range(len(classes)), fill_value=0).to_numpy()
    table = pd.DataFrame({"class": list(classes), "samples": counts.sum(axis=1), "subjects": subjects})
    drawn = class_rates(_drawn(predictions, classes)) if intervals else {}
    for name, rate in class_rates(counts).items():
        table[name] = rate
        if name in drawn:
            enough = subjects >= FEWEST_SUBJECTS_PER_CLASS
            low, high = _interval(drawn[name])
            table[f"{name}_ci_low"], table[f"{name}_ci_high"] = np.where(enough, [low, high], np.nan)
    return table


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Sample counts: a row per true class, named in the column ``class``, a column per predicted class."""
    table = pd.DataFrame(confusion_counts(predictions, len(classes)), columns=list(classes))
    table.insert(0, "class", list(classes), allow_duplicates=True)
    return table


def balanced_accuracy_interval(
    predictions: pd.DataFrame, classes: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> tuple[Interval, list[str]]:
    """Balanced accuracy with its 95 % percentile bootstrap over subjects, and the classes left out of it.

    Subjects are drawn whole, with replacement: windows of one person are not independent. A draw that
    misses a class has no value; it is counted, not replaced.
    """
    by_subject = subject_confusions(predictions, len(classes))
    enough = (by_subject.sum(axis=2) > 0).sum(axis=0) >= FEWEST_SUBJECTS_PER_CLASS
    left_out = [name for name, judged in zip(classes, enough, strict=True) if not judged]
    if not enough.any():
        return Interval(math.nan, math.nan, math.nan, draws), left_out
    recalls = class_rates(drawn_confusions(by_subject, draws, seed))["recall"]
    values = recalls[:, enough].mean(axis=1)
    low, high = _interval(values)
    value = class_rates(by_subject.sum(axis=0))["recall"][enough].mean()
    return Interval(float(value), float(low), float(high), int(np.isnan(values).sum())), left_out


def _by_member(
    predictions: pd.DataFrame, classes: Sequence[str], table: Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame]
) -> pd.DataFrame:
    """The tables of all members below each other, told apart by the column ``member``."""
    parts = []
    for member, own in predictions.groupby("member"):
        part = table(own, classes)
        part.insert(0, "member", member, allow_duplicates=True)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else table(predictions, classes).head(0)


def _drawn(predictions: pd.DataFrame, classes: Sequence[str]) -> Counts:
    """Confusion matrices ``(draw, class, class)`` of subjects drawn again; without subjects they are empty."""
    by_subject = subject_confusions(predictions, len(classes))
    if not len(by_subject):
        return np.zeros((DRAWS, len(classes), len(classes)), np.int64)
    return drawn_confusions(by_subject, DRAWS, seed=0)


def _interval(values: Values) -> Values:
    """Limits of the 95 % interval over the draws, the first axis; draws without a value are left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # then the interval is NaN too, which is meant
        return np.nanquantile(values, [0.025, 0.975], axis=0)


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
