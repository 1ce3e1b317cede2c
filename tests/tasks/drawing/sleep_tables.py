"""Tables with the shape of a sleep study's results, for the tests of its figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.drawing.night import UNSCORED, Night

CLASSES = ["Awake", "NREM1", "NREM2", "NREM3", "REM"]
PARTS = ["EEG Fpz-Cz", "EOG horizontal", "EMG submental"]
RULES = ["lrp_epsilon_0.01", "lrp_epsilon_100", "lrp_alpha1_beta0"]
MANY = [
    *RULES,
    "lrp_composite",
    "gradient_x_input",
    "integrated_gradients",
    "a rule with a very long $name$ of its own",
]
MODELS = ["ols", "ols_cluster", "mixed", "subject_mean"]
TWINS = {"ols": "paper (OLS on epochs)", "subject_mean": "corrected (subject means)"}
FACTORS = ["medication", "sex", "age"]


def shares(rows: int, seed: int = 0, parts: int = 3) -> np.ndarray:
    """Percent ``(rows, part)`` that add up to 100."""
    return 100 * np.random.default_rng(seed).dirichlet(np.linspace(5, 1, parts), rows)


def by_fold(folds: int = 11, rules: Sequence[str] = RULES, parts: Sequence[str] = PARTS) -> pd.DataFrame:
    rows = list(itertools.product(rules, range(folds), parts))
    table = pd.DataFrame(rows, columns=["explainer", "fold", "part"])
    return table.assign(share=shares(len(rules) * folds, parts=len(parts)).ravel())


def by_group(rules: Sequence[str] = RULES, classes: Sequence[str] = CLASSES) -> pd.DataFrame:
    """Every pair but the last class taken for the first; one pair has too few subjects for an interval."""
    pairs = [pair for pair in itertools.product(classes, classes) if pair != (classes[-1], classes[0])]
    rows = [(rule, *pair, part) for rule in rules for pair in pairs for part in PARTS]
    table = pd.DataFrame(rows, columns=["explainer", "true", "predicted", "part"])
    table["share"] = table["mean_share"] = shares(len(rows) // 3, seed=1).ravel()
    table["ci_low"], table["ci_high"] = table["share"] * 0.8, np.minimum(table["share"] * 1.2, 100)
    table["n_epochs"] = np.where(table["true"] == table["predicted"], 12_345, 67)
    table["n_subjects"] = 22
    few = (table["true"] == classes[0]) & (table["predicted"] == classes[-1])
    table.loc[few, ["ci_low", "ci_high"]] = np.nan
    table.loc[few, "n_subjects"] = 1
    return table


def by_group_fold(folds: int = 11, rules: Sequence[str] = RULES, classes: Sequence[str] = CLASSES) -> pd.DataFrame:
    pooled = by_group(rules, classes)
    table = pooled[["explainer", "true", "predicted", "part", "share"]].merge(
        pd.DataFrame({"fold": range(folds)}), how="cross"
    )
    noise = np.random.default_rng(2).normal(0, 6, len(table))
    return table.assign(share=np.clip(table["share"] + noise, 0, 100))


def coefficients(classes: Sequence[str] = CLASSES, factors: Sequence[str] = FACTORS) -> pd.DataFrame:
    """The least squares find much, the subject means little; one group has too few subjects for any."""
    cells = itertools.product(MODELS, classes, PARTS, factors)
    table = pd.DataFrame(cells, columns=["model", "true", "part", "factor"])
    rng = np.random.default_rng(3)
    scale = table["factor"].map({"medication": 4.0, "sex": 7.0}).fillna(0.1)
    table["group"] = table["true"] + "/" + table["true"]
    table["coefficient"] = scale * rng.normal(size=len(table))
    table["std_error"] = scale * table["model"].map({"ols": 0.1, "ols_cluster": 0.5}).fillna(0.6)
    table["ci_low"] = table["coefficient"] - 1.96 * table["std_error"]
    table["ci_high"] = table["coefficient"] + 1.96 * table["std_error"]
    table["p"] = np.exp(-((table["coefficient"] / table["std_error"]) ** 2) / 1.4)
    table = table.assign(q=np.minimum(table["p"] * 2, 1), n_epochs=4_000, n_subjects=22, note="")
    few = (table["true"].isin(classes[1:2])) & (table["model"] != "ols")
    table.loc[few, ["coefficient", "std_error", "ci_low", "ci_high", "p", "q"]] = np.nan
    table.loc[few, "note"] = "too few subjects"
    table.loc[few, "n_subjects"] = 2
    return table.assign(explainer="lrp_epsilon_100", minimum_detectable_effect=2.8 * table["std_error"])


GROUPS = {f"{name}/{name}": name for name in CLASSES}


def night(epochs: int = 240, rate: float = 100.0, gap: int = 100) -> Night:
    """Stages that hold for a while, a few wrong ones, four epochs missing from ``gap`` on, and one loud artefact."""
    rng = np.random.default_rng(4)
    true = np.repeat(rng.integers(0, 5, -(-epochs // 12)), 12)[:epochs]
    predicted = np.where(rng.random(epochs) < 0.1, rng.integers(0, 5, epochs), true)
    true[5:6] = UNSCORED
    kept = np.r_[0 : min(gap, epochs), gap + 4 : epochs]
    signals = rng.normal(size=(3, int(epochs * 30 * rate))) * (1 + np.repeat(true == 0, int(30 * rate)))
    signals[2, len(signals[2]) // 3] = 80
    return Night(
        tuple(CLASSES), 30.0 * kept, true[kept], predicted[kept], tuple(PARTS), shares(epochs, 5)[kept], tuple(PARTS),
        ("SD",) * 3, rate, signals, levels=("Awake", "REM", "NREM1", "NREM2", "NREM3"),
    )  # fmt: skip


def calibration() -> pd.DataFrame:
    table = pd.DataFrame({"model": [*MODELS, "undefined"], "false_positive_rate": [0.59, 0.09, 0.06, 0.043, np.nan]})
    half = [0.02, 0.015, np.nan, 0.01, np.nan]
    rate = table["false_positive_rate"]
    return table.assign(ci_low=rate - half, ci_high=rate + half, nominal=0.05)


def confusions(folds: int = 11) -> pd.DataFrame:
    """Counts ``10 * (row == column) + fold + 1``; the second fold has no NREM1."""
    cells = itertools.product(range(folds), CLASSES, CLASSES)
    table = pd.DataFrame(cells, columns=["fold", "true", "predicted"])
    table["count"] = 10 * (table["true"] == table["predicted"]) + table["fold"] + 1
    return table[~((table["fold"] == 1) & (table["true"] == "NREM1"))]


def ablation() -> pd.DataFrame:
    cells = itertools.product(("zero", "mean", "line_noise"), PARTS)
    table = pd.DataFrame(cells, columns=["ablation", "channel"])
    drop = np.array([0.31, 0.12, 0.02, 0.3, 0.11, 0.01, 0.35, 0.2, np.nan])
    return table.assign(
        drop=drop, ci_low=drop - 0.04, ci_high=drop + 0.04, distance=[3.1, 2.2, 1.1, 3.0, 2.1, 1.0, 8.4, 9.9, np.nan]
    )


def channel_shares() -> pd.DataFrame:
    table = by_fold(1, MANY[:4]).rename(columns={"part": "channel"}).drop(columns="fold")
    return table.assign(ci_low=table["share"] - 4, ci_high=table["share"] + 4)


def agreements(rules: Sequence[str] = RULES) -> pd.DataFrame:
    pairs = list(itertools.combinations(rules, 2))
    value = np.linspace(0.95, -0.4, len(pairs))
    table = pd.DataFrame(pairs, columns=["first", "second"])
    table = table.assign(value=value, ci_low=value - 0.03, ci_high=value + 0.03)
    table.loc[len(pairs) - 1, ["ci_low", "ci_high"]] = np.nan
    return table
