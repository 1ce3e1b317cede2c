"""The regression as a finding: declared tests, both models, verdicts with their numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.inspections import demographics
from tasks.inspections.inspected import Inspected
from tests.tasks.inspections.inspecting import inspected, written_cohort

ASKED: dict[str, Any] = {
    "factors": [
        {"name": "age", "levels": None, "within": False},
        {"name": "sex", "levels": ["F", "M"], "within": False},
    ],
    "random": ["subject"],
    "permutations": 500,
    "null_draws": 20,
}
SUBJECTS, EPOCHS = 16, 20


def a_table(effect: float, seed: int = 0) -> pd.DataFrame:
    """Shares of two parts; the first one's rises by ``effect`` points from women to men."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(SUBJECTS):
        sex, own = "FM"[subject % 2], rng.normal(0, 3)
        for epoch in range(EPOCHS):
            share = 50 + own + effect * (sex == "M") + rng.normal(0, 1)
            cell = {"sample": subject * EPOCHS + epoch, "subject": subject, "age": 20.0 + 3 * subject, "sex": sex,
                    "true": "first", "predicted": "first", "explainer": "lrp_zplus", "fold": 0}  # fmt: skip
            rows += [{**cell, "part": "a", "share": share}, {**cell, "part": "b", "share": 100 - share}]
    return pd.DataFrame(rows)


@pytest.fixture
def looked(tmp_path: Path) -> Inspected:
    signals = np.random.default_rng(0).normal(size=(8, 1, 20))
    cohort = written_cohort(tmp_path / "cohort", signals, np.arange(8) % 2, classes=("first", "second"))
    return replace(inspected(tmp_path / "version", cohort), demographics=ASKED)


def test_a_planted_effect_is_found_by_the_primary_model_and_told(looked: Inspected) -> None:
    finding = demographics.inspect(replace(looked, shares=a_table(12.0)))
    table = finding.tables["coefficients"]
    row = table[
        (table["model"] == "subject_mean") & (table["scale"] == "percent") & (table["factor"] == "sex")
        & (table["part"] == "a") & (table["true"] == "first") & (table["predicted"] == "first")
    ].iloc[0]  # fmt: skip
    assert row["coefficient"] == pytest.approx(12, abs=4)
    assert row["q"] < 0.05
    assert "subject means find 2" in finding.verdicts[0]
    assert "sex on a in first" in finding.verdicts[0]


def test_without_an_effect_the_papers_model_finds_one_and_the_primary_none(looked: Inspected) -> None:
    finding = demographics.inspect(replace(looked, shares=a_table(0.0)))
    assert "subject means find 0;" in finding.verdicts[0]
    rates = finding.tables["false_positive_rates"].set_index("model")["false_positive_rate"]
    assert rates["ols"] > 0.3 > rates["subject_mean"]


def test_groups_that_nobody_is_in_are_told_and_not_zero(looked: Inspected) -> None:
    table = demographics.inspect(replace(looked, shares=a_table(0.0))).tables["coefficients"]
    absent = table[(table["true"] == "second") & (table["family"] == "correct")]
    assert absent["coefficient"].isna().all()
    assert (absent["note"] == "too few subjects").all()


def test_a_factor_that_does_not_vary_is_refused_in_one_sentence(looked: Inspected) -> None:
    with pytest.raises(ValueError, match="'sex' does not vary"):
        demographics.inspect(replace(looked, shares=a_table(0.0).assign(sex="F")))
