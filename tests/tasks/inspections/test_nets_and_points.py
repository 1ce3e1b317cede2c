"""The nets of a version beside each other, and the points where relevance is filtered, drawn from the network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from segmented import CASES, segmented

from tasks.inspections import filter_points, nets
from xai.methods.lrp import Filtered, Raw, relevances, zplus_box
from xai.methods.lrp import filter_points as points_of


@pytest.fixture(scope="module")
def beside():
    return nets.inspect(segmented("all"))


def test_every_net_has_a_row_for_every_case(beside):
    cases = beside.tables["nets_by_case"]
    assert len(cases) == 2 * CASES
    assert cases["dice"].between(0, 1).all()


def test_amplitudes_are_those_at_the_papers_points(beside):
    looked = segmented("all")
    points = points_of(looked.network(0))
    cases = beside.tables["nets_by_case"]
    assert [name.removeprefix("max |R| ") for name in cases if name.startswith("max |R|")] == list(points)
    rows = pd.DataFrame({"sample": [2], "label": [1]})
    (maps,) = relevances(
        looked.network(0), looked.inputs(rows), torch.tensor([1]), [Filtered(zplus_box(0, 1), (Raw(),))]
    )
    found = cases.query("member == 0 and sample == 2")[f"max |R| {points[-1]}"].item()
    # the last point is what the first convolution hands to the inputs
    assert found == pytest.approx(float(maps.abs().max()), rel=1e-5)


def test_nets_that_are_one_agree_wholly(monkeypatch):
    looked = segmented("all")
    twin = type(looked.bundle)(looked.bundle.config, (looked.bundle.members[0],) * 2)
    same = type(looked)(looked.cohort, twin, looked.splits, looked.samples, looked.per_class)
    agreement = nets.inspect(same).tables["net_agreement"]
    assert agreement["mean"].to_numpy() == pytest.approx(1)


def test_the_calculus_holds_where_it_can_and_is_refuted_where_it_cannot():
    finding = filter_points.inspect(segmented())
    calculus = finding.tables["filter_calculus"].set_index("filter")
    passes = calculus.dropna(subset="claimed_area")
    np.testing.assert_allclose(passes["area"], passes["claimed_area"], atol=1e-3)
    assert (calculus.loc[["pass0-0.1", "pass0-0.2", "pass0-0.4"], "lost_of_band"] > 0.05).all()
    assert any("none of the sixteen" in line for line in finding.verdicts)


def test_the_network_and_its_points_are_drawn():
    finding = filter_points.inspect(segmented())
    assert set(finding.figures) == {"network", "propagation", "filters"}
    words = finding.figures["propagation"].caption
    assert f"{len(points_of(segmented().network(0)))} points" in words
