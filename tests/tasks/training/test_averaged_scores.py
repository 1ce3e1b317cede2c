"""Table II's averages against scikit-learn, and what a balanced draw does to a rare class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tasks.training.averaged_scores import ALL, BALANCED, averaged_scores

CLASSES = ("N", "PVC", "SVTA")


def predicted(counts: list[list[int]], member: int = 0) -> pd.DataFrame:
    pairs = [(true, found) for true in range(3) for found in range(3) for _ in range(counts[true][found])]
    return pd.DataFrame(pairs, columns=["label", "prediction"]).assign(member=member)


def row(table: pd.DataFrame, basis: str, average: str) -> pd.Series:
    return table[(table["basis"] == basis) & (table["average"] == average)].iloc[0]


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_averages_are_those_of_scikit_learn(average: str) -> None:
    predictions = predicted([[50, 3, 2], [4, 20, 1], [2, 0, 7]])
    expected = precision_recall_fscore_support(predictions["label"], predictions["prediction"], average=average)
    found = row(averaged_scores(predictions, CLASSES), ALL, average)
    assert found[["precision", "recall", "f1"]].to_numpy(float) == pytest.approx(np.array(expected[:3], float))
    assert found["per_class"] == 9


def test_few_false_alarms_of_many_normal_beats_ruin_a_rare_class_and_a_balanced_draw_hides_it() -> None:
    """The paper's own numbers: 600,000 N and 87 SVTA, a tenth of a percent of false alarms."""
    table = averaged_scores(predicted([[599_400, 0, 600], [0, 87, 0], [0, 0, 87]]), CLASSES)
    macro, weighted, drawn = row(table, ALL, "macro"), row(table, ALL, "weighted"), row(table, BALANCED, "macro")
    assert macro["precision"] == pytest.approx((1 + 1 + 87 / 687) / 3)
    assert weighted["precision"] > 0.999
    assert drawn["precision"] > 0.99
    assert drawn["per_class"] == 87


def test_a_class_that_is_never_predicted_is_counted_and_left_out_of_precision() -> None:
    table = averaged_scores(predicted([[5, 0, 0], [5, 0, 0], [0, 0, 5]]), CLASSES)
    macro = row(table, ALL, "macro")
    assert macro["precision"] == pytest.approx((0.5 + 1) / 2)
    assert macro["recall"] == pytest.approx(2 / 3)
    assert macro["undefined"] == 1


def test_deviations_are_over_members_and_order_changes_nothing() -> None:
    both = pd.concat(
        [predicted([[8, 2, 0], [0, 9, 1], [0, 0, 10]], 0), predicted([[9, 1, 0], [0, 9, 1], [2, 0, 8]], 1)]
    )
    table = averaged_scores(both, CLASSES)
    pd.testing.assert_frame_equal(averaged_scores(both.sample(frac=1, random_state=1), CLASSES), table)
    accuracies = [27 / 30, 26 / 30]
    assert row(table, ALL, "macro")["accuracy"] == pytest.approx(np.mean(accuracies))
    assert row(table, ALL, "macro")["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))


def test_a_class_without_samples_is_left_out() -> None:
    macro = row(averaged_scores(predicted([[5, 0, 0], [0, 5, 0], [0, 0, 0]]), CLASSES), ALL, "macro")
    assert macro["recall"] == 1.0
