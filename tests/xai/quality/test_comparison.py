"""Paired statistics against naive oracles, SciPy and statsmodels; invariances; words."""

from __future__ import annotations

import math
import time
from itertools import product
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xai.quality.comparison import (
    COLUMNS,
    Correction,
    against_controls,
    by_subject,
    compare,
    every_pair,
    friedman,
    mean_table,
    subgroup_means,
    subject_table,
    verdict,
)


def a_table(subjects: int, explainers: int = 3, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(subjects, explainers))
    return pd.DataFrame(
        values,
        index=pd.Index([f"s{i:02d}" for i in range(subjects)], name="subject"),
        columns=pd.Index([f"e{i}" for i in range(explainers)], name="explainer"),
    )


def one_pair(differences: list[float] | np.ndarray, **changes: object) -> pd.Series:
    """The row of `compare` for two explainers, "a" and "b", that differ by ``differences``."""
    table = pd.DataFrame({"a": np.asarray(differences, dtype=float), "b": 0.0})
    options: dict[str, object] = {"metric": "deletion_auc", "direction": "lower"}
    return compare(table, [("a", "b")], **(options | changes)).iloc[0]  # type: ignore[arg-type]


# Families.


def test_families_name_their_pairs() -> None:
    names = ["gradient", "occlusion_w10", "occlusion_w10-paper", "random", "amplitude"]
    assert len(every_pair(names)) == 10
    assert against_controls(names) == list(product(names[:3], ("random", "amplitude")))


# From samples to subjects.


def long_scores() -> pd.DataFrame:
    rows = [
        ("p", "N", 1.0),
        ("p", "N", 3.0),
        ("p", "L", np.nan),
        ("p", "L", 8.0),
        ("q", "N", np.nan),
        ("q", "N", np.nan),
        ("q", "L", 5.0),
    ]
    table = pd.DataFrame(rows, columns=["subject", "class", "value"])
    return table.assign(explainer="gradient", metric="deletion_auc", baseline="zero", sample=range(7))


def test_samples_are_averaged_within_the_subject_and_undefined_ones_counted() -> None:
    table = by_subject(long_scores()).set_index(["subject", "class_name"])[["value", "n", "n_undefined"]]
    assert table.loc[("p", "")].tolist() == [4.0, 3, 1]
    assert table.loc[("q", "")].tolist() == [5.0, 1, 2]
    assert table.loc[("p", "N")].tolist() == [2.0, 2, 0]
    assert table.loc[("p", "L")].tolist() == [8.0, 1, 1]
    assert math.isnan(table.loc[("q", "N"), "value"])
    assert table.loc[("q", "N"), ["n", "n_undefined"]].tolist() == [0, 2]


def test_without_classes_there_are_rows_over_all_only() -> None:
    table = by_subject(long_scores().drop(columns="class"))
    assert table["class_name"].tolist() == ["", ""]
    pd.testing.assert_frame_equal(table, by_subject(long_scores()).iloc[:2])


def test_the_order_of_rows_changes_no_digit() -> None:
    generator = np.random.default_rng(0)
    scores = pd.DataFrame(list(product(range(300), ("a", "b"))), columns=["sample", "explainer"])
    scores["subject"] = "s" + (scores["sample"] % 7).astype(str)
    scores = scores.assign(metric="m", baseline="", value=generator.normal(size=600) * 10.0 ** (scores.index % 9))
    shuffled = scores.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(by_subject(scores), by_subject(shuffled), check_exact=True)


def test_subject_table_chooses_metric_baseline_and_class() -> None:
    scores = by_subject(long_scores())
    assert subject_table(scores, "deletion_auc", "zero")["gradient"].to_dict() == {"p": 4.0, "q": 5.0}
    assert subject_table(scores, "deletion_auc", "zero", "L")["gradient"].to_dict() == {"p": 8.0, "q": 5.0}
    with pytest.raises(ValueError, match="no metric 'deletion_auc' with baseline 'mean'"):
        subject_table(scores, "deletion_auc", "mean")


def test_scores_without_their_columns_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lack the columns \['baseline'\]"):
        by_subject(long_scores().drop(columns="baseline"))
    with pytest.raises(ValueError, match=r"without a value in \['subject'\]"):
        by_subject(long_scores().replace({"subject": {"q": None}}))


# Numbers against oracles.

FEW_VALUES = st.sampled_from([-2.0, -1.0, -0.25, 0.0, 0.5, 1.0, 3.0])


@given(arrays(np.float64, st.integers(3, 8), elements=FEW_VALUES))
@settings(max_examples=30, deadline=None)
def test_the_sign_flip_p_is_the_naive_enumeration(differences: np.ndarray) -> None:
    observed = abs(differences.sum())
    flips = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=len(differences))]
    assert one_pair(differences, resamples=100)["p"] == np.mean([flip >= observed - 1e-9 for flip in flips])


def test_the_exact_p_is_scipys_permutation_test() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, 12)
    expected = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert one_pair(differences)["p"] == pytest.approx(expected.pvalue, abs=1e-12)


def test_the_drawn_p_comes_near_the_exact_one_and_is_never_0() -> None:
    differences = np.random.default_rng(4).normal(0.6, 1, 15)
    flips = (2.0 * ((np.arange(2**15)[:, None] >> np.arange(15)) & 1) - 1) @ differences
    exact = np.mean(np.abs(flips) >= abs(differences.sum()) - 1e-9)
    assert 0.02 < exact < 0.5
    assert one_pair(differences, resamples=40_000)["p"] == pytest.approx(exact, abs=0.01)
    assert one_pair(np.ones(30), resamples=999)["p"] == pytest.approx(1 / 1000)


def naive_rank_biserial(differences: np.ndarray) -> float:
    sizes = [abs(d) for d in differences if d != 0]
    up = down = 0.0
    for difference in differences[differences != 0]:
        size = abs(difference)
        rank = sum(other < size for other in sizes) + (sizes.count(size) + 1) / 2
        up, down = (up + rank, down) if difference > 0 else (up, down + rank)
    return (up - down) / (up + down)


def test_effect_sizes_and_signed_rank_are_their_definitions() -> None:
    differences = np.array([0.5, -0.25, 0.5, 1.0, 0.0, 2.0, -1.0, 0.75])
    row = one_pair(differences)
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["effect_size"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert row["rank_biserial"] == pytest.approx(naive_rank_biserial(differences))
    assert row["p_signed_rank"] == pytest.approx(stats.wilcoxon(differences, method="asymptotic").pvalue), "ties"
    untied = np.array([0.5, -0.25, 0.6, 1.0, 0.1, 2.0, -1.1, 0.75])
    assert one_pair(untied)["p_signed_rank"] == pytest.approx(stats.wilcoxon(untied, method="exact").pvalue)


def test_the_interval_is_the_widened_percentile_of_naive_resamples() -> None:
    differences = np.random.default_rng(5).exponential(size=9)
    generator = np.random.default_rng(99)
    means = [generator.choice(differences, 9).mean() for _ in range(40_000)]
    tail = stats.norm.cdf(math.sqrt(9 / 8) * stats.t.ppf(0.025, 8))
    row = one_pair(differences, resamples=40_000)
    spread = np.std(means)
    assert row["ci_low"] == pytest.approx(np.quantile(means, tail), abs=0.06 * spread)
    assert row["ci_high"] == pytest.approx(np.quantile(means, 1 - tail), abs=0.12 * spread)
    assert row["ci_low"] < np.quantile(means, 0.025) - 0.2 * spread  # wider than the plain percentile


def test_under_six_subjects_the_interval_is_students() -> None:
    differences = np.array([0.1, 0.4, 0.2, 0.35, 0.3])
    row = one_pair(differences)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_the_family_is_corrected_over_the_pairs_that_could_be_tested(correction: Correction, method: str) -> None:
    table = a_table(10, explainers=4).add([0.8, 0.0, 0.0, 0.0])
    table.loc[table.index[2:], "e3"] = np.nan
    result = compare(table, every_pair(list(table)), metric="m", direction="higher", correction=correction)
    tested = result["p"].notna()
    assert tested.tolist() == [True, True, False, True, False, False]
    expected = multipletests(result.loc[tested, "p"], method=method)[1]
    np.testing.assert_allclose(result.loc[tested, "p_adjusted"], expected, rtol=1e-12)
    assert result.loc[~tested, "p_adjusted"].isna().all()
    assert (result.loc[tested, "p_adjusted"] > result.loc[tested, "p"]).any()


def test_direction_decides_the_winner_not_the_numbers() -> None:
    differences = [-0.3, -0.2, -0.25, -0.1, -0.4, -0.3, -0.2, 0.05]
    lower = one_pair(differences, direction="lower")
    higher = one_pair(differences, direction="higher")
    assert (lower["winner"], higher["winner"]) == ("a", "b")
    assert lower["difference"] == higher["difference"] == pytest.approx(np.mean(differences))
    assert (lower["in_favour"], higher["in_favour"]) == (7, 7)


def test_swapping_a_pair_mirrors_every_number() -> None:
    table = a_table(20).add([0.0, 1.2, 0.0])
    there = compare(table, [("e0", "e1")], metric="m", direction="higher").iloc[0]
    back = compare(table, [("e1", "e0")], metric="m", direction="higher").iloc[0]
    for name in ("difference", "effect_size", "rank_biserial"):
        assert there[name] == pytest.approx(-back[name])
    assert (there["ci_low"], there["ci_high"]) == pytest.approx((-back["ci_high"], -back["ci_low"]))
    for name in ("p", "p_signed_rank", "in_favour", "winner", "subjects", "verdict"):
        assert there[name] == back[name]
    assert there["winner"] == "e1"


# Invariance.


@given(st.integers(6, 30), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_order_and_names_of_subjects_and_order_of_explainers_do_not_matter(subjects: int, random: Random) -> None:
    table = a_table(subjects, explainers=4, seed=subjects)
    table.iloc[1, 2] = np.nan
    pairs = every_pair(list(table))
    rows, columns = list(table.index), list(table.columns)
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = table.loc[rows, columns].rename(index=lambda name: f"{hash(name)}")
    expected = compare(table, pairs, metric="m", direction="lower", resamples=500)
    found = compare(shuffled, pairs, metric="m", direction="lower", resamples=500)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
    turned = compare(table, pairs[::-1], metric="m", direction="lower", resamples=500)
    pd.testing.assert_frame_equal(turned[::-1].reset_index(drop=True), expected, rtol=1e-12)


def test_a_seed_gives_the_same_digits_and_another_seed_others() -> None:
    differences = np.random.default_rng(0).normal(size=25)
    again = [one_pair(differences, seed=seed) for seed in (1, 1, 2)]
    assert again[0].equals(again[1])
    assert again[0]["ci_low"] != again[2]["ci_low"]
    assert again[0]["ci_low"] == pytest.approx(again[2]["ci_low"], abs=0.03)


# Undefined and few.


def test_a_subject_undefined_in_either_is_dropped_and_counted() -> None:
    table = a_table(12)
    whole = table.drop(index=["s03", "s07"])
    table.loc["s03", "e0"] = table.loc["s07", "e1"] = np.nan
    table.loc["s05", "e2"] = np.nan
    row = compare(table, [("e0", "e1")], metric="m", direction="lower").iloc[0]
    expected = compare(whole, [("e0", "e1")], metric="m", direction="lower").iloc[0]
    assert (row["subjects"], row["dropped"], expected["dropped"]) == (10, 2, 0)
    pd.testing.assert_series_equal(row.drop("dropped"), expected.drop("dropped"))


@pytest.mark.parametrize("subjects", [0, 1, 2])
def test_fewer_than_three_subjects_are_too_few(subjects: int) -> None:
    row = one_pair([0.5, 0.6][:subjects] + [np.nan] * 4)
    numbers = ["difference", "ci_low", "ci_high", "p", "p_signed_rank", "p_adjusted", "effect_size"]
    assert row[[*numbers, "rank_biserial"]].isna().all()
    assert (row["subjects"], row["dropped"], row["winner"]) == (subjects, 4, "")
    expected = f"too few subjects to compare a and b: deletion AUC, {subjects} of at least 3 subjects"
    assert row["verdict"] == expected


def test_explainers_that_agree_everywhere_do_not_differ() -> None:
    row = one_pair(np.zeros(8))
    assert (row["difference"], row["p"], row["p_signed_rank"], row["winner"]) == (0.0, 1.0, 1.0, "")
    assert math.isnan(row["effect_size"])
    assert math.isnan(row["rank_biserial"])


def test_an_empty_family_is_an_empty_table() -> None:
    result = compare(a_table(5), [], metric="m", direction="lower")
    assert result.empty
    assert tuple(result.columns) == COLUMNS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "up"}, "direction is 'up'; expected one of"),
        ({"correction": "none"}, "correction is 'none'; expected one of"),
        ({"resamples": 0}, "resamples is 0"),
        ({"level": 95}, "level is 95"),
        ({"pairs": [("e0", "other")]}, r"pairs name \['other'\]"),
        ({"pairs": [("e0", "e0")]}, "explainer against itself"),
        ({"pairs": [("e0", "e1"), ("e1", "e0")]}, "a pair twice"),
        ({"subject_scores": pd.concat([a_table(3), a_table(3)])}, "subject or explainer twice"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"subject_scores": a_table(5), "pairs": [("e0", "e1")]}
    arguments |= {"metric": "m", "direction": "lower"} | changes
    with pytest.raises(ValueError, match=message):
        compare(**arguments)  # type: ignore[arg-type]


# Words.

ROW: dict[str, object] = {
    "first": "occlusion_w10",
    "second": "gradient",
    "metric": "deletion_auc",
    "baseline": "",
    "difference": -0.11,
    "ci_low": -0.141,
    "ci_high": -0.081,
    "p_adjusted": 0.0002,
    "correction": "holm",
    "subjects": 40,
    "in_favour": 37,
    "winner": "occlusion_w10",
}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "occlusion_w10 is more faithful than gradient: deletion AUC -0.11 [-0.14, -0.08], "
            "37 of 40 subjects, p = 0.0002 (Holm)",
        ),
        (
            {"winner": "gradient", "p_adjusted": 0.00001, "baseline": "zero", "correction": "bh"},
            "gradient is more faithful than occlusion_w10: deletion AUC (zero) 0.11 [0.08, 0.14], "
            "37 of 40 subjects, p < 0.0001 (BH)",
        ),
        (
            {"winner": "", "difference": 0.004, "ci_low": -0.03, "ci_high": 0.04, "p_adjusted": 0.7},
            "no difference shown between occlusion_w10 and gradient: "
            "deletion AUC 0.004 [-0.030, 0.040], 40 subjects, p = 0.70 (Holm)",
        ),
        (
            {
                "metric": "relevance_mass",
                "difference": 12.0,
                "ci_low": 8.6,
                "ci_high": 15.2,
                "p_adjusted": 0.03,
            },
            "occlusion_w10 is better localised than gradient: relevance mass 12 [9, 15], "
            "37 of 40 subjects, p = 0.03 (Holm)",
        ),
        (
            {"metric": "insertion_auc_probability", "baseline": "mean"},
            "occlusion_w10 is more faithful than gradient: insertion AUC (mean, probability) "
            "-0.11 [-0.14, -0.08], 37 of 40 subjects, p = 0.0002 (Holm)",
        ),
    ],
)
def test_a_verdict_is_a_plain_sentence(changes: dict[str, object], sentence: str) -> None:
    assert verdict(ROW | changes) == sentence


# One explainer, subgroups, all explainers.


def test_a_mean_has_an_interval_and_counts_the_undefined() -> None:
    values = np.random.default_rng(0).normal(2, 1, 20)
    table = pd.DataFrame({"whole": values, "part": values, "few": [1.0, 2.0, *[np.nan] * 18], "none": np.nan})
    table.loc[:2, "part"] = np.nan
    found = mean_table(table).set_index("explainer")
    assert found.loc["part", ["subjects", "undefined"]].tolist() == [17, 3]
    assert found.loc["whole", "mean"] == pytest.approx(values.mean())
    assert found.loc["part", "mean"] == pytest.approx(values[3:].mean())
    assert found.loc["part", "ci_low"] < values[3:].mean() < found.loc["part", "ci_high"]
    assert found.loc["few", "mean"] == 1.5
    assert found.loc[["few", "none"], ["ci_low", "ci_high"]].isna().all(axis=None)
    assert math.isnan(found.loc["none", "mean"])


def test_a_mean_does_not_depend_on_its_neighbours_or_on_the_order_of_subjects() -> None:
    table = a_table(15)
    whole = mean_table(table).set_index("explainer")
    for name in table:
        alone = mean_table(table[[name]].iloc[::-1]).set_index("explainer")
        assert alone.loc[name].to_dict() == pytest.approx(whole.loc[name].to_dict())


def test_subgroups_have_their_own_means_and_small_cells_are_suppressed() -> None:
    table = a_table(12, explainers=2)
    sexes = ["F"] * 7 + ["M"] * 4 + [None]
    demographics = pd.DataFrame({"sex": sexes, "digoxin": [True, False] * 6}, index=table.index)
    keys = ["factor", "group", "explainer"]
    shown = subgroup_means(table, demographics).set_index(keys)
    sizes = {("digoxin", "False"): 6, ("digoxin", "True"): 6, ("sex", "F"): 7, ("sex", "M"): 4}
    assert shown["subjects"].groupby(level=[0, 1]).first().to_dict() == sizes
    assert shown.loc[("sex", "M", "e1"), "mean"] == pytest.approx(table["e1"].iloc[7:11].mean())
    assert not shown["suppressed"].any()
    hidden = subgroup_means(table, demographics, minimum=5).set_index(keys)
    assert hidden.loc[("sex", "M", "e1"), "suppressed"]
    assert hidden.loc[("sex", "M", "e1")].drop("suppressed").isna().all()
    assert hidden.loc[("sex", "F", "e1"), "suppressed"]  # the total less these 7 would give the 4 away
    assert hidden.groupby("factor")["suppressed"].sum().to_dict() == {"digoxin": 0, "sex": 4}
    pd.testing.assert_frame_equal(hidden[~hidden["suppressed"]], shown[~hidden["suppressed"]])


def test_friedman_is_scipys_on_complete_subjects_with_ranks_by_direction() -> None:
    table = a_table(15).add([0.0, 1.0, 3.0])
    table.iloc[0, 0] = np.nan
    found = friedman(table, direction="higher")
    expected = stats.friedmanchisquare(*table.iloc[1:].to_numpy().T)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.subjects, found.dropped) == (14, 1)
    assert found.mean_ranks["e2"] < found.mean_ranks["e1"] < found.mean_ranks["e0"]
    assert friedman(table, direction="lower").mean_ranks["e0"] == pytest.approx(4 - found.mean_ranks["e0"])


@pytest.mark.parametrize("table", [a_table(2), a_table(10, explainers=2), a_table(10) * 0])
def test_friedman_is_undefined_where_nothing_can_be_ranked(table: pd.DataFrame) -> None:
    assert math.isnan(friedman(table, direction="lower").p)


@pytest.mark.soak
def test_all_pairs_of_twelve_explainers_take_less_than_a_second() -> None:
    table = a_table(40, explainers=12)
    pairs = every_pair(list(table))
    compare(table, pairs[:1], metric="m", direction="lower")
    start = time.perf_counter()
    assert len(compare(table, pairs, metric="m", direction="lower", resamples=10_000)) == 66
    assert time.perf_counter() - start < 1.0
