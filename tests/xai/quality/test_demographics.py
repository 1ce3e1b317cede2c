"""The table of coefficients against statsmodels called by hand; what is dropped, and what is refused."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.multitest import multipletests
from synthetic_shares import DESIGN, FACTORS, PARTS, STAGES, sleepers

from xai.quality.demographics import (
    MODELS,
    Design,
    Factor,
    coefficient_table,
    correct,
    false_positive_rates,
    misclassified,
)
from xai.quality.demographics.coefficients import COLUMNS, Model
from xai.quality.shares import REPLACED_ZERO

AGE_AND_SEX = replace(DESIGN, factors=FACTORS[:2], random=("subject",))


def chosen(table: pd.DataFrame, stage: str = "N2", part: str = "eeg") -> pd.DataFrame:
    """The epochs of one cell, coded by hand as in the paper."""
    cell = table[(table["true"] == stage) & (table["predicted"] == stage) & (table["part"] == part)]
    return cell.assign(male=(cell["sex"] == "male") * 1.0, taken=(cell["drug"] == "temazepam") * 1.0)


def row(result: pd.DataFrame, model: Model, factor: str, scale: str = "percent", part: str = "eeg") -> pd.Series:
    keys = {"true": "N2", "model": model, "factor": factor, "scale": scale, "part": part}
    (found,) = [line for _, line in result.iterrows() if all(line[key] == value for key, value in keys.items())]
    return found


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return sleepers(1, planted={"age": 0.01, "drug": 0.2})


@pytest.fixture(scope="module")
def result(table: pd.DataFrame) -> pd.DataFrame:
    return coefficient_table(table, DESIGN, permutations=2_000)


@pytest.mark.parametrize(("factor", "column"), [("age", "age"), ("sex", "male"), ("drug", "taken")])
def test_ols_equals_statsmodels_called_by_hand(
    table: pd.DataFrame, result: pd.DataFrame, factor: str, column: str
) -> None:
    cell = chosen(table)
    model = smf.ols("share ~ age + male + taken", cell)
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": cell["subject"].factorize()[0]}, use_t=True)
    by_hand: dict[Model, object] = {"ols": model.fit(), "ols_cluster": clustered}
    for name, fit in by_hand.items():
        found = row(result, name, factor)
        numbers = found[["coefficient", "std_error", "p", "ci_low", "ci_high"]].to_numpy(dtype=float)
        expected = [fit.params[column], fit.bse[column], fit.pvalues[column], *fit.conf_int().loc[column]]  # type: ignore[attr-defined]
        np.testing.assert_allclose(numbers, expected, rtol=1e-8)


def test_the_mixed_model_equals_statsmodels_formula_with_subjects_in_folds(
    table: pd.DataFrame, result: pd.DataFrame
) -> None:
    components = {"subject": "0 + C(subject)"}
    cell = chosen(table)
    fit = smf.mixedlm("share ~ age + male + taken", cell, groups="fold", re_formula="1", vc_formula=components).fit()
    for factor, column in (("age", "age"), ("sex", "male"), ("drug", "taken")):
        found = row(result, "mixed", factor)
        assert found["coefficient"] == pytest.approx(fit.params[column], rel=1e-2)
        assert found["std_error"] == pytest.approx(fit.bse[column], rel=1e-2)


def test_subjects_tested_in_several_folds_are_crossed_with_them(table: pd.DataFrame) -> None:
    crossed = table[table["true"] == "N2"].copy()
    crossed["fold"] = crossed["sample"] % 3
    design = replace(DESIGN, families=(correct(["N2"]),))
    found = row(coefficient_table(crossed, design, models=["mixed"], scales=["percent"]), "mixed", "age")
    components = {"subject": "0 + C(subject)", "fold": "0 + C(fold)"}
    cell = chosen(crossed).assign(all=1)
    fit = smf.mixedlm("share ~ age + male + taken", cell, groups="all", vc_formula=components, re_formula="0").fit()
    assert found["coefficient"] == pytest.approx(fit.params["age"], rel=1e-2)
    assert found["std_error"] == pytest.approx(fit.bse["age"], rel=2e-2)


def test_subject_means_equal_statsmodels_on_means_of_nights(table: pd.DataFrame, result: pd.DataFrame) -> None:
    cell = chosen(table)
    nights = cell.groupby(["subject", "night"])[["share", "age", "male", "taken"]].mean()
    fit = smf.ols("share ~ age + male", nights.groupby("subject").mean()).fit()
    found = row(result, "subject_mean", "age")
    np.testing.assert_allclose(
        found[["coefficient", "std_error"]].to_numpy(dtype=float), [fit.params["age"], fit.bse["age"]]
    )
    assert found["p"] == pytest.approx(fit.pvalues["age"], abs=0.02)  # permutation and t agree on normal residuals
    wide = nights.reset_index().pivot(index="subject", columns="taken", values="share")
    paired = wide[1.0] - wide[0.0]
    found = row(result, "subject_mean", "drug")
    assert found["coefficient"] == pytest.approx(paired.mean())
    assert found["std_error"] == pytest.approx(paired.sem())
    assert found["ci_low"] < paired.mean() < found["ci_high"]


def two_folds(seed: int, level: float) -> pd.DataFrame:
    """Sleepers whose second half was explained by another network, which gives the EEG ``level`` points more."""
    table = sleepers(seed, planted={"age": 0.02})
    second = table["subject"] >= "s11"
    raised = table["share"] + level * second * table["part"].map({"eeg": 1.0, "eog": -0.5, "emg": -0.5})
    return table.assign(fold=second.astype(int), share=raised)


def test_subjects_are_compared_within_large_folds() -> None:
    table = two_folds(0, level=20.0)
    result = coefficient_table(table, DESIGN, models=["subject_mean"], scales=["percent"], permutations=500)
    cell = chosen(table)
    nights = cell.groupby(["subject", "night", "fold"])[["share", "age", "male"]].mean().reset_index()
    means = nights.groupby("subject")[["share", "age", "male", "fold"]].mean()
    fit = smf.ols("share ~ age + male + C(fold)", means).fit()
    found = row(result, "subject_mean", "age")
    np.testing.assert_allclose(
        found[["coefficient", "std_error"]].to_numpy(dtype=float), [fit.params["age"], fit.bse["age"]]
    )
    assert found["p"] == pytest.approx(fit.pvalues["age"], abs=0.03)


def test_what_a_network_gives_to_all_its_subjects_changes_nothing() -> None:
    arguments = {"models": ["subject_mean"], "scales": ["percent"], "permutations": 200}
    raised, plain = (coefficient_table(two_folds(1, level), DESIGN, **arguments) for level in (20.0, 0.0))
    numbers = ["coefficient", "std_error", "p"]
    np.testing.assert_allclose(raised[numbers].to_numpy(dtype=float), plain[numbers].to_numpy(dtype=float), atol=1e-8)


def test_q_is_corrected_over_the_declared_family_only(table: pd.DataFrame) -> None:
    wrong = table.assign(predicted=table["true"].map({"W": "N2", "N2": "R", "R": "W"}))
    wrong["sample"] += 100_000
    design = replace(DESIGN, families=(correct(STAGES), misclassified(STAGES)))
    found = coefficient_table(pd.concat([table, wrong]), design, models=["ols"])
    for _, family in found.groupby(["family", "scale"]):
        tested = family["p"].notna()
        assert tested.sum() == 27
        np.testing.assert_allclose(
            family["q"][tested], multipletests(family["p"][tested], method="fdr_bh")[1], rtol=1e-12
        )
    assert (found.loc[found["p"].isna(), "note"] == "too few subjects").all()
    assert len(found) == 2 * 9 * 3 * 3


def test_log_ratios_are_regressed_with_zeros_replaced(table: pd.DataFrame) -> None:
    holes = table.copy()
    zero = (holes["sample"] % 5 == 0) & (holes["part"] == "emg")
    holes.loc[zero, "share"] = 0.0
    found = row(coefficient_table(holes, DESIGN, models=["ols"]), "ols", "age", "clr")
    wide = holes.pivot(index="sample", columns="part", values="share")
    shares = wide.div(wide.sum(axis=1), axis=0)
    empty = shares["emg"] == 0
    shares[empty] *= 1 - REPLACED_ZERO
    shares.loc[empty, "emg"] = REPLACED_ZERO
    logs = np.log(shares["eeg"]) - np.log(shares).mean(axis=1)
    cell = chosen(holes)
    fit = smf.ols("ratio ~ age + male + taken", cell.assign(ratio=logs.reindex(cell["sample"]).to_numpy())).fit()
    assert found["coefficient"] == pytest.approx(fit.params["age"])


def test_the_coefficients_of_all_parts_sum_to_zero_on_both_scales(result: pd.DataFrame) -> None:
    defined = result[result["coefficient"].notna() & (result["model"] != "mixed")]
    sums = defined.groupby(["true", "model", "scale", "factor"])["coefficient"].sum()
    assert len(sums) == 3 * 3 * 2 * 3
    np.testing.assert_allclose(sums, 0, atol=1e-9)


def test_the_minimum_detectable_effect_has_eighty_percent_power() -> None:
    generator = np.random.default_rng(4)
    found = 0
    effect = 0.3 * 2.95  # standard error 0.3 at 22 subjects: t quantiles 2.080 + 0.859 of 21 degrees of freedom
    for _ in range(400):
        values = generator.normal(effect, 0.3 * np.sqrt(22), 22)
        found += abs(values.mean()) / (values.std(ddof=1) / np.sqrt(22)) > 2.0796
    assert found / 400 == pytest.approx(0.8, abs=0.06)
    line = row(coefficient_table(sleepers(3), DESIGN, models=["subject_mean"]), "subject_mean", "drug")
    assert line["minimum_detectable_effect"] == pytest.approx((2.0796 + 0.8591) * line["std_error"], rel=1e-3)


def test_the_order_of_the_rows_changes_nothing(table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1, random_state=3)
    models: list[Model] = ["subject_mean", "ols", "ols_cluster"]
    first, second = (coefficient_table(rows, DESIGN, models=models, permutations=500) for rows in (table, shuffled))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_explainers_do_not_influence_each_other() -> None:
    table = sleepers(1, explainers=("lrp", "other"))
    first = table[table["explainer"] == "lrp"]
    alone, both = (
        coefficient_table(rows, DESIGN, models=["subject_mean", "ols"], permutations=500) for rows in (first, table)
    )
    assert len(both) == 2 * len(alone)
    beside = both[both["explainer"] == "lrp"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside, rtol=1e-9)


def test_a_cohort_without_nights_and_folds_needs_no_special_case(table: pd.DataFrame) -> None:
    plain = table.drop(columns=["night", "fold", "drug"])
    found = coefficient_table(plain, AGE_AND_SEX, models=["subject_mean", "ols"])
    assert set(found["factor"]) == {"age", "sex"}
    assert found["p"].notna().all()


def test_epochs_without_a_factor_or_a_share_are_dropped_and_counted(table: pd.DataFrame) -> None:
    holes = table.copy()
    holes.loc[holes["subject"] == "s03", "age"] = np.nan
    holes.loc[holes["subject"] == "s04", "sex"] = None
    holes.loc[(holes["sample"] % 12 == 0) & (holes["subject"] == "s05"), "share"] = np.nan
    found = row(coefficient_table(holes, DESIGN, models=["ols"]), "ols", "age")
    assert found[["n_epochs", "n_subjects", "n_missing", "n_undefined"]].to_list() == [478, 20, 48, 2]
    kept = chosen(holes[~holes["subject"].isin(["s03", "s04"])]).dropna(subset=["share"])
    assert found["coefficient"] == pytest.approx(smf.ols("share ~ age + male + taken", kept).fit().params["age"])


def test_as_many_samples_as_coefficients_give_nan_and_a_note(table: pd.DataFrame) -> None:
    four = table[table["subject"].isin(["s00", "s01", "s02", "s03"])]
    few = pd.concat([table[table["true"] != "N2"], four[four["true"] == "N2"].groupby(["part", "subject"]).head(1)])
    found = coefficient_table(few, DESIGN, models=["ols", "ols_cluster", "mixed"])
    cell = found[found["true"] == "N2"]
    assert (cell["n_epochs"] == 4).all()
    assert cell[["coefficient", "std_error", "p"]].isna().all(axis=None)
    assert set(cell["note"]) == {"too few samples"}
    assert found.loc[(found["true"] == "W") & (found["model"] == "ols"), "p"].notna().all()


def test_too_few_subjects_and_an_unpaired_night_give_nan_and_a_note(table: pd.DataFrame) -> None:
    few = table[(table["true"] != "N2") | table["subject"].isin(["s00", "s01"])]
    found = coefficient_table(few, DESIGN, models=["subject_mean", "ols", "ols_cluster"], permutations=200)
    cell = found[found["true"] == "N2"]
    assert cell[["coefficient", "std_error", "ci_low", "p", "q", "minimum_detectable_effect"]].isna().all(axis=None)
    assert (cell["note"] == "too few subjects").all()
    assert (cell["n_subjects"] == 2).all()
    assert found.loc[found["true"] == "W", "p"].notna().all()
    one_night = table[(table["drug"] == "placebo") | (table["subject"] <= "s09")]
    assert (
        row(coefficient_table(one_night, DESIGN, models=["subject_mean"]), "subject_mean", "drug")["n_subjects"] == 10
    )


def test_a_factor_constant_within_one_group_is_named_in_its_note(table: pd.DataFrame) -> None:
    women = table[(table["true"] != "N2") | (table["sex"] == "female")]
    found = coefficient_table(women, DESIGN, models=["subject_mean", "ols"], permutations=200)
    notes = found[found["true"] == "N2"].groupby(["model", "factor"])["note"].first()
    assert notes["ols", "age"] == notes["subject_mean", "age"] == "sex does not vary in this group"
    assert notes["subject_mean", "drug"] == ""  # the paired contrast needs no sex


@pytest.mark.parametrize("model", MODELS)
def test_a_share_that_does_not_vary_is_no_evidence(table: pd.DataFrame, model: Model) -> None:
    still = table.copy()
    still.loc[still["part"] == "emg", "share"] = 7.1
    found = coefficient_table(still, replace(DESIGN, families=(correct(["N2"]),)), models=[model], scales=["percent"])
    constant = found[found["part"] == "emg"]
    assert constant["p"].isna().all()
    assert (constant["note"] == "share does not vary").all()
    assert found.loc[found["part"] == "eeg", "p"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(age=40), "'age' does not vary"),
        (lambda t: t.assign(sex="x"), r"'sex' holds \['x'\]; expected \['female', 'male'\]"),
        (lambda t: t.assign(age="old"), "'age' holds a value that is no number"),
        (lambda t: t.assign(age=np.nan), "'age' does not vary: the table holds no value"),
        (lambda t: t.drop(columns="fold"), r"lacks the columns \['fold'\]"),
        (lambda t: t.drop(columns="night"), r"lacks the columns \['night'\]"),
        (lambda t: t[t["part"] != "emg"], r"lacks the parts \['emg'\]"),
        (lambda t: pd.concat([t, t]), "holds a sample twice"),
        (lambda t: t.assign(age=t["sample"] % 7), "s00 has two values of 'age'"),
        (lambda t: t.assign(drug=np.where(t["sample"] % 2, "placebo", "temazepam")), "two values of 'drug'"),
    ],
)
def test_an_unfit_table_is_refused_in_one_sentence(table: pd.DataFrame, change: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coefficient_table(change(table), DESIGN)  # type: ignore[operator]


def test_an_unfit_design_is_refused() -> None:
    with pytest.raises(ValueError, match="without levels"):
        Factor("dose", within=True)
    with pytest.raises(ValueError, match="groups are"):
        Design(FACTORS, PARTS, (correct(STAGES), correct(["W"])))
    with pytest.raises(ValueError, match="model is 'anova'"):
        coefficient_table(sleepers(subjects=6, epochs=2), DESIGN, models=["anova"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="draws is 1"):
        false_positive_rates(sleepers(subjects=6, epochs=2), DESIGN, draws=1)


def test_ten_thousand_permutations_of_five_stages_take_a_moment() -> None:
    table = sleepers(2)
    more = [table.assign(true=f"{stage}{n}", predicted=f"{stage}{n}") for n in range(2) for stage in STAGES]
    started = time.process_time()
    found = coefficient_table(
        pd.concat([t.assign(sample=t["sample"] + 10_000 * n) for n, t in enumerate(more)]),
        replace(DESIGN, families=(correct([t["true"].iloc[0] for t in more]),)),
        models=["subject_mean"],
        scales=["percent"],
    )
    assert time.process_time() - started < 2
    assert len(found) == 6 * 3 * 3
    assert list(found) == list(COLUMNS)


def test_a_mixed_model_that_does_not_converge_says_so(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai.quality.demographics.fits.OPTIMISERS", ["cg"])  # which here stops short
    found = coefficient_table(table, replace(DESIGN, families=(correct(["N2"]),)), models=["mixed"], scales=["percent"])
    failed = found[found["note"] == "mixed model did not converge"]
    assert not failed.empty
    assert failed[["coefficient", "std_error", "p", "q"]].isna().all(axis=None)


def test_random_intercepts_that_cannot_be_estimated_are_no_result(table: pd.DataFrame) -> None:
    one_each = table[(table["true"] == "N2") & (table["sample"] % 12 == 0)].drop_duplicates(["subject", "part"])
    design = replace(DESIGN, factors=FACTORS[:2], families=(correct(["N2"]),), random=("subject",))
    found = coefficient_table(one_each, design, models=["mixed"], scales=["percent"])
    assert found["p"].isna().all()
    assert (found["note"] == "random intercepts cannot be told from the noise").all()
    one_fold = replace(DESIGN, families=(correct(["N2"]),))
    found, alone = (
        coefficient_table(table.assign(fold=1), replace(one_fold, random=random), models=["mixed"], scales=["percent"])
        for random in (("subject", "fold"), ("subject",))
    )
    pd.testing.assert_frame_equal(found, alone)
