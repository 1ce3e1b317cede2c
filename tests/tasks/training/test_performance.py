"""Performance: against scikit-learn, a loop over subjects, and cases whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from models import build_network
from models.bundle import BundleConfig, load_bundle, save_bundle
from tasks.training import performance
from tasks.training.confusions import kappa
from tasks.training.performance import (
    balanced_accuracy_interval,
    class_table,
    performance_tables,
    predictions_of_members,
)

CLASSES = ("normal", "LBBB", "paced")


def table(seed: int, count: int = 300, subjects: int = 12, members: int = 2, right: float = 0.7) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    guesses = np.where(random.random(count) < right, labels, random.integers(0, 3, count))
    return pd.DataFrame(
        {
            "sample": np.arange(count),
            "subject": [f"s{number}" for number in random.integers(0, subjects, count)],
            "member": np.arange(count) % members,
            "label": labels,
            "prediction": guesses,
        }
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(5, 80))
def test_scores_equal_scikit_learn(seed: int, count: int) -> None:
    found = table(seed, count)
    labels, guesses = found["label"], found["prediction"]
    summary, tables = performance_tables(found, CLASSES)
    occurring = np.unique(labels)
    assert summary["accuracy"] == pytest.approx((labels == guesses).mean())
    expected = f1_score(labels, guesses, labels=occurring, average="macro", zero_division=0)
    assert summary["macro_f1"] == pytest.approx(expected)
    recalls = [(guesses[labels == label] == label).mean() for label in occurring]
    assert summary["balanced_accuracy_all_classes"] == pytest.approx(np.mean(recalls))
    assert summary["kappa"] == pytest.approx(cohen_kappa_score(labels, guesses, labels=range(3)), nan_ok=True)
    counts = tables["confusion"].set_index("class").to_numpy()
    assert np.array_equal(counts, confusion_matrix(labels, guesses, labels=range(3)))
    precision, recall, _, support = precision_recall_fscore_support(
        labels, guesses, labels=range(3), zero_division=np.nan
    )
    assert np.allclose(tables["classes"]["precision"], precision, equal_nan=True)
    assert np.allclose(tables["classes"]["recall"], recall, equal_nan=True)
    assert tables["classes"]["samples"].tolist() == support.tolist()


def test_mean_and_deviation_are_over_members() -> None:
    found = table(1, members=4)
    summary, tables = performance_tables(found, CLASSES)
    accuracies = [(own["label"] == own["prediction"]).mean() for _, own in found.groupby("member")]
    assert summary["accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert summary["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert tables["members"]["accuracy"].tolist() == pytest.approx(accuracies)
    one, _ = performance_tables(table(1, members=1), CLASSES)
    assert np.isnan(one["accuracy_sd"]), "one member has no spread"


def test_the_interval_equals_a_loop_over_drawn_subjects() -> None:
    found = table(2, subjects=8)
    interval, left_out = balanced_accuracy_interval(found, CLASSES, draws=200, seed=3)
    names = np.unique(found["subject"])
    weights = np.random.default_rng(3).multinomial(len(names), np.full(len(names), 1 / len(names)), size=200)
    values = []
    for draw in weights:
        copies = [
            found[found["subject"] == name] for name, times in zip(names, draw, strict=True) for _ in range(times)
        ]
        drawn = pd.concat(copies)
        values.append(balanced_accuracy_score(drawn["label"], drawn["prediction"]))
    assert left_out == []
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert interval.value == pytest.approx(balanced_accuracy_score(found["label"], found["prediction"]))


def test_intervals_of_kappa_and_classes_equal_a_loop_over_drawn_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "DRAWS", 60)
    found = table(8, subjects=7)
    summary, tables = performance_tables(found, CLASSES)
    names = np.unique(found["subject"])
    kappas, precisions = [], []
    for draw in np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=60):
        copies = [found[found["subject"] == name] for name, n in zip(names, draw, strict=True) for _ in range(n)]
        drawn = pd.concat(copies)
        kappas.append(cohen_kappa_score(drawn["label"], drawn["prediction"]))
        precisions.append((drawn.loc[drawn["prediction"] == 1, "label"] == 1).mean())
    assert (summary["kappa_ci_low"], summary["kappa_ci_high"]) == pytest.approx(
        tuple(np.quantile(kappas, [0.025, 0.975]))
    )
    row = tables["classes"].set_index("class").loc["LBBB"]
    limits = tuple(np.quantile(precisions, [0.025, 0.975]))
    assert (row["precision_ci_low"], row["precision_ci_high"]) == pytest.approx(limits)
    assert row["precision_ci_low"] < row["precision"] < row["precision_ci_high"]


def test_kappa_of_known_matrices() -> None:
    assert kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert kappa(np.array([[25, 25], [25, 25]])) == pytest.approx(0.0)
    assert kappa(np.array([[0, 5], [5, 0]])) == pytest.approx(-1.0)
    assert np.isnan(kappa(np.array([[9, 0], [0, 0]]))), "one class throughout says nothing"
    assert np.isnan(kappa(np.zeros((2, 2), np.int64)))


def test_a_class_that_a_member_was_not_tested_on_is_nan_and_named() -> None:
    found = table(9, members=2)
    found = found[(found["member"] == 0) | (found["label"] != 1)]
    found.loc[found["member"] == 1, "prediction"] = found.loc[found["member"] == 1, "label"]
    _, tables = performance_tables(found, CLASSES)
    assert tables["members"]["classes_missing"].tolist() == ["", "LBBB"]
    assert tables["members"].loc[1, "macro_f1"] == 1.0, "over the classes that occur"
    own = tables["member_classes"].query("member == 1").set_index("class")
    assert own.loc["LBBB", ["recall", "precision", "f1"]].isna().all()
    assert own.loc["LBBB", "samples"] == 0
    assert own.drop(index="LBBB")["f1"].tolist() == [1.0, 1.0]


def test_the_confusions_of_the_members_add_up() -> None:
    found = table(10, members=3)
    _, tables = performance_tables(found, CLASSES)
    added = tables["member_confusion"].groupby("class", sort=False)[list(CLASSES)].sum()
    pd.testing.assert_frame_equal(added, tables["confusion"].set_index("class"))
    shuffled = performance_tables(found.sample(frac=1, random_state=0), CLASSES)[1]
    for name, own in tables.items():
        pd.testing.assert_frame_equal(own, shuffled[name])


def test_a_class_of_two_subjects_has_no_interval() -> None:
    found = table(11)
    rare = found["label"] == 2
    found.loc[rare, "subject"] = np.where(np.arange(rare.sum()) % 2, "s0", "s1")
    row = performance_tables(found, CLASSES)[1]["classes"].set_index("class")
    assert row.loc["paced", ["recall_ci_low", "f1_ci_high"]].isna().all()
    assert row.loc["normal", ["recall_ci_low", "f1_ci_high"]].notna().all()


def test_the_interval_is_as_wide_as_subjects_differ() -> None:
    alike = table(4, count=2000, subjects=20)
    apart = alike.copy()
    worse = apart["subject"].isin([f"s{number}" for number in range(10)])
    apart.loc[worse, "prediction"] = (apart.loc[worse, "label"] + 1) % 3
    width = {}
    for name, found in (("alike", alike), ("apart", apart)):
        interval, _ = balanced_accuracy_interval(found, CLASSES)
        width[name] = interval.high - interval.low
    assert width["apart"] > 4 * width["alike"]


def test_a_class_of_two_subjects_is_named_and_left_out_of_the_interval() -> None:
    found = table(5)
    rare = found["label"] == 2
    found.loc[rare, "subject"] = np.where(np.arange(rare.sum()) % 2, "s0", "s1")
    found.loc[rare, "prediction"] = 0
    interval, left_out = balanced_accuracy_interval(found, CLASSES)
    assert left_out == ["paced"]
    common = found[~rare]
    recalls = [(own["prediction"] == label).mean() for label, own in common.groupby("label")]
    assert interval.value == pytest.approx(np.mean(recalls))
    summary, tables = performance_tables(found, CLASSES)
    assert summary["balanced_accuracy_all_classes"] < summary["balanced_accuracy"]
    assert tables["classes"].set_index("class").loc["paced", "subjects"] == 2


def test_draws_without_a_class_are_counted() -> None:
    found = table(6, subjects=3)
    for label, subject in enumerate(("s0", "s1", "s2")):
        found.loc[found["label"] == label, "subject"] = subject
    found = pd.concat([found, found[found["label"] == 0].head(2).assign(subject=["s1", "s2"])])
    interval, left_out = balanced_accuracy_interval(found, CLASSES, draws=500)
    assert left_out == ["LBBB", "paced"]
    assert interval.undefined == 0, "all three subjects have the class that is left"
    found = pd.concat([found, found[found["label"] == 1].head(3).assign(subject=["s3", "s4", "s5"])])
    assert balanced_accuracy_interval(found, CLASSES, draws=500)[0].undefined > 0


def test_unknown_labels_leave_undefined_numbers() -> None:
    summary, tables = performance_tables(table(7).assign(label=-1), CLASSES)
    for name in ("accuracy", "balanced_accuracy", "balanced_accuracy_ci_low", "macro_f1", "accuracy_mean"):
        assert np.isnan(summary[name])
    assert summary["samples"] == 0
    assert class_table(table(7).assign(label=-1).head(0), CLASSES)["recall"].isna().all()
    assert tables["members"].empty


@dataclass(frozen=True)
class Parts:
    test: np.ndarray


class Noise:
    def __init__(self, count: int) -> None:
        self._signals = np.random.default_rng(0).normal(size=(count, 1, 20)).astype(np.float32)
        self.samples = pd.DataFrame({"label": np.arange(count) % 3, "subject": [f"s{row % 4}" for row in range(count)]})

    def signals(self, index: np.ndarray) -> np.ndarray:
        return self._signals[index]


@pytest.fixture
def version(tmp_path: Path) -> Path:
    arguments = {"channels": 1, "classes": 3, "hidden": [5]}
    config = BundleConfig(
        "lstm", arguments, "zscore", CLASSES, ("MLII",), ("mV",), 360.0, 20, "noise", "corrected", "0" * 16
    )
    torch.manual_seed(0)
    return save_bundle(tmp_path / "version", config, [build_network("lstm", **arguments) for _ in range(2)])


def test_every_member_predicts_its_own_test_samples(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = Noise(30)
    splits = [Parts(np.arange(20, 30)), Parts(np.arange(0, 25))]
    found = predictions_of_members(cohort, version, splits)
    assert found.groupby("member")["sample"].apply(list).tolist() == [list(range(20, 30)), list(range(25))]
    assert found["subject"].tolist() == cohort.samples.loc[found["sample"], "subject"].tolist()
    probabilities = found[[f"probability_{name}" for name in CLASSES]].to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(found["prediction"], probabilities.argmax(axis=1))
    bundle = load_bundle(version)
    inputs = bundle.normalise(torch.from_numpy(cohort.signals(np.arange(20, 30))))
    with torch.no_grad():
        expected = bundle.members[0](inputs).softmax(1).numpy()
    assert np.allclose(probabilities[:10], expected, atol=1e-6)
    monkeypatch.setattr(performance, "READ_AT_ONCE", 7)
    in_pieces = predictions_of_members(cohort, version, splits)
    pd.testing.assert_frame_equal(found, in_pieces, check_exact=False, atol=1e-6)


def test_splits_and_members_must_match(version: Path) -> None:
    with pytest.raises(ValueError, match="splits has 1 entries; expected one per member, 2"):
        predictions_of_members(Noise(30), version, [Parts(np.arange(3))])
