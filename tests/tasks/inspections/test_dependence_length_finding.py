"""The finding on dependence length: what is fitted, what is unknown, and when the claim counts as supported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks.inspections import dependence_length
from tasks.inspections.dependence_length import SHIFTS, judgement, widths_for
from tests.tasks.inspections.inspecting import inspected, written_cohort
from xai.methods import Occlusion
from xai.quality.dependence import dependence_curve, late_steps, with_forget_bias
from xai.quality.dependence import dependence_length as length_of
from xai.quality.measure import measure

STEPS = 60


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dependence")
    signals = np.random.default_rng(0).standard_normal((32, 2, STEPS)).astype(np.float32)
    cohort = written_cohort(folder / "cohort", signals, np.arange(32) % 2, classes=("a", "b"), subjects=8)
    return inspected(folder / "bundle", cohort, per_class=16)


@pytest.fixture(scope="module")
def finding(looked):
    return dependence_length.inspect(looked)


def test_a_point_is_a_subject_and_a_network(looked, finding):
    points = finding.tables["dependence_points"]
    members = looked.samples.groupby("subject")["member"].nunique().sum()
    assert len(points) == members * len(SHIFTS)
    assert points["samples"].sum() == 32 * len(SHIFTS)
    widths = widths_for(STEPS)
    assert points["width"].between(widths[0], widths[-1]).all()


def test_points_are_means_of_lengths_and_areas(looked, finding):
    """One point again by hand."""
    points = finding.tables["dependence_points"]
    point = points[points["forget_bias"] == 0].iloc[0]
    rows = looked.samples[
        (looked.samples["subject"] == point["subject"]) & (looked.samples["member"] == point["member"])
    ]
    network = looked.network(int(point["member"]))
    inputs, targets = looked.inputs(rows), looked.targets(rows)
    lengths = length_of(dependence_curve(network, inputs, targets, late_steps(STEPS)))
    assert point["length"] == pytest.approx(float(lengths.log().nanmean().exp()))
    attribution = Occlusion(10, 3).attribute(network, inputs, targets, seeds=looked.seeds(rows))
    scores = measure(
        network, inputs, targets, {"w": attribution}, dependence_length.PLAN, seeds=looked.seeds(rows)
    ).scores
    assert point["deletion_auc_w10"] == pytest.approx(
        scores.loc[scores["metric"] == "deletion_auc", "value"].mean(), abs=1e-6
    )


def test_slopes_are_told_with_their_interval_and_the_unknown_are_counted(finding):
    fits = finding.tables["dependence_slopes"].set_index("fit")
    assert list(fits.index) == ["all", "as trained", "within"]
    assert fits.loc["all", "tried"] == len(finding.tables["dependence_points"])
    assert f"slope of log(width) on log(length) {fits.loc['all', 'slope']:.2f}" in finding.verdicts[0]
    assert "unknown for" in finding.verdicts[3]


def test_networks_that_never_forget_have_no_length_and_no_verdict(looked):
    keeping = tuple(with_forget_bias(network, 30.0) for network in looked.bundle.members)
    finding = dependence_length.inspect(replace(looked, bundle=replace(looked.bundle, members=keeping)))
    assert all("undecided" in verdict for verdict in finding.verdicts[:3])
    assert finding.tables["dependence_length"]["censored"].sum() > 48
    points = finding.tables["dependence_points"]
    assert (points["length"].isna() == (points["censored"] > points["samples"] / 2)).all()


@pytest.mark.parametrize(
    ("low", "high", "points", "expected"),
    [
        (0.2, 1.3, 20, "supported"),
        (0.2, 0.8, 20, "supported in direction, but not in proportion"),
        (1.2, 2.0, 20, "supported in direction, but not in proportion"),
        (-0.3, 0.8, 20, "not supported"),
        (-0.9, -0.1, 20, "not supported"),
        (-0.3, 1.2, 20, "undecided"),
        (np.nan, np.nan, 20, "undecided"),
        (0.2, 1.3, 9, "undecided"),
    ],
)
def test_judgement_follows_the_interval(low, high, points, expected):
    assert judgement(pd.Series({"ci_low": low, "ci_high": high, "points": points, "tried": 20})) == expected


@pytest.mark.parametrize(
    ("window", "expected"),
    [(64, (1, 5, 10)), (100, (1, 5, 10, 20)), (216, (1, 5, 10, 20, 40)), (784, (10, 20, 40, 80))],
)
def test_widths_fit_the_window_and_the_cost(window, expected):
    assert widths_for(window) == expected
