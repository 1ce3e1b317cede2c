"""What `plumbline run --study all` leaves behind: every study of paper 1 judged by every job, with its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from installation import Installation
from support import only

STUDIES = ("ecg-beats", "mnist-scanline", "icu-vitals", "nicu-vitals")
JOBS = ("faithfulness", "lrp-rules", "inclusivity")
FIGURES = {
    "ecg-beats": {1, 2, 3, 6, 7},
    "mnist-scanline": {4, 6, 7},
    "icu-vitals": {5},
    "nicu-vitals": {5},
}
INTERACTIVE = {3, 4, 5, 7}

pytestmark = pytest.mark.timeout(1_500)


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
    for study in STUDIES:
        assert study in shown
    assert shown.count("passed") >= len(STUDIES)


@pytest.mark.parametrize("study", STUDIES)
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


def test_a_job_that_is_not_defined_is_bad_usage(everything: Installation) -> None:
    done = everything.plumbline("evaluate", "demographics", "mnist-scanline")
    assert done.returncode == 2
    assert "defined are faithfulness, lrp-rules, inclusivity" in " ".join(done.stderr.split())
