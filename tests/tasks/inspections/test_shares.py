"""Shares of relevance: whose, of what class, on which part; and the inspections that read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.inspections import modality_ablation, relevance_shares, rule_agreement
from tasks.inspections.inspected import Inspected
from tasks.inspections.shares import shares_of_samples, with_facts
from tests.tasks.inspections.inspecting import inspected, written_cohort
from xai.methods import explainer
from xai.scores import LOGIT

RULES = ("lrp_epsilon", "lrp_zplus", "gradient_x_input")
CLASSES = ("first", "second")


@pytest.fixture
def looked(tmp_path: Path) -> Inspected:
    """Untrained members on 24 windows of two channels, all of them shared."""
    signals = np.random.default_rng(0).normal(size=(24, 2, 30))
    cohort = written_cohort(tmp_path / "cohort", signals, np.arange(24) % 2, classes=CLASSES)
    found = inspected(tmp_path / "version", cohort)
    shares = shares_of_samples(found.bundle, cohort, found.samples[["sample", "member"]], RULES, LOGIT)
    return replace(found, explainers=RULES, shares=with_facts(cohort, shares))


def test_shares_are_those_of_each_explainer_alone_for_the_class_that_is_given(looked: Inspected) -> None:
    shares = looked.shares_taken().set_index(["sample", "explainer", "part"])
    for sample in (0, 5):
        row = looked.samples[looked.samples["sample"] == sample]
        inputs, network = looked.inputs(row), looked.network(int(row["member"].iloc[0]))
        given = network(inputs).argmax(dim=1)
        for name in RULES:
            relevance = explainer(name).attribute(network, inputs, given, seeds=looked.seeds(row)).detach()[0].abs()
            for channel, part in enumerate(looked.cohort.channels):
                found = shares.loc[(sample, name, part)]
                assert found["predicted"] == CLASSES[int(given)]
                expected = 100 * float(relevance[channel].sum() / relevance.sum())
                assert found["share"] == pytest.approx(expected, rel=1e-4)


def test_shares_do_not_depend_on_the_batch(looked: Inspected) -> None:
    rows = looked.samples[["sample", "member"]]
    alone = pd.concat(
        [shares_of_samples(looked.bundle, looked.cohort, rows.iloc[[n]], RULES, LOGIT) for n in range(len(rows))]
    )
    keys = ["sample", "explainer", "part"]
    together = looked.shares_taken().set_index(keys)["share"].sort_index()
    np.testing.assert_allclose(alone.set_index(keys)["share"].sort_index(), together, rtol=1e-4)


def test_a_sample_tested_twice_is_shared_by_both_members(looked: Inspected) -> None:
    twice = pd.DataFrame({"sample": [3, 3], "member": [0, 1]})
    found = shares_of_samples(looked.bundle, looked.cohort, twice, RULES[:1], LOGIT)
    assert sorted(found["fold"]) == [0, 0, 1, 1]
    assert found["share"].nunique() == 4


@pytest.mark.parametrize("inspect", [relevance_shares.inspect, rule_agreement.inspect, modality_ablation.inspect])
def test_an_inspection_needs_a_job_that_takes_shares(looked: Inspected, inspect: Callable[[Inspected], object]) -> None:
    with pytest.raises(ValueError, match="expected a job whose plan names explainers under shares"):
        inspect(replace(looked, shares=None))


def test_shares_by_group_are_ratios_of_sums(looked: Inspected) -> None:
    finding = relevance_shares.inspect(looked)
    table, shares = finding.tables["shares_by_group"], looked.shares_taken()
    row = table.iloc[0]
    group = shares[
        (shares["explainer"] == row["explainer"])
        & (shares["true"] == row["true"])
        & (shares["predicted"] == row["predicted"])
    ]
    expected = 100 * group.loc[group["part"] == row["part"], "relevance"].sum() / group["relevance"].sum()
    assert row["share"] == pytest.approx(expected)
    assert list(dict.fromkeys(table["explainer"])) == list(RULES)
    assert len(finding.verdicts) == len(RULES)
    assert set(finding.figures) == {"modality-shares", "share-groups", "confusions"}
    assert finding.tables["confusions"]["count"].sum() == len(looked.samples)


def test_folds_that_are_one_network_agree_wholly(looked: Inspected) -> None:
    same = replace(looked, bundle=replace(looked.bundle, members=(looked.bundle.members[0],) * 2))
    folds = rule_agreement.inspect(same).tables["fold_agreement_of_shares"]
    np.testing.assert_allclose(folds["value"], 1.0, atol=1e-6)
    other = rule_agreement.inspect(looked).tables["fold_agreement_of_shares"]
    assert (other["value"] < 0.99).all()


def test_a_channel_that_the_network_does_not_read_costs_nothing(looked: Inspected) -> None:
    with torch.no_grad():
        for member in looked.bundle.members:
            member.layers[0].weight_ih_l0[:, 1] = 0
    table = modality_ablation.inspect(looked).tables["modality_ablation_by_sample"]
    cost = table[table["quantity"] == "logit"].set_index(["channel", "ablation"])["mean"]
    assert cost.loc["channel 1"].abs().max() < 1e-6
    assert cost.loc["channel 0"].abs().max() > 1e-4
    whole = modality_ablation.inspect(looked).tables["modality_ablation"]
    assert (whole.loc[whole["channel"] == "channel 1", "drop"] == 0).all()
