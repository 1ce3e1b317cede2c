"""The finding on sequence length: paired excess, slopes per doubling, and what they say of the remark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.inspections import sequence_length
from tasks.inspections.sequence_length import EXCESS, PROBABILITY, crop_lengths, judgement
from tests.tasks.inspections.inspecting import inspected, written_cohort
from xai.quality.sequence_length import AGREEMENT, by_length

STEPS = 64


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("length")
    signals = np.random.default_rng(0).standard_normal((24, 1, STEPS)).astype(np.float32)
    cohort = written_cohort(folder / "cohort", signals, np.arange(24) % 2, classes=("a", "b"), subjects=8)
    return inspected(folder / "bundle", cohort, per_class=12)


@pytest.fixture(scope="module")
def finding(looked):
    return sequence_length.inspect(looked)


def test_lengths_are_parts_of_the_window():
    assert crop_lengths(216) == [27, 54, 108, 216]
    assert crop_lengths(20) == [5, 10, 20]


def test_excess_is_the_paired_difference_in_the_means_over_subjects(looked, finding):
    rows, differences = looked.some(), {}
    for member, part in rows.groupby("member"):
        scores = by_length(
            looked.network(int(member)), looked.inputs(part), looked.targets(part), seeds=looked.seeds(part),
            lengths=[16], origin=32, width=10,
        ).pivot_table(index="sample", columns=["metric", "explainer"], values="value")  # fmt: skip
        scores["subject"] = part["subject"].to_numpy()
        for subject, own in scores.groupby("subject"):
            area = own["deletion_auc"]
            spread = own["spread", ""].mean()
            differences[subject] = (area["gradient_abs"] - area["occlusion"]).mean() / spread
    table = finding.tables["sequence_length"].set_index(["quantity", "explainer", "length"])
    assert table.loc[(EXCESS, "gradient_abs", 16), "mean"] == pytest.approx(np.mean(list(differences.values())))
    assert len(differences) == table.loc[(EXCESS, "gradient_abs", 16), "subjects"]


def test_slopes_are_least_squares_on_doublings(finding):
    """Every subject is defined at every length here, so the mean of slopes is the slope of means."""
    means = finding.tables["sequence_length"]
    slopes = finding.tables["sequence_length_slopes"].set_index(["quantity", "explainer"])
    assert (slopes["undefined"] == 0).all()
    for key in ((EXCESS, "gradient"), (PROBABILITY, "gradient_x_input"), (AGREEMENT, "gradient_x_input")):
        line = means[(means["quantity"] == key[0]) & (means["explainer"] == key[1])]
        expected = np.polyfit(np.log2(line["length"].astype(float)), line["mean"], 1)[0]
        assert slopes.loc[key, "mean"] == pytest.approx(expected)
        assert slopes.loc[key, "ci_low"] < expected < slopes.loc[key, "ci_high"]


def test_a_subject_undefined_at_one_length_is_left_out_of_the_slope_and_counted(looked, monkeypatch):
    real = sequence_length.by_length

    def with_hole(*arguments, **keywords):
        found = real(*arguments, **keywords)
        hole = (found["metric"] == AGREEMENT) & (found["length"] == 8) & (found["sample"] == 0)
        return found.assign(value=found["value"].mask(hole))

    monkeypatch.setattr(sequence_length, "by_length", with_hole)
    one_each = looked.samples.drop_duplicates("subject")
    holed = sequence_length.inspect(type(looked)(**{**vars(looked), "samples": one_each}))
    slopes = holed.tables["sequence_length_slopes"].set_index(["quantity", "explainer"])
    assert slopes.loc[(AGREEMENT, "gradient_x_input"), "undefined"] == one_each["member"].nunique()
    assert slopes.loc[(EXCESS, "gradient"), "undefined"] == 0


@pytest.mark.parametrize(
    ("quantity", "low", "high", "expected"),
    [
        (EXCESS, 0.1, 0.2, "supported"),
        (EXCESS, -0.2, -0.1, "not supported, it is the other way round"),
        (AGREEMENT, -0.2, -0.1, "supported"),
        (AGREEMENT, 0.1, 0.2, "not supported, it is the other way round"),
        (EXCESS, -0.1, 0.1, "undecided"),
        (EXCESS, np.nan, np.nan, "undecided"),
    ],
)
def test_judgement_follows_the_interval_and_the_quantitys_direction(quantity, low, high, expected):
    assert judgement(quantity, pd.Series({"ci_low": low, "ci_high": high})) == expected


def test_verdicts_and_figure(finding):
    assert len(finding.verdicts) == 3
    assert "8 subjects" in finding.verdicts[0]
    figure = finding.figures["sequence-length"].still
    assert [len(axes.lines) for axes in figure.axes] == [4, 4, 2]  # three gradients, one, and the line at 0
