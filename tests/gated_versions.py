"""Versions as the gate sees them, made up: what was found of them is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tasks.gating.judged import Judged

BEST, METRIC, LOCALISED = "occlusion_w10", "deletion_auc", "inclusivity_area_corrected"
CLASSES = 3


def comparisons(metric: str = METRIC, baseline: str = "zero", **changes: Any) -> pd.DataFrame:
    """The best explainer against both controls; by default it is better by 0.3 [0.2, 0.4]."""
    direction = changes.get("direction", "lower" if metric == METRIC else "higher")
    difference = changes.get("difference", -0.3 if direction == "lower" else 0.3)
    return pd.DataFrame(
        [
            {"first": BEST, "second": control, "metric": metric, "baseline": baseline, "family": "controls",
             "difference": difference, "ci_low": difference - 0.1, "ci_high": difference + 0.1,
             "p_adjusted": changes.get("p", 0.01), "direction": direction}
            for control in ("random", "amplitude")
        ]
    )  # fmt: skip


def survival(metric: str, mean: float, half: float = 0.1) -> pd.DataFrame:
    """The row of a randomisation measure of the best explainer."""
    row = {"metric": metric, "explainer": BEST, "mean": mean, "ci_low": mean - half, "ci_high": mean + half}
    return pd.DataFrame([row])


def predictions(right: dict[int, float], per_class: int = 20) -> pd.DataFrame:
    """Of each subject as many of its samples right as it says, in each of three classes."""
    rows = [
        (subject, label, label if number < round(share * per_class) else (label + 1) % CLASSES)
        for subject, share in right.items()
        for label in range(CLASSES)
        for number in range(per_class)
    ]
    return pd.DataFrame(rows, columns=["subject", "label", "prediction"])


def scores(gains: dict[int, float]) -> pd.DataFrame:
    """In probability the best explainer's deletion AUC is so much below that of random maps."""
    rows = [
        (subject, explainer, f"{METRIC}_probability", "zero", 0.5 - (gain if explainer == BEST else 0.0))
        for subject, gain in gains.items()
        for explainer in (BEST, "random")
    ]
    return pd.DataFrame(rows, columns=["subject", "explainer", "metric", "baseline", "value"])


def judged(**changes: Any) -> Judged:
    """A version of 20 subjects about which there is nothing to complain."""
    people = range(20)
    sound = Judged(
        version="2",
        mode="corrected",
        headline={"balanced_accuracy": 0.8, "balanced_accuracy_ci_low": 0.7, "balanced_accuracy_ci_high": 0.9,
                  "classes_left_out": []},
        classes=CLASSES,
        has_evidence=True,
        subject_kind="subject",
        metric=METRIC,
        baseline="zero",
        best=BEST,
        explainers=pd.concat([survival("cascading_randomisation", 0.1), survival("random_logit", 0.2)]),
        comparisons=pd.concat([comparisons(), comparisons(LOCALISED, "")]),
        scores=scores({subject: 0.4 + 0.01 * (subject % 3) for subject in people}),
        predictions=predictions({subject: 0.8 + 0.05 * (subject % 2) for subject in people}),
        groups=pd.DataFrame(
            {"sex": np.where(np.arange(20) % 2, "F", "M"), "age": np.where(np.arange(20) < 10, "0 to 39", "40 to 59")}
        ),
    )  # fmt: skip
    return replace(sound, **changes)
