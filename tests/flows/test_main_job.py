"""What `plumbline run` leaves behind, as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from installation import STUDY, Installation
from support import only


def _look(judged: Installation, code: str):  # type: ignore[no-untyped-def]
    """Evaluates code against the installation's MLflow; the code prints JSON."""
    prefix = "import json, mlflow\nfrom mlflow.tracking import MlflowClient\nclient = MlflowClient()\n"
    return json.loads(judged.python(prefix + code).strip().splitlines()[-1])


def _evaluation(judged: Installation) -> Path:  # type: ignore[no-untyped-def]
    return only(path.parent for path in (judged.home / "evaluations").glob("*/report.html"))


def _runs(judged: Installation):  # type: ignore[no-untyped-def]
    code = f"""
found = mlflow.search_runs(experiment_names=["plumbline/{STUDY}"], output_format="list")
print(json.dumps([{{"id": r.info.run_id, "name": r.info.run_name, "status": r.info.status, "tags": r.data.tags,
                   "metrics": r.data.metrics, "inputs": [i.dataset.digest for i in r.inputs.dataset_inputs]}}
                  for r in found]))
"""
    return _look(judged, code)


def test_the_champion_is_the_judged_version_and_says_why(judged: Installation) -> None:
    version = _look(
        judged,
        f"""
v = client.get_model_version_by_alias("{STUDY}", "champion")
print(json.dumps({{"version": v.version, "tags": v.tags}}))
""",
    )
    assert str(version["version"]) == "1"
    assert version["tags"]["plumbline.gate"] == "promoted"
    assert version["tags"]["plumbline.mode"] == "corrected"
    violations = json.loads((_evaluation(judged) / "violations.json").read_text())
    assert violations["passed"]
    assert violations["violations"] == []
    verdicts = {row["name"]: row["verdict"] for row in violations["constraints"]}
    silent = {name for name, verdict in verdicts.items() if verdict == "not asked"}
    assert silent == {"performance against the champion", "faithfulness against the champion"}
    assert {row["kind"] for row in violations["constraints"]} >= {"localisation", "sanity", "subgroups"}
    shown = [row for row in violations["constraints"] if row["proof"] == "must_show" and row["side"] == "above"]
    assert all(row["ci_low"] > row["bound"] for row in shown if row["verdict"] == "holds")


def test_runs_bear_the_names_tags_and_links_of_the_contract(judged: Installation) -> None:
    runs = _runs(judged)
    assert all(run["status"] == "FINISHED" for run in runs)
    parent = only(run for run in runs if run["name"].startswith("faithfulness v1 "))
    children = [run for run in runs if run["tags"].get("mlflow.parentRunId") == parent["id"]]
    assert {"gradient", "occlusion_w10", "random", "amplitude"} <= {run["name"] for run in children}
    assert {"plumbline.study", "plumbline.job", "plumbline.mode", "plumbline.key", "plumbline.cohort"} <= set(
        parent["tags"]
    )
    low, mean, high = (parent["metrics"][f"deletion_auc{end}/occlusion_w10"] for end in ("_ci_low", "", "_ci_high"))
    assert low < mean < high
    assert parent["tags"]["plumbline.cohort"].startswith(only(parent["inputs"]))
    assert only(c for c in children if c["name"] == "gradient")["metrics"]["abpc"] < 1


def test_metrics_are_linked_to_the_logged_model(judged: Installation) -> None:
    metrics = _look(
        judged,
        f"""
v = client.get_model_version("{STUDY}", "1")
model = mlflow.get_logged_model(v.source.rpartition("/")[2])
print(json.dumps([[m.key, m.dataset_digest] for m in model.metrics]))
""",
    )
    keys = {key for key, _ in metrics}
    assert {"balanced_accuracy", "deletion_auc/occlusion_w10", "abpc"} <= keys
    assert all(digest for _, digest in metrics)


def test_artifacts_hold_figures_heatmaps_tables_report_and_an_image_grid(judged: Installation) -> None:
    parent = only(run for run in _runs(judged) if run["name"].startswith("faithfulness v1 "))
    code = f"""
def walk(path=""):
    for f in client.list_artifacts("{parent["id"]}", path):
        yield from walk(f.path) if f.is_dir else [f.path]
print(json.dumps(list(walk())))
"""
    names = _look(judged, code)
    assert {"figures/paper1-fig3.png", "report.html", "violations.json", "tables/comparisons.csv"} <= set(names)
    for class_name in ("normal", "LBBB", "RBBB", "paced", "PVC"):
        assert any(n.startswith(f"heatmaps/{class_name}/") and n.endswith("-occlusion_w10.png") for n in names)
    assert sum(n.startswith("images/") for n in names) >= 5


def test_a_second_run_adds_nothing_and_ends_unchanged(judged: Installation) -> None:
    def state():  # type: ignore[no-untyped-def]
        ledger = judged.python(
            "from tasks.evaluating.ledgering import *\n"
            f"rows = books.evaluations(open_books(), '{STUDY}')\n"
            "print([(r.key, r.status, r.mlflow_run_id) for r in rows], len(books.scores(open_books(), rows[0].key)))"
        )
        return ledger, sorted(run["id"] for run in _runs(judged))

    before = state()
    again = judged.plumbline("evaluate", "faithfulness", STUDY)
    assert again.returncode == 0, again.stderr
    assert "Unchanged" in again.stdout
    assert state() == before


def test_a_changed_result_is_noticed_when_looked_at_again(judged: Installation) -> None:
    folder = _evaluation(judged)
    kept = {path: path.read_bytes() for path in folder.glob("shards/*/scores.parquet")}
    try:
        for path in kept:
            table = pd.read_parquet(path)
            table.loc[table["metric"] == "deletion_auc", "value"] += 0.5
            table.to_parquet(path)
        again = judged.plumbline("evaluate", "faithfulness", STUDY)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert again.returncode == 1
    assert "differ from those of its first run" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_gate_refuses_a_version_that_is_no_better_than_chance(judged: Installation) -> None:
    path = only((judged.home / "versions").glob("*/performance.json"))
    kept = path.read_text()
    try:
        path.write_text(json.dumps({**json.loads(kept), "balanced_accuracy_ci_low": 0.1}))
        refused = judged.plumbline("gate", STUDY)
    finally:
        path.write_text(kept)
    assert refused.returncode == 4, refused.stderr
    assert "balanced_accuracy" in refused.stdout
    assert "broken" in refused.stdout
    violations = json.loads((_evaluation(judged) / "violations.json").read_text())
    assert [row["name"] for row in violations["violations"]] == ["balanced_accuracy"]
    assert judged.plumbline("gate", STUDY).returncode == 0


def test_rollback_without_a_former_champion_is_one_sentence(judged: Installation) -> None:
    done = judged.plumbline("rollback", STUDY)
    assert done.returncode == 1
    assert "no champion before" in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_writes_a_record_with_the_map_as_another_signal(judged: Installation, tmp_path: Path) -> None:
    record = sorted(only((judged.home / "phantoms").iterdir()).glob("*.hea"))[0]
    out = tmp_path / "explained.hea"
    done = judged.plumbline("explain", f"{STUDY}@champion", str(record), "--out", str(out), "--method", "gradient")
    assert done.returncode == 0, done.stderr
    written = wfdb.rdrecord(str(out.with_suffix("")))
    assert written.sig_name == ["MLII", "gradient MLII"]
    original = wfdb.rdrecord(str(record.with_suffix("")))
    assert np.allclose(written.p_signal[:, 0], original.p_signal[:, 0], atol=1e-2)
    assert np.nanstd(written.p_signal[:, 1]) > 0
    assert np.isnan(written.p_signal[:, 1]).any()


def test_report_is_one_page_without_references_to_the_outside(judged: Installation, tmp_path: Path) -> None:
    done = judged.plumbline("report", STUDY, "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "occlusion_w10 is more faithful than gradient" in page
    assert page.count("data:image/png;base64,") >= 8
    assert 'src="http' not in page


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "--study", "nothing"), 2, "expected one of ecg-beats"),
        (("run", "--study", STUDY, "--data", "/no/such/folder"), 2, "is no folder"),
        (("evaluate", "demographics", "mnist-scanline"), 2, "not defined"),
        (("evaluate", "faithfulness", STUDY, "--version", "99"), 1, "no version 99"),
        (("run", "--scale", "huge"), 2, "huge"),
        (("phantom", STUDY, "--to", "somewhere", "--set", "volume=11"), 2, "no setting 'volume'"),
        (("run", "--study", "all", "--set", "v_class=!"), 2, "mnist-scanline is v_class=!; expected none"),
        (("train", STUDY, "--set", "v_class=X"), 2, "ecg-beats is v_class=X; expected v_class=V|!"),
        (("evaluate", "faithfulness", STUDY, "--set", "normalisation=minmax"), 2, "expected 'zscore', with which"),
        (("explain", "ecg-beats@champion", "missing.hea", "--out", "x.hea"), 1, "missing.hea"),
        (("explain", "ecg-beats@champion", "missing.hea", "--out", "x.pdf"), 2, "expected a name that ends"),
    ],
)
def test_a_wrong_argument_is_answered_in_one_sentence(
    judged: Installation, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = judged.plumbline(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
