"""Table I: windows and people by class and recorder, and how concentrated they are."""

from __future__ import annotations

import pandas as pd
from rhythms import bundle, read_rhythms

from tasks.inspections import class_distribution
from tasks.inspections.class_distribution import distribution


def test_counts_people_and_the_strongest_share():
    samples = pd.DataFrame(
        {
            "label": [0] * 12 + [1] * 3,
            "recorder": ["mitdb"] * 8 + ["ltafdb"] * 4 + ["mitdb"] * 3,
            "subject": [0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 0, 0, 1],
        }
    )
    table = distribution(samples, ("N", "PVC", "SBR")).set_index(["class", "recorder"])
    assert table.loc[("N", "mitdb"), "windows"] == 8
    assert table.loc[("N", "mitdb"), "people"] == 6
    assert table.loc[("N", "mitdb"), "share_of_strongest"] == 7 / 8
    assert table.loc[("N", "ltafdb"), "people"] == 2
    assert table.loc[("SBR", ""), "windows"] == 0


def test_a_class_that_one_recorder_wrote_alone_is_named():
    looked = read_rhythms(bundle("ecg-cam", width=4))
    samples = looked.cohort.samples
    samples.loc[samples["label"] == 5, "recorder"] = "rec-b"
    found = class_distribution.inspect(looked)
    assert found.verdicts == ("SBR: rec-b alone wrote it, 6 windows",)
    papers = found.tables["class_distribution_paper"]
    assert papers.groupby("class")["windows"].sum()[["N", "SBR", "PAC"]].tolist() == [603_171, 11_323, 17_456]
