"""Planted effects are found with their size; where nothing is planted, only the paper's model finds much."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic_shares import DESIGN, sleepers

from xai.quality.demographics import coefficient_table, false_positive_rates


def eeg(table: pd.DataFrame, factor: str) -> pd.DataFrame:
    """The primary rows of the EEG on log ratios, where the planted size is two thirds of the effect on its log."""
    found = coefficient_table(table, DESIGN, models=["subject_mean"], scales=["clr"], permutations=2_000)
    return found[(found["part"] == "eeg") & (found["factor"] == factor)]


def test_planted_effects_of_age_and_drug_are_found_with_their_size() -> None:
    ages, drugs = [], []
    for seed in range(25):
        table = sleepers(seed, planted={"age": 0.025, "drug": 0.25})
        ages.append(eeg(table, "age"))
        drugs.append(eeg(table, "drug"))
    for found, size in ((pd.concat(ages), 0.025 * 2 / 3), (pd.concat(drugs), 0.25 * 2 / 3)):
        assert (found["q"] < 0.05).mean() > 0.75  # 22 subjects
        assert found["coefficient"].mean() == pytest.approx(size, rel=0.15)
        assert ((found["ci_low"] <= size) & (size <= found["ci_high"])).mean() >= 0.88


def test_ols_on_epochs_calls_chance_an_effect_and_subject_means_do_not() -> None:
    rates = [false_positive_rates(sleepers(seed, epochs=20), DESIGN, draws=25, seed=seed) for seed in range(4)]
    table = pd.concat(rates).groupby("model")[["false_positive_rate", "familywise_rate"]].mean()
    print(table)
    assert table.loc["ols", "false_positive_rate"] > 0.35
    assert table.loc["ols", "familywise_rate"] > 0.9
    assert 0.02 <= table.loc["subject_mean", "false_positive_rate"] <= 0.08
    assert table.loc["subject_mean", "familywise_rate"] <= 0.12
    assert table.loc["subject_mean", "false_positive_rate"] < table.loc["ols_cluster", "false_positive_rate"] < 0.15


def test_a_planted_effect_does_not_survive_the_dealing_of_demographics() -> None:
    strong = sleepers(6, planted={"age": 0.03, "drug": 0.5})
    assert (eeg(strong, "age")["p"] < 0.01).all()
    dealt = false_positive_rates(strong, DESIGN, draws=40, models=["subject_mean"])
    assert dealt["false_positive_rate"].item() < 0.12
    assert dealt["ci_low"].item() <= dealt["false_positive_rate"].item() <= dealt["ci_high"].item()
    assert dealt[["draws", "tests"]].iloc[0].to_list() == [40, 27]


def test_false_positive_rates_are_the_same_twice_and_differ_by_seed() -> None:
    table = sleepers(2, subjects=9, epochs=3)
    first, again, other = (
        false_positive_rates(table, DESIGN, draws=6, seed=seed, models=["ols"]) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["false_positive_rate"], other["false_positive_rate"])
