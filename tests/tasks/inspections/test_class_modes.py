"""The finding on class modes: what was reached, and how far that lies from anything real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.inspections import class_modes
from tasks.inspections.class_modes import CORRECTED, PAPER
from tasks.inspections.inspected import Inspected
from tests.tasks.inspections.inspecting import inspected, written_cohort

CLASSES, STEPS = ("slow", "fast"), 40


def waves(folder: Path, **given) -> Inspected:
    random = np.random.default_rng(0)
    labels = np.arange(48) // 2 % 2  # members and subjects have both classes
    phase = random.uniform(0, 6, (48, 2, 1))
    signals = np.sin(np.arange(STEPS) * np.array([0.2, 0.6])[labels][:, None, None] + phase)
    cohort = written_cohort(folder / "cohort", signals.astype(np.float32), labels, classes=CLASSES)
    return inspected(folder / "bundle", cohort, **given)


@pytest.fixture(scope="module")
def looked(tmp_path_factory) -> Inspected:
    return waves(tmp_path_factory.mktemp("modes"))


@pytest.fixture(scope="module")
def finding(looked):
    return class_modes.inspect(looked)


def test_every_start_of_every_class_is_told_under_both_settings(finding):
    starts = finding.tables["class_modes"]
    assert starts.groupby(["setting", "class"]).size().to_dict() == {
        (setting, name): 10 for setting in (PAPER, CORRECTED) for name in CLASSES
    }
    assert starts["confidence"].between(0, 1).all()
    assert starts.groupby(["setting", "class"])["best"].sum().eq(1).all()
    best = starts[starts["best"]].set_index(["setting", "class"])["objective"]
    pd.testing.assert_series_equal(best.sort_index(), starts.groupby(["setting", "class"])["objective"].max())


def test_the_paper_s_penalty_keeps_the_modes_small(finding):
    rms = finding.tables["class_modes"].groupby("setting")["rms"].max()
    assert rms[PAPER] < 0.2 < rms[CORRECTED]


def test_distance_and_yardstick_are_those_of_a_loop(looked, finding):
    seen = looked.training_samples(0)
    training = looked.bundle.normalise(torch.from_numpy(looked.cohort.signals(seen))).double()
    held_out = looked.samples[looked.samples["member"] == 0]
    inputs = looked.inputs(held_out).double()
    distance = [min(float((x - other).square().mean().sqrt()) for other in training) for x in inputs]
    medians = held_out.assign(distance=distance).groupby(["label", "subject"])["distance"].median()
    by_class = finding.tables["class_modes_by_class"]
    for label, name in enumerate(CLASSES):
        rows = by_class[by_class["class"] == name]
        assert rows["real_mean"].to_numpy() == pytest.approx(medians[label].mean(), rel=1e-5)
        assert rows["ratio"].to_numpy() == pytest.approx(rows["distance"] / medians[label].mean(), rel=1e-5)
        nearer = [np.mean(np.array(distance)[held_out["label"] == label] < mode) for mode in rows["distance"]]
        assert rows["real_nearer"].tolist() == pytest.approx(nearer)


def test_held_out_windows_are_of_subjects_that_the_member_has_not_seen(looked):
    known = class_modes._Known.of(looked)
    assert set(known.held_out["member"]) == {0}
    assert len(known.windows) == len(looked.training_samples(0))
    assert known.called == "training windows"


def test_on_another_cohort_the_windows_of_other_subjects_stand_in(looked):
    config = replace(looked.bundle.config, cohort_digest="another")
    elsewhere = replace(
        looked,
        bundle=replace(looked.bundle, config=config),
        splits=looked.splits.iloc[:0],
        samples=looked.samples.assign(member=-1),
    )
    known = class_modes._Known.of(elsewhere)
    assert set(known.held_out["subject"] % 2) == {1}
    assert len(known.windows) == 24
    assert "windows of other subjects" in class_modes.inspect(elsewhere).verdicts[0]


def test_without_a_held_out_window_the_ratio_is_undefined_and_the_rest_stands(looked):
    nobody = replace(looked, samples=looked.samples[looked.samples["member"] == 1])
    finding = class_modes.inspect(nobody)
    assert finding.tables["class_modes"]["ratio"].isna().all()
    assert finding.tables["class_modes"]["distance"].gt(0).all()
    assert all("nan" not in sentence for sentence in finding.verdicts), finding.verdicts
    assert any("no real window" in sentence for sentence in finding.verdicts)


def test_it_finds_the_same_twice(looked, finding):
    again = class_modes.inspect(looked)
    assert again.verdicts == finding.verdicts
    pd.testing.assert_frame_equal(again.tables["class_modes"], finding.tables["class_modes"])


def test_the_figure_has_a_row_per_class_and_channel_and_a_line_per_start(finding):
    cells = finding.figures["class-modes"].still.axes
    assert len(cells) == 2 * 2 * 3
    assert [len(cell.get_lines()) for cell in cells[:3]] == [11, 11, 2]  # one is the zero line


def test_images_are_drawn_as_images(tmp_path: Path):
    pictures = np.random.default_rng(1).random((24, 1, 48), np.float32)
    cohort = written_cohort(tmp_path / "c", pictures, np.arange(24) % 2, classes=("0", "1"), image=(6, 8))
    drawn = class_modes.inspect(inspected(tmp_path / "b", cohort, per_class=2)).figures["class-modes"]
    shown = [image.get_array().shape for axes in drawn.still.axes for image in axes.get_images()]
    assert set(shown) == {(6, 8)}
    assert len(shown) == 2 * (10 + 10 + 1)
