"""The finding on missing values: gap lengths in seconds, and a network that reads one channel only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.inspections import missing_values
from tasks.inspections.missing_values import ALL, gap_lengths
from tests.tasks.inspections.inspecting import inspected, written_cohort

STEPS, READ = 64, 1


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("missing")
    random = np.random.default_rng(0)
    signals = random.standard_normal((36, 3, STEPS)).cumsum(2).astype(np.float32)
    cohort = written_cohort(folder / "cohort", signals, np.arange(36) % 2, classes=("low", "high"), subjects=9)
    found = inspected(folder / "bundle", cohort, per_class=18)
    with torch.no_grad():
        for network in found.bundle.members:
            network.head.weight *= 20
            network.layers[0].weight_ih_l0[:, [c for c in range(3) if c != READ]] = 0
    return found


@pytest.fixture(scope="module")
def finding(looked):
    return missing_values.inspect(looked)


def test_table_has_every_channel_length_filling_and_quantity(finding):
    table = finding.tables["missing_values"]
    assert len(table) == 4 * len(gap_lengths(STEPS)) * 2 * 3
    assert (table["gap_seconds"] == table["gap_steps"] / 100.0).all()
    assert (table["subjects"] == 9).all()
    assert table["ci_low"].le(table["mean"]).all()
    assert table["mean"].le(table["ci_high"]).all()


def test_only_the_channel_that_is_read_costs(finding):
    table = finding.tables["missing_values"].set_index(["channel", "filled", "gap_steps", "quantity"])["mean"]
    assert table[["channel 0", "channel 2"]].abs().max() < 1e-6
    for steps in gap_lengths(STEPS):
        assert table[f"channel {READ}", "zero", steps, "logit"] == pytest.approx(table[ALL, "zero", steps, "logit"])
    assert table[ALL].abs().max() > 0.01


def test_verdicts_say_what_a_gap_costs_and_where(finding):
    assert "a gap of 0.02 s in all channels, set to 0, changes the decision in" in finding.verdicts[0]
    assert finding.verdicts[-1].startswith("at 0.08 s set to 0, gaps in channel")
    assert "9 subjects" in finding.text


def test_it_says_the_same_again(looked, finding):
    assert missing_values.inspect(looked).verdicts == finding.verdicts


def test_gaps_of_images_are_told_in_pixels(tmp_path):
    pixels = np.random.default_rng(1).random((12, 1, 36)).astype(np.float32)
    cohort = written_cohort(tmp_path / "cohort", pixels, np.arange(12) % 2, classes=("a", "b"), image=(6, 6))
    finding = missing_values.inspect(inspected(tmp_path / "bundle", cohort))
    assert "a gap of 1 pixels in the signal" in finding.verdicts[0]
    assert len(finding.verdicts) == 4
    assert set(finding.tables["missing_values"]["channel"]) == {ALL}
