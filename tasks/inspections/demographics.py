"""Does the share of relevance depend on age, sex or drug? The paper's regression beside models that hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from xai.quality.demographics import Design, Factor, coefficient_table, correct, false_positive_rates, misclassified

from ..drawing.calibration import false_positives
from ..drawing.coefficient_forest import coefficient_forest
from ..drawing.coefficients import SIGNIFICANT, coefficient_heatmaps
from .finding import Drawn, Finding
from .inspected import Inspected

PAPER, PRIMARY = "ols", "subject_mean"
MODELS = {PAPER: "paper: OLS on samples", PRIMARY: "corrected: subject means, permutation"}
PAPERS_FIGURE = "lrp_epsilon_e100"
"""The rule that Figure 4 of Ellis et al. (2021) shows; where it was not taken, the first one."""

TEXT = """The percent of relevance on each part of the input is regressed on {factors}, by true and predicted class.
The paper's model, OLS on single samples, treats the thousands of samples of a person as independent and finds effects
where there are none. The primary model takes means over a subject (and night) first: factors of the subject by
regression with an intercept for every fold of five subjects or more, since networks differ in how they share relevance
out, and permutation of the residuals between subjects (Freedman and Lane), factors that change between a
subject's nights by the paired difference with sign flips. Cluster-robust errors and a mixed model with random {random}
stand beside it, and so do log ratios of the shares, which sum to 100 and cannot vary freely.

Declared before looking: the samples read rightly, {tests} tests per explainer, corrected by Benjamini and Hochberg;
misread samples are exploratory, with a correction of their own. Coefficients are percentage points per unit of the
factor (a year, male against female, drug against placebo). A minimum detectable effect is at 80 % power.

How often a model finds an effect where none can be was measured by dealing the demographics to the subjects at random,
{draws} times, the network and its relevance kept."""


def inspect(looked: Inspected) -> Finding:
    """Coefficients of every factor, part and class (Ellis et al., 2021, Figure 4), and the false-positive rates."""
    asked: Mapping[str, Any] = looked.demographics or {}
    shares = looked.shares_taken()
    design = _design(looked, shares, asked)
    table = _named(coefficient_table(shares, design, permutations=asked["permutations"]))
    declared = Design(design.factors, design.parts, design.families[:1], design.random)
    null = false_positive_rates(shares, declared, draws=asked["null_draws"])
    shown = PAPERS_FIGURE if PAPERS_FIGURE in set(table["explainer"]) else str(shares["explainer"].iloc[0])
    return Finding(
        title="Does relevance depend on who the person is?",
        text=TEXT.format(
            factors=", ".join(factor.name for factor in design.factors),
            random=" and ".join(design.random),
            tests=len(looked.classes) * len(design.parts) * len(design.factors),
            draws=asked["null_draws"],
        ),
        verdicts=(*_found(table, looked), *_calibration(null)),
        figures=_figures(looked, table, null, shown, asked["null_draws"]),
        tables={"coefficients": table, "false_positive_rates": null},
    )


def _design(looked: Inspected, shares: pd.DataFrame, asked: Mapping[str, Any]) -> Design:
    """Factors from the catalogue, parts and classes from the cohort."""
    factors = [
        Factor(f["name"], None if f["levels"] is None else (f["levels"][0], f["levels"][1]), f["within"])
        for f in asked["factors"]
    ]
    families = (correct(looked.classes), misclassified(looked.classes))
    return Design(tuple(factors), tuple(dict.fromkeys(shares["part"])), families, tuple(asked["random"]))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """With a column ``group``: the true and the predicted class."""
    return table.assign(group=table["true"] + " read as " + table["predicted"])


def _declared(table: pd.DataFrame, model: str) -> pd.DataFrame:
    rows = (table["family"] == "correct") & (table["scale"] == "percent") & (table["model"] == model)
    return table[rows]


def _found(table: pd.DataFrame, looked: Inspected) -> Iterator[str]:
    """Per explainer: how many effects each model declares, and the strongest that the primary one does."""
    for explainer, rows in table.groupby("explainer", sort=False):
        paper, primary = _declared(rows, PAPER), _declared(rows, PRIMARY)
        found = primary[primary["q"] < SIGNIFICANT].sort_values("p")
        strongest = "; ".join(_effect(row) for _, row in found.head(3).iterrows())
        yield (
            f"{explainer}: of {len(primary)} declared effects, subject means find {len(found)}"
            f"{f' ({strongest})' if len(found) else ''}; OLS on samples, as in the paper, declares "
            f"{int((paper['q'] < SIGNIFICANT).sum())} ({primary['n_subjects'].max()} {looked.cohort.subject_kind}s)"
        )


def _effect(row: pd.Series) -> str:
    return (
        f"{row['factor']} on {row['part']} in {row['true']} {row['coefficient']:+.2g} "
        f"[{row['ci_low']:.2g}, {row['ci_high']:.2g}], q = {row['q']:.2g}"
    )


def _calibration(null: pd.DataFrame) -> Iterator[str]:
    for explainer, rows in null.groupby("explainer", sort=False):
        rates = ", ".join(
            f"{row['model']} {100 * row['false_positive_rate']:.1f} % "
            f"[{100 * row['ci_low']:.1f}, {100 * row['ci_high']:.1f}]"
            for _, row in rows.iterrows()
        )
        yield f"{explainer}: with demographics dealt at random, p < 0.05 in {rates} of the tests"


def _figures(looked: Inspected, table: pd.DataFrame, null: pd.DataFrame, shown: str, draws: int) -> Mapping[str, Drawn]:
    rows = table[(table["explainer"] == shown) & (table["scale"] == "percent") & (table["family"] == "correct")]
    groups = {f"{name} read as {name}": name for name in looked.classes}
    tests = len(_declared(rows, PRIMARY))
    labels = {name: f"{label} (BH over {tests})" for name, label in MODELS.items()}
    heatmaps = coefficient_heatmaps(
        rows, labels, groups, title=f"What demographics do to the shares of relevance: {shown}", samples="samples"
    )
    figures = {
        "coefficients": Drawn(
            f"Coefficients by class and part, {shown}: as in the paper, and with the subject as the unit.", heatmaps
        ),
        "false-positives": Drawn(
            "How often each model finds an effect where there is none.",
            false_positives(
                null[null["explainer"] == shown].assign(nominal=0.05),
                draws=draws,
                title="False positives when demographics are dealt at random",
            ),
        ),
    }
    for part in dict.fromkeys(rows["part"]):
        drawn = coefficient_forest(rows, str(part), groups, title=f"Every model's coefficients: {part}, {shown}")
        figures[f"coefficients-{part}"] = Drawn(f"{part}: coefficients by model, with their 95 % intervals.", drawn)
    return figures
