"""Shares of relevance: known answers, conservation, what is undefined; groups against a loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from synthetic_shares import sleepers

from xai.quality.share_groups import group_shares
from xai.quality.shares import absolute_relevance, centred_log_ratio, relevance_shares


def test_shares_of_channels_are_percent_of_absolute_relevance() -> None:
    relevance = torch.tensor([[[1.0, -1.0], [3.0, 3.0], [0.0, 0.0]], [[0.0, 0.0]] * 3])
    assert absolute_relevance(relevance).tolist() == [[2, 6, 0], [0, 0, 0]]
    shares = relevance_shares(relevance)
    assert shares.dtype == torch.float64
    assert shares[0].tolist() == [25, 75, 0]
    assert shares[1].isnan().all()


def test_masks_share_out_what_lies_in_them_on_any_grid() -> None:
    relevance = torch.randn(5, 2, 6, 7, generator=torch.Generator().manual_seed(1))
    masks = torch.rand(5, 3, 2, 6, 7, generator=torch.Generator().manual_seed(2)) > 0.6
    masks[3] = False
    found = relevance_shares(relevance, masks)
    for sample in (0, 1, 2, 4):
        parts = [float(relevance[sample].double().abs()[mask].sum()) for mask in masks[sample]]
        np.testing.assert_allclose(found[sample], 100 * np.array(parts) / sum(parts))
    assert found[3].isnan().all()
    with pytest.raises(ValueError, match=r"masks have shape \(5, 2, 6, 7\)"):
        relevance_shares(relevance, masks[:, 0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 6), st.floats(1e-6, 1e6))
def test_shares_add_up_ignore_scale_and_the_batch(seed: int, samples: int, scale: float) -> None:
    relevance = torch.randn(samples, 3, 20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shares = relevance_shares(relevance)
    torch.testing.assert_close(shares.sum(dim=1), torch.full((samples,), 100.0, dtype=torch.float64))
    torch.testing.assert_close(relevance_shares(-scale * relevance), shares)
    torch.testing.assert_close(
        torch.cat([relevance_shares(row[None]) for row in relevance]), shares, rtol=1e-12, atol=0
    )


def test_log_ratios_are_centred_and_keep_the_ratios_of_what_is_not_zero() -> None:
    shares = np.array([[20.0, 30.0, 50.0], [40.0, 60.0, 0.0], [100.0, 0.0, 0.0], [np.nan] * 3])
    found = centred_log_ratio(shares)
    np.testing.assert_allclose(found[0], np.log(shares[0]) - np.log(stats.gmean(shares[0])))
    np.testing.assert_allclose(found[:3].sum(axis=1), 0, atol=1e-12)
    assert found[1, 1] - found[1, 0] == pytest.approx(np.log(1.5))
    assert found[1, 2] - found[1, 0] == pytest.approx(np.log(1e-4 / (0.4 * (1 - 1e-4))))
    assert found[2, 0] - found[2, 1] == pytest.approx(np.log((1 - 2e-4) / 1e-4))
    assert np.isnan(found[3]).all()


def test_groups_are_ratios_of_sums_with_the_means_beside() -> None:
    table = sleepers(3, subjects=7, epochs=4, explainers=("a", "b"))
    hole = (table["sample"] == table["sample"].min()) & (table["explainer"] == "a")
    table.loc[hole, ["share", "relevance"]] = [np.nan, 0.0]
    found = group_shares(table, resamples=400, seed=5).set_index(["explainer", "true", "predicted", "part"])
    assert len(found) == 2 * 3 * 3
    group = table[(table["explainer"] == "a") & (table["true"] == "W")]
    row = found.loc[("a", "W", "W", "eog")]
    sums = group.groupby("part")["relevance"].sum()
    assert row["share"] == pytest.approx(100 * sums["eog"] / sums.sum())
    assert row["mean_share"] == pytest.approx(group[group["part"] == "eog"]["share"].mean())
    assert row[["n_epochs", "n_undefined", "n_subjects"]].to_list() == [56, 1, 7]
    weights = np.random.default_rng([5, 7, 0]).multinomial(7, np.full(7, 1 / 7), size=400)
    people = [group[group["subject"] == subject] for subject in sorted(set(group["subject"]))]
    drawn = []
    for counts in weights:
        mixed = pd.concat([person for person, count in zip(people, counts, strict=True) for _ in range(count)])
        relevance = mixed.groupby("part")["relevance"].sum()
        drawn.append(100 * relevance["eog"] / relevance.sum())
    tail = stats.norm.cdf(-np.sqrt(7 / 6) * stats.t.ppf(0.975, 6))
    assert row[["ci_low", "ci_high"]].to_list() == pytest.approx(np.quantile(drawn, [tail, 1 - tail]))


def test_groups_by_fold_or_none_and_of_few_subjects() -> None:
    table = sleepers(3, subjects=6, epochs=2)
    folds = group_shares(table, by=["fold"], resamples=100)
    assert list(folds)[:3] == ["explainer", "fold", "part"]
    assert (folds["n_subjects"] == 2).all()
    assert folds[["ci_low", "ci_high"]].isna().all(axis=None)
    assert folds.groupby("fold")["share"].sum().to_numpy() == pytest.approx([100] * 3)
    whole = group_shares(table, by=[], resamples=100)
    assert len(whole) == 3
    assert ((whole["ci_low"] < whole["share"]) & (whole["share"] < whole["ci_high"])).all()
    shuffled = group_shares(table.sample(frac=1, random_state=1), by=[], resamples=100)
    pd.testing.assert_frame_equal(whole, shuffled, rtol=1e-12)
    nothing = group_shares(table.assign(relevance=0.0, share=np.nan), by=[], resamples=100)
    assert nothing[["share", "mean_share", "ci_low"]].isna().all(axis=None)
    with pytest.raises(ValueError, match=r"lacks the columns \['rater'\]"):
        group_shares(table, by=["rater"])
