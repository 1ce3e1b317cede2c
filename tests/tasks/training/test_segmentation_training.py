"""A training of segmentations from a written cohort to its bundle and tables, in both modes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from volumes import CONFIG, GRID, RECIPE, ScaledBoxes

from models.bundle import load_bundle
from tasks.cohorts.store import Cohort, CohortDescription, Recorded, write_cohort
from tasks.publishing.training_run import publish_training
from tasks.training import fitting
from tasks.training.fitting import Training, assemble, fit, performance, performance_table

CASES = 8
LAST = 7
"""Number of the case without a lesion."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    boxes = ScaledBoxes(CASES, background=1)
    description = CohortDescription(
        study="boxes",
        classes=CONFIG.classes,
        channels=CONFIG.channels,
        units=CONFIG.units,
        sampling_rate=1.0,
        window=CONFIG.window,
        origin=0,
        reader="boxes",
        parameters={},
        volume=GRID,
    )
    stream = [
        Recorded(
            recording=f"case{case}",
            identity=f"case{case}",
            facts={},
            signals=boxes.signals(np.array([case])),
            labels=boxes.samples["label"].to_numpy()[[case]],
            onsets=np.zeros(1, np.int64),
            evidence=boxes.evidence(np.array([case])),
            native=(boxes.native(case),),
        )
        for case in range(CASES)
    ]
    return write_cohort(tmp_path_factory.mktemp("cohort") / "boxes", description, stream, key=b"sixteen bytes and")


def planned(cohort: Cohort, root: Path, mode: str = "corrected", **changes) -> Training:
    arguments = {
        "study": "boxes",
        "mode": mode,
        "subset": "all",
        "cohort": cohort,
        "members": 2,
        "recipe": replace(RECIPE, epochs=2, monitor="validation_loss"),
        "network": {"name": "unet3d", "arguments": {"width": 2, "levels": 2}, "normalisation": "minmax"},
        "options": {},
        "root": root,
        "paper_split": "training",
        "task": "segmentation",
    }
    return Training.plan(**arguments | changes)


def done(training: Training) -> Training:
    for member in range(training.members):
        fit.fn(training, member)
    assemble.fn(training)
    fitting.test_members.fn(training)
    return training


def test_every_case_is_tested_once_by_a_member_that_never_saw_it(cohort: Cohort, tmp_path: Path) -> None:
    training = done(planned(cohort, tmp_path))
    config = load_bundle(training.bundle).config
    assert (config.task, config.volume, config.channels) == ("segmentation", GRID, CONFIG.channels)
    cases, table = performance_table(training, "cases"), training.split_table()
    assert sorted(cases["sample"]) == list(range(LAST)), "the case without a lesion is not tested"
    for case in cases.itertuples():
        assert table.query("sample == @case.sample and member == @case.member")["part"].tolist() == ["test"]
        assert case.voxels_true == cohort.native(case.sample).evidence.sum(), "on the case's own grid"
    found = performance(training)
    assert (found["samples"], found["subjects"], found["members"]) == (LAST, LAST, 2)
    assert 0 < found["dice_by_chance"] < 0.5
    assert found["tested_in_training"] == 0
    assert found == pytest.approx(json.loads((training.bundle / "performance.json").read_text()), nan_ok=True)
    assert (performance_table(training, "members")["minutes"] > 0).all()
    assert Training.model_validate_json((training.folder / "training.json").read_text()) == training


def test_the_papers_trials_are_tested_on_their_training_cases(cohort: Cohort, tmp_path: Path) -> None:
    training = done(planned(cohort, tmp_path, mode="paper"))
    cases = performance_table(training, "cases")
    assert cases.groupby("member")["sample"].apply(list).tolist() == [list(range(LAST))] * 2
    assert performance(training)["tested_in_training"] == 1
    first, second = load_bundle(training.bundle).members
    assert (first.out.weight != second.out.weight).any(), "trials differ by their seed"
    parts = pd.read_parquet(training.bundle / "splits.parquet").groupby(["member", "part"])["sample"].nunique()
    assert parts.unique().tolist() == [CASES]


def test_the_key_knows_task_loss_and_betas(cohort: Cohort, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=2)
    keys = {
        planned(cohort, tmp_path, **changes).key
        for changes in (
            {},
            {"task": "classification"},
            {"recipe": recipe},
            {"recipe": replace(recipe, loss="cross_entropy")},
            {"recipe": replace(recipe, betas=(0.5, 0.9))},
        )
    }
    assert len(keys) == 5
    assert planned(cohort, tmp_path).key in keys


def test_a_training_is_published_with_its_dice_and_its_figure(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    training = done(planned(cohort, tmp_path))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        published = publish_training.fn(training, "boxes")
        again = publish_training.fn(training, "boxes")
        client = mlflow.MlflowClient()
        run = client.get_run(published["run"])
        figures = {file.path for file in client.list_artifacts(published["run"], "figures")}
        tables = {file.path for file in client.list_artifacts(published["run"], "tables")}
        challenger = client.get_model_version_by_alias("boxes", "challenger")
    finally:
        mlflow.set_tracking_uri(before)
    assert (published["new"], again["new"], again["version"]) == (True, False, published["version"])
    assert run.data.metrics["dice"] == pytest.approx(performance(training)["dice"])
    assert run.data.params["loss"] == "dice_cross_entropy"
    assert figures == {"figures/dice.png"}
    assert tables == {"tables/cases.csv", "tables/members.csv", "tables/performance.json"}
    assert challenger.tags["plumbline.dice_by_chance"] == f"{performance(training)['dice_by_chance']:.4f}"
