"""The finding on temporal scores: planted evidence is timed, the prior is named, what is undefined is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tasks.inspections import temporal_scores
from tasks.inspections.inspected import Inspected
from tests.tasks.inspections.inspecting import inspected, written_cohort

STEPS, ONSET, CLASSES = 60, 25, ("quiet", "high", "low")


class Detector(nn.Module):
    """Speaks for quiet at first, and from the first loud step on for its direction: its truth is known.

    Step scores are (1, 0, 0) while quiet and 3 for the side that was loud, so that the running mean of ``high``
    passes that of ``quiet`` (1 x 25 steps) after 9 more steps.
    """

    def step_scores(self, inputs: torch.Tensor) -> torch.Tensor:
        loudest = torch.where(inputs.abs() > 1.2, inputs, torch.zeros_like(inputs))[:, 0]
        side = loudest.sign().cumsum(1).clamp(-1, 1)
        return torch.stack([(side == 0).float(), 3 * (side > 0), 3 * (side < 0)], dim=2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.step_scores(inputs).mean(1)


@pytest.fixture(scope="module")
def looked(tmp_path_factory) -> Inspected:
    folder = tmp_path_factory.mktemp("temporal")
    random = np.random.default_rng(0)
    labels = np.arange(36) % 3
    signals = 0.1 * random.standard_normal((36, 2, STEPS))
    level = np.array([0.0, 1.0, -1.0])[labels]
    signals[:, 0, ONSET:40] += level[:, None]
    signals[labels == 0, 0] *= 0.01
    signals[labels == 0, 0, ::2] += 0.2  # a small ripple: no step of it is loud once normalised
    cohort = written_cohort(folder / "cohort", signals.astype(np.float32), labels, classes=CLASSES)
    found = inspected(folder / "bundle", cohort, per_class=4)
    return replace(found, bundle=replace(found.bundle, members=(Detector(), Detector())))


@pytest.fixture(scope="module")
def finding(looked):
    return temporal_scores.inspect(looked)


def row(finding, name: str) -> pd.Series:
    return finding.tables["temporal_scores"].set_index("class").loc[name]


@pytest.mark.parametrize("name", ["high", "low"])
def test_evidence_decision_and_lag_are_where_they_were_planted(finding, name):
    found = row(finding, name)
    assert found["samples"] == 12
    assert found["onset"] == ONSET
    assert found["decided"] == ONSET + 8  # 3 n > 25 after the ninth step
    assert found["lag"] == 8
    assert found["lag_subjects"] == 2  # subjects are dealt in turn, as classes are
    assert np.isnan(found["lag_ci_low"])  # two subjects give no interval
    assert found["ended_wrong"] == 0


def test_a_class_without_evidence_has_no_onset_and_no_lag_and_is_counted(finding):
    found = row(finding, "quiet")
    assert (found["right_throughout"], found["without_onset"], found["with_lag"]) == (12, 12, 0)
    assert np.isnan(found["onset"])
    assert np.isnan(found["lag"])
    assert found["decided"] == 0


def test_the_prior_is_named_with_its_share(finding):
    priors = finding.tables["temporal_priors"]
    assert (priors.groupby("member")["mean"].sum() == 1).all()
    assert (priors.loc[priors["class"] == "quiet", "mean"] == 1).all()
    assert sum(sentence.startswith("prior of member") and "as quiet" in sentence for sentence in finding.verdicts) == 2
    assert any("8.0 [8.0, 8.0] steps (80 ms) after" in sentence for sentence in finding.verdicts)


def test_what_was_right_from_the_first_step_on_has_no_lag_even_where_evidence_grows(looked):
    class Growing(Detector):
        def step_scores(self, inputs):
            return super().step_scores(inputs) * torch.where(torch.arange(STEPS) < 30, 1.0, 2.0)[:, None]

    growing = replace(looked, bundle=replace(looked.bundle, members=(Growing(), Growing())))
    found = row(temporal_scores.inspect(growing), "quiet")
    assert (found["onset"], found["decided"], found["right_throughout"]) == (30, 0, 12)
    assert (found["with_lag"], np.isnan(found["lag"])) == (0, True)


def test_a_sample_that_ends_wrong_is_counted_and_not_timed(looked):
    class Deaf(Detector):
        def step_scores(self, inputs):
            return super().step_scores(inputs) * torch.tensor([1.0, 1.0, 0.0])

    deaf = replace(looked, bundle=replace(looked.bundle, members=(Deaf(), Deaf())))
    found = row(temporal_scores.inspect(deaf), "low")
    assert found["ended_wrong"] == 12
    assert np.isnan(found[["decided", "onset", "lag"]].to_numpy(dtype=float)).all()


def test_onset_is_held_against_known_evidence(looked, monkeypatch):
    masks = np.zeros((36, 2, STEPS), dtype=bool)
    masks[:, 0, ONSET - 2 :] = True
    masks[looked.cohort.samples["label"] == 0] = False
    monkeypatch.setattr(looked.cohort, "has_evidence", True)
    monkeypatch.setattr(looked.cohort, "evidence", lambda samples: masks[samples], raising=False)
    found = row(temporal_scores.inspect(looked), "all")
    assert (found["late"], found["missed"], found["within"]) == (2, 2, 1)
    assert np.isnan(row(temporal_scores.inspect(looked), "quiet")["late"])


def test_the_figure_shows_a_rightly_read_sample_of_each_class_and_can_be_hovered(finding):
    drawn = finding.figures["temporal-scores"]
    assert [axes.get_ylabel() for axes in drawn.still.axes if axes.get_ylabel()] == list(CLASSES)
    heat, decided = drawn.interactive.data
    assert list(heat.y) == ["1. quiet", "2. high", "3. low"]
    assert heat.z.shape == (3, STEPS)
    assert list(decided.z[1][ONSET + 7 : ONSET + 9]) == [0, 1]
    assert decided.customdata[1, ONSET + 8].tolist()[0] == "high"
    assert heat.x[0] == -300


def test_scan_lines_are_drawn_as_images_and_their_stroke_is_no_onset(tmp_path: Path, monkeypatch):
    random = np.random.default_rng(1)
    cohort = written_cohort(
        tmp_path / "cohort", random.random((24, 1, 48), np.float32), np.arange(24) % 2, classes=("0", "1"), image=(6, 8)
    )
    monkeypatch.setattr(cohort, "has_evidence", True)
    monkeypatch.setattr(cohort, "evidence", lambda samples: np.ones((len(samples), 1, 48), bool), raising=False)
    finding = temporal_scores.inspect(inspected(tmp_path / "bundle", cohort))
    assert finding.tables["temporal_scores"]["late"].isna().all()
    drawn = finding.figures["temporal-scores"]
    shown = [image.get_array().shape for axes in drawn.still.axes for image in axes.get_images()]
    assert shown.count((6, 8)) % 3 == 0
    assert (6, 8) in shown
    assert drawn.interactive.layout.xaxis2.title.text == "pixel, in reading order"
    assert not any(" ms" in sentence for sentence in finding.verdicts)
