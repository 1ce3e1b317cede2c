"""Agreement of raters against readable loops, a printed example and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from synthetic_shares import sleepers

from xai.quality.agreement import intraclass_correlation, mean_correlations, pair_correlations, variance_levels

SHROUT_AND_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def loop_icc(ratings: np.ndarray) -> tuple[float, float]:
    """Both forms by the analysis of variance as printed, a target at a time."""
    n, k = ratings.shape
    grand = ratings.mean()
    rows = sum(k * (target.mean() - grand) ** 2 for target in ratings)
    columns = sum(n * (rater.mean() - grand) ** 2 for rater in ratings.T)
    rest = ((ratings - grand) ** 2).sum() - rows - columns
    bms, jms, ems = rows / (n - 1), columns / (k - 1), rest / ((n - 1) * (k - 1))
    return (bms - ems) / (bms + (k - 1) * ems + k * (jms - ems) / n), (bms - ems) / (bms + (k - 1) * ems)


def test_the_printed_example_of_shrout_and_fleiss() -> None:
    found = intraclass_correlation(SHROUT_AND_FLEISS, np.arange(6))
    assert found["value"].round(2).to_list() == [0.29, 0.71]
    assert (found["ci_low"] < found["value"]).all()
    assert (found["value"] < found["ci_high"]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 9), st.integers(2, 4))
def test_icc_equals_a_loop_wherever_the_ratings_lie(seed: int, targets: int, raters: int) -> None:
    ratings = np.random.default_rng(seed).normal(1_000, 3, size=(targets, raters))
    found = intraclass_correlation(ratings, np.arange(targets), resamples=20)
    np.testing.assert_allclose(found["value"], loop_icc(ratings), rtol=1e-6)


def test_resampled_icc_is_that_of_the_subjects_drawn() -> None:
    ratings, subjects = np.random.default_rng(2).normal(size=(40, 3)), np.repeat(np.arange(8), 5)
    found = intraclass_correlation(ratings, subjects, resamples=300, seed=4)
    weights = np.random.default_rng([4, 8, 0]).multinomial(8, np.full(8, 1 / 8), size=300)
    drawn = [loop_icc(np.concatenate([ratings[subjects == s] for s in np.repeat(np.arange(8), w)])) for w in weights]
    tail = stats.norm.cdf(-np.sqrt(8 / 7) * stats.t.ppf(0.975, 7))
    np.testing.assert_allclose(found["ci_low"], np.quantile(drawn, tail, axis=0), rtol=1e-6)


def test_icc_tells_agreement_from_consistency_and_drops_what_a_rater_lacks() -> None:
    person = np.random.default_rng(0).normal(size=30)
    shifted = intraclass_correlation(np.column_stack([person, person + 5]), np.arange(30)).set_index("form")["value"]
    assert shifted["ICC(3,1)"] == pytest.approx(1)
    assert shifted["ICC(2,1)"] < 0.2
    holes = np.column_stack([person, person])
    holes[3, 1] = np.nan
    found = intraclass_correlation(holes, np.arange(30))
    assert found[["targets", "subjects", "dropped"]].iloc[0].to_list() == [29, 29, 1]
    assert found["value"].to_list() == pytest.approx([1, 1])


def test_icc_without_variation_or_subjects_is_undefined() -> None:
    assert intraclass_correlation(np.full((5, 2), 3.1), np.arange(5))["value"].isna().all()
    few = intraclass_correlation(np.random.default_rng(1).normal(size=(8, 2)), np.repeat([0, 1], 4))
    assert few["value"].notna().all()
    assert few[["ci_low", "ci_high"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="2 raters or more"):
        intraclass_correlation(np.zeros((5, 1)), np.arange(5))


def test_correlations_are_averaged_within_subjects_first() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = {name: torch.randn(6, 2, 30, generator=generator) for name in ("a", "b", "c")}
    maps["b"][0] = maps["a"][0] ** 3
    maps["c"][5] = 1.0
    found = pair_correlations(maps)
    assert list(found) == ["a|b", "a|c", "b|c"]
    assert found.loc[0, "a|b"] == pytest.approx(1)
    expected = stats.spearmanr(maps["a"][2].flatten(), maps["c"][2].flatten()).statistic
    assert found.loc[2, "a|c"] == pytest.approx(expected)
    assert np.isnan(found.loc[5, "b|c"])
    subjects = pd.Series(["p", "p", "p", "q", "r", "s"])
    means = mean_correlations(found, subjects, resamples=200).set_index(["first", "second"])
    assert means.loc[("a", "b"), "mean"] == pytest.approx(found["a|b"].groupby(subjects).mean().mean())
    assert means.loc[("b", "c"), ["subjects", "undefined"]].to_list() == [3, 1]
    with pytest.raises(ValueError, match="1 rater"):
        pair_correlations({"a": maps["a"]})


def confused(seed: int = 0) -> pd.DataFrame:
    """Sleepers of whose epochs a third is misclassified, with shares that vary by fold there."""
    table = sleepers(seed, subjects=12, epochs=9)
    table["predicted"] = np.where(table["sample"] % 3 == 0, "N2", table["true"])
    wrong = table["predicted"] != table["true"]
    table.loc[wrong, "share"] += 40 * (table.loc[wrong, "fold"] % 2)
    return table


def test_variance_levels_equal_a_loop_and_add_up() -> None:
    table = confused()
    found = variance_levels(table, resamples=50).set_index(["part", "level"])
    eeg = table[table["part"] == "eeg"]
    centred = eeg.assign(share=eeg["share"] - eeg.groupby(["true", "predicted"])["share"].transform("mean"))
    for place, cell in centred.groupby(np.where(eeg["true"] == eeg["predicted"], "diagonal", "off_diagonal")):
        folds = cell.groupby("fold")["share"].transform("mean")
        people = cell.groupby(["fold", "subject"])["share"].transform("mean")
        expected = {"fold": folds.var(ddof=0), "subject": (people - folds).var(ddof=0),
                    "epoch": (cell["share"] - people).var(ddof=0)}  # fmt: skip
        for level, value in expected.items():
            assert found.loc[("eeg", level), place] == pytest.approx(value)
        assert sum(expected.values()) == pytest.approx(cell["share"].var(ddof=0))


def test_more_variance_between_folds_off_the_diagonal_is_found() -> None:
    found = variance_levels(confused()).set_index(["part", "level"])
    assert found.loc[("eeg", "fold"), "ci_low"] > 0
    same = variance_levels(confused().assign(share=lambda t: t["share"].to_numpy()[::-1])).set_index(["part", "level"])
    assert same.loc[("eeg", "epoch"), "ci_low"] < same.loc[("eeg", "epoch"), "difference"]


def test_variance_without_a_wrong_epoch_is_undefined_and_row_order_does_not_matter() -> None:
    correct = variance_levels(sleepers(subjects=5, epochs=3), resamples=50)
    assert correct["diagonal"].notna().all()
    assert correct[["off_diagonal", "difference", "ci_low", "ci_high"]].isna().all(axis=None)
    table = confused()
    shuffled = variance_levels(table.sample(frac=1, random_state=1), resamples=100)
    pd.testing.assert_frame_equal(variance_levels(table, resamples=100), shuffled, rtol=1e-9)
