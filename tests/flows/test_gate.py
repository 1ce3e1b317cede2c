"""Challengers beside a champion: who becomes champion, what is written on the versions, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from copying import copy_whole
from installation import STUDY, Installation

TWINS = f"""
import json, shutil
import mlflow
import pandas as pd
from flows.gate import gate, roll_back
from tasks import ledger as books
from tasks.evaluating.evaluation import Evaluation
from tasks.evaluating.ledgering import open_books
from tasks.evaluating.predicting import PREDICTIONS, predictions
from tasks.gating import deciding
from tasks.gating.finished import latest_evaluation
from tasks.publishing.registry import VersionRef

STUDY, root, client = "{STUDY}", Settings().root, mlflow.MlflowClient()
first = VersionRef.of(STUDY, 1)
judged = latest_evaluation(STUDY, first, root)
sound = predictions(judged)

def twin():
    "Another version of the same weights, judged alike."
    source = client.get_model_version(STUDY, "1").source
    version = client.create_model_version(STUDY, source, run_id=first.run_id).version
    known = books.find(open_books(), judged.key)
    key = f"{{judged.key}}-{{version}}"
    folder = judged.folder.with_name(key)
    shutil.copytree(judged.folder, folder)
    copy = judged.model_copy(update={{"key": key, "folder": folder, "model_version": str(version)}})
    copy.reference.write_text(copy.model_dump_json())
    row = {{c.name: getattr(known, c.name) for c in known.__table__.columns}}
    row |= {{"key": key, "model_version": str(version), "status": "running"}}
    books.begin(open_books(), books.Evaluation(**row))
    books.finish(open_books(), key, mlflow_run_id=known.mlflow_run_id)
    return copy

def reads(evaluation, wrong):
    "Every so many-th sample of every subject and class is read wrongly."
    nth = sound.groupby(["subject", "label"]).cumcount() % 10 < 10 * wrong
    misread = (sound["label"] + 1) % 5
    sound.assign(prediction=sound["prediction"].where(~nth, misread)).to_parquet(evaluation.folder / PREDICTIONS)

def look(**more):
    "What stands in the registry and the ledger now."
    versions = {{str(v.version): v for v in client.search_model_versions(f"name='{{STUDY}}'")}}
    champion = client.get_model_version_by_alias(STUDY, "champion").version
    return {{
        "champion": str(champion),
        "tags": {{n: {{k: t for k, t in v.tags.items() if "gate" in k}} for n, v in versions.items()}},
        "descriptions": {{n: v.description or "" for n, v in versions.items()}},
        "history": [(d.model_version, d.verdict) for d in books.gate_history(open_books(), STUDY)],
        **more,
    }}

def back():
    try:
        return roll_back(STUDY)
    except Exception as error:
        return str(error)

seen = {{}}
second = twin()
reads(second, wrong=0.1)
seen["worse"] = look(**gate(STUDY, "2"))
reads(second, wrong=0)
seen["equal"] = look(**gate(STUDY, "2"))
seen["rolled back"] = look(moved=back())
seen["again"] = look(moved=back())
reads(judged, wrong=0.1)
seen["better"] = look(**gate(STUDY, "2"))
third = twin()
reads(third, wrong=0)
alias, deciding.set_alias = deciding.set_alias, lambda *_: 1 / 0
try:
    deciding.promote.fn(third, VersionRef.of(STUDY, 3), deciding.Verdict(()), "killed")
except ZeroDivisionError:
    seen["killed"] = look()
deciding.set_alias = alias
seen["rerun"] = look(**gate(STUDY, "3"))
seen["back to 2"] = look(moved=back())
seen["back to 1"] = look(moved=back())
seen["no further"] = look(moved=back())
shutil.rmtree(judged.folder)
with open_books().writing() as session:
    session.delete(session.get(books.Evaluation, judged.key))
seen["champion never judged"] = look(**gate(STUDY, "3"))
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(judged: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What stood where after each step, in a copy of the installation."""
    copy = copy_whole(judged, tmp_path_factory.mktemp("gated") / "home")
    found = json.loads(copy.python(TWINS).strip().splitlines()[-1])
    return {**found, "home": str(copy.home)}


def _verdicts(step: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in step["constraints"]}


def test_a_challenger_that_reads_worse_is_refused_and_the_champion_stays(seen: dict[str, Any]) -> None:
    step = seen["worse"]
    assert (step["passed"], step["champion"]) == (False, "1")
    broken = [name for name, verdict in _verdicts(step).items() if verdict == "broken"]
    assert broken == ["performance against the champion"]
    tags = step["tags"]["2"]
    assert tags["plumbline.gate"] == "refused"
    assert tags["plumbline.gate_reason"].startswith("refused: performance against the champion is -0.")
    assert tags["plumbline.gate.performance against the champion"].startswith("broken: -0.")
    assert "> **refused**: performance against the champion" in step["descriptions"]["2"]


def test_an_equal_challenger_and_a_better_one_become_champion(seen: dict[str, Any]) -> None:
    for name in ("equal", "better"):
        step = seen[name]
        assert (step["passed"], step["champion"]) == (True, "2"), name
        assert _verdicts(step)["performance against the champion"] == "holds"
    (gain,) = [row for row in seen["better"]["constraints"] if row["name"] == "performance against the champion"]
    assert gain["ci_low"] > 0.05


def test_a_rollback_says_on_both_versions_what_happened_and_keeps_what_the_gate_found(seen: dict[str, Any]) -> None:
    step = seen["rolled back"]
    assert (step["moved"], step["champion"]) == (["2", "1"], "1")
    assert step["tags"]["1"]["plumbline.gate"] == "restored"
    assert step["tags"]["1"]["plumbline.gate_reason"].startswith(
        "restored when version 2 was rolled back; the gate had said: passed: all "
    )
    assert step["tags"]["2"]["plumbline.gate"] == "rolled back"
    assert step["tags"]["2"]["plumbline.gate.corrected_mode"].startswith("holds: 1")
    assert "> **restored**: restored when version 2 was rolled back" in step["descriptions"]["1"]
    assert "> **rolled back**: rolled back to version 1" in step["descriptions"]["2"]
    assert "## What the gate asked" in step["descriptions"]["1"]
    assert step["descriptions"]["1"].count("\n> ") == 1


def test_rollbacks_go_back_one_by_one_and_end_at_the_first_champion(seen: dict[str, Any]) -> None:
    assert "no champion before 1" in seen["again"]["moved"]
    assert seen["again"]["champion"] == "1"
    assert [seen[name]["champion"] for name in ("rerun", "back to 2", "back to 1", "no further")] == [
        "3",
        "2",
        "1",
        "1",
    ]
    assert "no champion before 1" in seen["no further"]["moved"]
    assert seen["back to 1"]["tags"]["1"]["plumbline.gate_reason"].count("the gate had said") == 1


def test_a_promotion_that_was_killed_is_completed_by_the_next(seen: dict[str, Any]) -> None:
    killed, rerun = seen["killed"], seen["rerun"]
    assert killed["champion"] == "2"
    assert killed["history"][-1] == ["3", "promoted"]
    assert rerun["champion"] == "3"
    assert rerun["history"] == killed["history"], "the decision is entered once"
    assert rerun["tags"]["3"]["plumbline.gate_reason"].startswith("passed: all ")


def test_a_champion_that_was_not_judged_on_the_cohort_has_to_be_judged_first(seen: dict[str, Any]) -> None:
    step = seen["champion never judged"]
    assert (step["passed"], step["champion"]) == (False, "1")
    assert f"plumbline evaluate faithfulness {STUDY} --version 1" in step["verdict"]


def test_the_card_fits_mlflows_column_and_lies_beside_the_run_with_its_figures(seen: dict[str, Any]) -> None:
    description = seen["rerun"]["descriptions"]["3"]
    assert len(description) <= 5_000
    assert "get-artifact?path=figures%2Fexplainers.png&run_uuid=" in description
    assert 'mlflow.pyfunc.load_model("models:/ecg-beats@champion")' in description
    (folder,) = Path(seen["home"], "evaluations").glob("*-3")
    page = (folder / "model_card.html").read_text()
    assert page.count("data:image/png;base64") >= 2
    card = (folder / "model_card.md").read_text()
    assert "fewer than 5" in card
    assert "![" in card
