"""What `plumbline run --study all` leaves behind: every study judged by every job, with its paper's figures."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from installation import Installation
from support import only

STUDIES = ("ecg-beats", "mnist-scanline", "icu-vitals", "nicu-vitals")
SLEEP = ("sleep-stages", "sleep-spindles")
LESIONS = ("stroke-lesions", "ms-lesions")
RHYTHMS = "ecg-rhythms"
COMPANIONS = ("hannun", "crnn", "cam", "lstm")
JOBS = ("faithfulness", "lrp-rules", "inclusivity")
FIGURES = {
    "ecg-beats": {1, 2, 3, 6, 7},
    "mnist-scanline": {4, 6, 7},
    "icu-vitals": {5},
    "nicu-vitals": {5},
}
INTERACTIVE = {3, 4, 5, 7}

pytestmark = pytest.mark.timeout(3_300)


def evaluation(everything: Installation, study: str, job: str) -> Path:
    """The folder of the one evaluation of a study by a job."""
    found = []
    for reference in everything.home.glob("evaluations/*/evaluation.json"):
        told = json.loads(reference.read_text())
        if (told["study"], told["job"]) == (study, job):
            found.append(reference.parent)
    return only(found)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=True).fillna({"baseline": ""})


def primary(everything: Installation, study: str, job: str, metric: str, baseline: str = "") -> pd.DataFrame:
    """Mean, interval and number of subjects of a metric by explainer."""
    rows = table(evaluation(everything, study, job), "explainers")
    return rows[(rows["metric"] == metric) & (rows["baseline"] == baseline)].set_index("explainer")


def test_the_closing_table_names_every_study_and_its_gate(everything: Installation) -> None:
    shown = (everything.home / "closing-table.txt").read_text()
    for study in (*STUDIES, *SLEEP, *LESIONS, RHYTHMS):
        assert study in shown
    assert shown.count("passed") >= len(STUDIES)


@pytest.mark.parametrize("study", [*STUDIES, *SLEEP, *LESIONS, RHYTHMS])
@pytest.mark.parametrize("job", JOBS)
def test_every_job_is_done_and_browsable(everything: Installation, study: str, job: str) -> None:
    folder = evaluation(everything, study, job)
    assert (folder / "report.html").stat().st_size > 50_000
    code = f"""
import json, mlflow
found = mlflow.search_runs(experiment_names=["plumbline/{study}"], output_format="list",
    filter_string="tags.`plumbline.job` = '{job}' and tags.`plumbline.explainer` = 'all'")
print(json.dumps([[r.info.status, r.data.metrics, r.data.tags["mlflow.note.content"]] for r in found]))
"""
    status, metrics, verdicts = only(json.loads(everything.python(code).strip().splitlines()[-1]))
    assert status == "FINISHED"
    assert any(name.endswith("/random") for name in metrics)
    assert "more" in verdicts or "better" in verdicts or "no difference" in verdicts or "wider" in verdicts


@pytest.mark.parametrize("study", STUDIES)
def test_the_papers_figures_bear_its_numbers(everything: Installation, study: str) -> None:
    folder = evaluation(everything, study, "faithfulness") / "figures"
    for number in FIGURES[study]:
        assert (folder / f"paper1-fig{number}.png").stat().st_size > 5_000
        assert (folder / f"paper1-fig{number}.html").exists() == (number in INTERACTIVE)


def test_table_1_has_our_rows_and_the_papers(everything: Installation, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = everything.plumbline("report", "mnist-scanline", "--out", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for study in STUDIES:
        assert study in text
    for known in ("0.985", "0.987", "0.982", "0.997", "Oresko", "Cooijmans"):
        assert known in text
    rows = table(evaluation(everything, "nicu-vitals", "faithfulness"), "table1_accuracy")
    ours = rows[rows["source"] == "here, corrected mode"].set_index("study")
    assert ours.loc["nicu-vitals", "accuracy"] > 0.8


@pytest.mark.parametrize("study", ["icu-vitals", "nicu-vitals"])
def test_occlusion_channel_by_channel_finds_the_channel_of_evidence(everything: Installation, study: str) -> None:
    """The evidence is a quiet part of one channel beside loud ones: neither chance nor loudness finds it."""
    comparisons = table(evaluation(everything, study, "inclusivity"), "comparisons")
    rank = comparisons[comparisons["metric"] == "relevance_rank_area_corrected"]
    for control in ("random", "amplitude"):
        row = only(
            rank[
                (rank["first"] == "occlusion_w10_single") & (rank["second"] == control) & (rank["family"] == "controls")
            ].itertuples()
        )
        assert row.ci_low > 0.1, f"{study} against {control}: {row.verdict}"


@pytest.mark.parametrize("study", STUDIES)
def test_lrp_is_compared_across_folds_and_its_leaks_are_counted(everything: Installation, study: str) -> None:
    agreement = primary(everything, study, "lrp-rules", "fold_agreement")
    leak = primary(everything, study, "lrp-rules", "relevance_leak")
    assert set(leak.index) == {"lrp_epsilon", "lrp_epsilon_e0.1", "lrp_zplus", "lrp_alpha2beta1", "lrp_gamma_g0.25"}
    assert (leak["mean"] >= 0).all()
    assert agreement.loc["amplitude", "mean"] == pytest.approx(1), "amplitude looks at no member"
    assert abs(agreement.loc["random", "mean"] - 1) < 1e-6, "its seed is the sample's"
    assert -1 <= agreement.loc["lrp_epsilon", "mean"] < 1


def test_the_paper_twin_runs_beside_the_corrected_occlusion(everything: Installation) -> None:
    """As printed, high marks what does not matter: removing it first leaves the score standing."""
    scores = primary(everything, "ecg-beats", "faithfulness", "deletion_auc", "zero")
    assert scores.loc["occlusion_w10-paper", "mean"] > scores.loc["occlusion_w10", "ci_high"]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_figures_1_to_4_of_the_sleep_paper_bear_its_numbers(everything: Installation, number: int) -> None:
    job = "demographics" if number == 4 else "lrp-rules"
    folder = evaluation(everything, "sleep-stages", job) / "figures"
    assert (folder / f"paper3-fig{number}.png").stat().st_size > 5_000
    assert (folder / f"paper3-fig{number}.html").exists() == (number == 3)


def test_shares_of_relevance_are_whole_and_stand_in_the_ledger(everything: Installation) -> None:
    """Every epoch's shares sum to 100, each epoch is explained once, and the ledger holds the subjects' means."""
    folder = evaluation(everything, "sleep-stages", "demographics")
    shares = pd.concat([pd.read_parquet(path) for path in sorted((folder / "shares").glob("*.parquet"))])
    assert set(shares["part"]) == {"EEG Fpz-Cz", "EOG horizontal", "EMG submental"}
    sums = shares.groupby(["sample", "explainer"])["share"].sum()
    assert (sums - 100).abs().max() < 1e-6
    assert not shares.duplicated(["sample", "explainer", "part"]).any()
    with closing(sqlite3.connect(everything.home / "ledger.db")) as ledger:
        query = "SELECT count(DISTINCT subject), count(*) FROM shares WHERE key = ?"
        subjects, rows = ledger.execute(query, (folder.name,)).fetchone()
    assert subjects == 12
    assert rows == 12 * 5 * shares["explainer"].nunique() * 3


def test_demographics_dealt_at_random_fool_the_papers_model_and_not_the_primary_one(everything: Installation) -> None:
    rates = table(evaluation(everything, "sleep-stages", "demographics"), "false_positive_rates")
    by_model = rates.groupby("model")["false_positive_rate"].mean()
    assert by_model["subject_mean"] < 0.08
    assert by_model["ols"] > 2 * by_model["subject_mean"]


def test_a_heartbeats_relevance_is_divided_among_its_waves(everything: Installation) -> None:
    coefficients = table(evaluation(everything, "ecg-beats", "demographics"), "coefficients")
    assert set(coefficients["part"]) == {"P", "QRS", "T", "other"}
    assert set(coefficients["factor"]) == {"age", "sex"}
    declared = coefficients[(coefficients["family"] == "correct") & (coefficients["model"] == "subject_mean")]
    assert declared["q"].notna().any()


def test_explanations_of_sleep_lie_on_the_planted_elements(everything: Installation) -> None:
    """Quiet elements beside loud hum: relevance finds them, loudness does not."""
    comparisons = table(evaluation(everything, "sleep-stages", "inclusivity"), "comparisons")
    mass = comparisons[
        (comparisons["metric"] == "relevance_mass_area_corrected") & (comparisons["family"] == "controls")
    ]
    for control in ("random", "amplitude"):
        row = only(mass[(mass["first"] == "lrp_epsilon_e0.01") & (mass["second"] == control)].itertuples())
        assert row.ci_low > 0.1, f"against {control}: {row.verdict}"


def test_maps_are_held_against_each_experts_marks(everything: Installation) -> None:
    marks = table(evaluation(everything, "sleep-spindles", "inclusivity"), "expert_marks")
    assert set(marks["marks"]) == {"expert 1", "expert 2", "both experts"}
    random = marks[marks["explainer"] == "random"]
    assert (random["ci_low"] < 0.1).all()
    assert (random["mean"].abs() < 0.1).all()


@pytest.mark.parametrize(
    "name", ["fig1", "fig2", "fig3", "fig4", "fig5", "fig5d", "annex1", "annex2", "annex3", "annex4"]
)
def test_figures_of_the_stroke_paper_bear_its_numbers(everything: Installation, name: str) -> None:
    folder = evaluation(everything, "stroke-lesions", "inclusivity") / "figures"
    assert (folder / f"paper4-{name}.png").stat().st_size > 5_000
    assert (folder / f"paper4-{name}.html").exists() == (name == "fig1")


def test_lrp_put_right_lies_on_the_lesion_and_the_papers_code_does_not(everything: Installation) -> None:
    comparisons = table(evaluation(everything, "stroke-lesions", "inclusivity"), "comparisons")
    rank = comparisons[comparisons["metric"] == "relevance_rank_area_corrected"].set_index(["first", "second"])
    right = "lrp_composite_zplus_box_l0_h1"
    for other in ("random", "amplitude", "edges"):
        assert rank.loc[(right, other), "ci_low"].max() > 0.1, other
    assert rank.loc[(right, "lrp_tjoa-paper"), "ci_low"].max() > 0.1


def test_a_clamp_raises_inclusivity_and_costs_precision(everything: Installation) -> None:
    means = table(evaluation(everything, "stroke-lesions", "inclusivity"), "filter_sweep")
    right = means[means["propagation"] == "LRP put right"].set_index(["metric", "filter"])["mean"]
    assert right["inclusivity", "clamp0.05"] > right["inclusivity", "raw"] + 0.2
    assert right["precision", "clamp0.05"] < right["precision", "raw"] - 0.2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_figures_1_to_3_of_the_rhythm_paper_bear_its_numbers(everything: Installation, number: int) -> None:
    folder = evaluation(everything, RHYTHMS, "inclusivity") / "figures"
    assert (folder / f"paper2-fig{number}.png").stat().st_size > 5_000
    assert (folder / f"paper2-fig{number}.html").exists() == (number == 3)


def test_table_2_has_a_row_for_every_network_basis_and_average(everything: Installation) -> None:
    rows = table(evaluation(everything, RHYTHMS, "faithfulness"), "table1_accuracy")
    networks = {RHYTHMS, *(f"{RHYTHMS}-{name}" for name in COMPANIONS)}
    for name in networks:
        ours = rows[(rows["study"] == name) & rows["source"].str.startswith("here")]
        assert [note.split(",")[0] for note in ours["note"]] == ["macro", "weighted", "macro"]
        assert ours[["precision", "recall", "F1", "accuracy", "SD"]].notna().all(axis=None)
    assert set(rows.loc[~rows["source"].str.startswith("here"), "F1"]) == {0.93, 0.94, 0.97}


@pytest.mark.parametrize(
    ("companion", "explainer", "metric"),
    [
        ("cam", "cam", "relevance_rank_area_corrected"),
        ("lstm", "learned_mask_n100", "relevance_mass_area_corrected"),
    ],
)
def test_cam_and_the_learned_mask_lie_on_the_evidence(
    everything: Installation, companion: str, explainer: str, metric: str
) -> None:
    comparisons = table(evaluation(everything, f"{RHYTHMS}-{companion}", "inclusivity"), "comparisons")
    rows = comparisons[(comparisons["metric"] == metric) & (comparisons["family"] == "controls")]
    for control in ("random", "amplitude"):
        row = only(rows[(rows["first"] == explainer) & (rows["second"] == control)].itertuples())
        assert row.ci_low > 0.1, f"against {control}: {row.verdict}"


def test_all_sixteen_observations_of_the_rhythm_paper_have_a_verdict(everything: Installation) -> None:
    claims = table(evaluation(everything, RHYTHMS, "inclusivity"), "saliency_claims")
    assert len(claims) == 16
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided"}
    assert claims.set_index(["rhythm", "method"]).loc[("PVC", "learned mask of the LSTM"), "verdict"] == "supported"


def test_the_recorder_can_be_told_and_no_class_is_bound_to_it(everything: Installation) -> None:
    folder = evaluation(everything, RHYTHMS, "inclusivity")
    told = table(folder, "recorder_scores").query("what == 'recorder told from a window'")
    assert (told["mean"] > 0.8).all()
    assert (table(folder, "class_distribution").groupby("class")["recorder"].nunique() == 2).all()


def test_a_job_that_is_not_defined_is_bad_usage(everything: Installation) -> None:
    done = everything.plumbline("evaluate", "demographics", "mnist-scanline")
    assert done.returncode == 2
    assert "defined are faithfulness, lrp-rules, inclusivity" in " ".join(done.stderr.split())
