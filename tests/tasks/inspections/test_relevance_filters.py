"""The sweep over relevance filters: who explains what, on which grid, and what is said of it."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from segmented import CASES, segmented

from tasks.inspections import relevance_filters
from tasks.inspections.filter_sweep import (
    FILTERS,
    PAPERS,
    PROPAGATIONS,
    RAW,
    RIGHT,
    cases_by_member,
    filtered,
    swept_cases,
)
from xai.methods import explainer


def test_a_filter_stands_before_the_suffix_of_a_papers_twin():
    assert filtered("lrp_zplus", "clamp0.2") == "lrp_zplus_clamp0.2"
    assert filtered("lrp_tjoa-paper", "clamp0.2") == "lrp_tjoa_clamp0.2-paper"
    for name in PROPAGATIONS.values():
        for each in FILTERS:
            assert explainer(filtered(name, each)).name == filtered(name, each)


def test_there_are_the_papers_sixteen_settings():
    assert len(FILTERS) == 16
    assert FILTERS[0] == RAW
    assert sum(name.startswith("clamp") for name in FILTERS) == 5


def test_a_case_is_explained_by_the_member_that_never_saw_it_and_in_paper_mode_by_all():
    by_fold = cases_by_member(segmented(), segmented().samples)
    assert by_fold.set_index("sample")["member"].to_list() == [0, 0, 0, 1, 1, 1]
    by_all = cases_by_member(segmented("all"), segmented("all").samples)
    assert len(by_all) == 2 * CASES
    assert (by_all.groupby("sample")["member"].nunique() == 2).all()


def test_maps_lie_on_the_cases_own_grid_and_members_take_turns():
    looked = segmented()
    cases = list(swept_cases(looked))
    assert [case.member for case in cases] == [0, 0, 1, 1]  # of four affordable cases two each
    case = cases[0]
    assert case.native.evidence.shape == (18, 36, 30)
    assert set(case.maps) == {RIGHT, PAPERS}
    assert all(maps.shape == (2, 18, 36, 30) for maps in case.maps[RIGHT].values())
    # every voxel was three: nearest resizing must give equal neighbours
    fine = case.maps[RIGHT][RAW]
    assert torch.equal(fine[:, ::3, ::3, ::3], fine[:, 1::3, 1::3, 1::3])


def test_the_raw_map_is_what_the_explainer_gives_alone():
    looked = segmented()
    case = next(iter(swept_cases(looked)))
    alone = explainer(PROPAGATIONS[RIGHT]).attribute(
        looked.network(case.member),
        looked.inputs(pd.DataFrame({"sample": [case.sample]})),
        torch.tensor([1]),
        seeds=torch.tensor([case.sample]),
    )
    torch.testing.assert_close(case.maps[RIGHT][RAW][:, ::3, ::3, ::3], alone[0], rtol=1e-4, atol=1e-6)


def test_overlap_is_the_dice_of_prediction_and_truth():
    case = next(iter(swept_cases(segmented())))
    both = (case.prediction & case.native.evidence).sum()
    either = case.prediction.sum() + case.native.evidence.sum()
    assert case.overlap == pytest.approx(2 * both / either)


@pytest.fixture(scope="module")
def finding():
    return relevance_filters.inspect(segmented())


def test_every_figure_of_the_sweep_is_drawn(finding):
    expected = {"inclusivity-by-filter", "normalised-means", "normalised-means-clamped", "sweep"}
    for name in ("filtered-relevance", "clamped-relevance", "spikes", "passed-relevance"):
        expected |= {name, f"{name}-papers-code"}
    assert set(finding.figures) == expected
    assert finding.figures["filtered-relevance"].interactive is not None


def test_the_table_has_means_of_every_filter_and_propagation(finding):
    table = finding.tables["filter_sweep"]
    assert set(table["filter"]) == set(FILTERS)
    assert set(table["propagation"]) == {RIGHT, PAPERS}
    inclusivity = table[table["metric"] == "inclusivity"]["mean"].dropna()
    assert inclusivity.between(0, 1).all()
    assert (table["subjects"].max(), finding.tables["inclusivity_by_filter_case1"].shape[0]) == (4, 16)


def test_spikes_clamps_sweet_spots_and_bounds_are_put_in_words(finding):
    said = "\n".join(finding.verdicts)
    assert "nan" not in said
    for word in ("spikes ", "clamp0.05, LRP put right: D(relevance, truth) from", "sweet spot", "P(mu <= 0.1)"):
        assert word in said
