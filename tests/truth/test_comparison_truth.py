"""The comparison finds what was planted, and seldom what was not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from xai.quality.comparison import by_subject, compare, every_pair, mean_table, subject_table

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def scores_of_samples(seed: int, explainers: dict[str, float], subjects: int = 20, samples: int = 15) -> pd.DataFrame:
    """Deletion AUC of windows: strong subject effects, shared by the explainers, and a mean of each."""
    generator = np.random.default_rng(seed)
    person = generator.normal(0, 1.0, size=(subjects, 1))
    tables = []
    for name, shift in explainers.items():
        taste = generator.normal(0, 0.2, size=(subjects, 1))  # how this explainer suits this subject
        values = shift + person + taste + generator.normal(0, 0.5, size=(subjects, samples))
        values[generator.random(values.shape) < 0.05] = np.nan
        table = pd.DataFrame({"subject": np.repeat([f"s{i}" for i in range(subjects)], samples)})
        tables.append(table.assign(explainer=name, value=values.ravel()))
    return pd.concat(tables).assign(metric="deletion_auc", baseline="zero")


def judge(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    table = subject_table(by_subject(scores), "deletion_auc", "zero")
    pairs = every_pair(list(table))
    return compare(table, pairs, metric="deletion_auc", direction="lower", baseline="zero", seed=seed)


def test_a_planted_difference_is_found_with_its_size() -> None:
    found = [judge(scores_of_samples(seed, {"a": 0.0, "b": 0.3})).iloc[0] for seed in range(20)]
    assert sum(row["winner"] == "a" for row in found) >= 18
    assert np.mean([row["difference"] for row in found]) == pytest.approx(-0.3, abs=0.05)
    assert sum(row["ci_low"] <= -0.3 <= row["ci_high"] for row in found) >= 17
    assert "a is more faithful than b: deletion AUC (zero) -0." in found[0]["verdict"]


def test_among_a_hundred_draws_without_a_difference_at_most_nine_are_declared() -> None:
    equal = {"a": 0.0, "b": 0.0}
    found = [judge(scores_of_samples(seed, equal, subjects=16), seed).iloc[0] for seed in range(100)]
    assert sum(row["winner"] != "" for row in found) <= 9
    assert 1 <= sum(row["p"] <= 0.05 for row in found) <= 9  # neither generous nor dead
    assert 30 <= sum(row["p"] <= 0.5 for row in found) <= 70


def test_holm_keeps_the_error_of_the_whole_family() -> None:
    wrong_alone = wrong_family = 0
    for seed in range(60):
        generator = np.random.default_rng([seed, 5])
        table = pd.DataFrame(generator.normal(size=(20, 6)), columns=list("abcdef"))
        pairs = every_pair(list(table))
        result = compare(table, pairs, metric="m", direction="lower", resamples=1_000, seed=seed)
        wrong_alone += bool((result["p"] <= 0.05).any())
        wrong_family += bool((result["winner"] != "").any())
    assert wrong_alone >= 15  # without correction one in three or so finds something
    assert wrong_family <= 6


def test_holm_still_finds_the_one_explainer_that_differs() -> None:
    shifts = {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.5}
    for seed in range(5):
        result = judge(scores_of_samples(seed, shifts, subjects=25))
        involved = (result["first"] == "d") | (result["second"] == "d")
        assert (result.loc[involved, "winner"] != "").all()
        assert (result.loc[~involved, "winner"] == "").sum() >= 2


DRAWS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda g, shape: g.normal(size=shape), 0.0),
    "heavy tails": (lambda g, shape: g.standard_t(3, size=shape), 0.0),
    "skewed": (lambda g, shape: g.exponential(size=shape), 1.0),
}


@pytest.mark.parametrize(
    ("subjects", "draw", "fewest"),
    [
        (4, "normal", 0.93), (6, "normal", 0.92), (10, "normal", 0.92), (40, "normal", 0.93),
        (6, "heavy tails", 0.92), (20, "heavy tails", 0.92), (6, "skewed", 0.84), (40, "skewed", 0.90),
    ],
)  # fmt: skip
def test_the_interval_covers_the_truth_about_as_often_as_it_says(subjects: int, draw: str, fewest: float) -> None:
    function, truth = DRAWS[draw]
    values = function(np.random.default_rng([subjects, 7]), (subjects, 2_000))
    found = mean_table(pd.DataFrame(values), resamples=4_000)
    coverage = ((found["ci_low"] <= truth) & (truth <= found["ci_high"])).mean()
    print(f"{draw}, {subjects} subjects: {coverage:.3f}")
    assert fewest <= coverage <= 0.975
