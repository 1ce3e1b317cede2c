"""Segmentations: they learn, resume exactly, and are tested case by case on the network's grid and the case's own."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from volumes import CONFIG, GRID, RECIPE, Boxes, ScaledBoxes

from models import build_network
from models.bundle import load_bundle, save_bundle
from models.normalise import normalise
from tasks.training import windows
from tasks.training.learning import Progress
from tasks.training.member import fit_member, history, trained_network
from tasks.training.objectives import dice, dice_cross_entropy, soft_dice
from tasks.training.segmentation import Overlap, segmentation_tables, segmented_cases, with_signal
from tasks.training.windows import Batches, Windows


@dataclass(frozen=True)
class Parts:
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


SPLIT = Parts(np.arange(10), np.arange(10, 12), np.arange(12, 16))
TRUTHS = st.integers(0, 10**6).map(lambda seed: np.random.default_rng(seed).random((3, 2, 3, 4)) < 0.3)


def fitted(cohort: Boxes, folder: Path, seed: int = 1) -> Path:
    fit_member(cohort, SPLIT, CONFIG, RECIPE, folder / "fit", seed=seed)
    return save_bundle(folder / "bundle", CONFIG, [trained_network(folder / "fit", CONFIG)])


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one member that has learnt the boxes; its training lies beside it."""
    return fitted(Boxes(), tmp_path_factory.mktemp("learnt"))


def test_a_member_learns_to_find_lesions_of_cases_it_never_saw(learnt: Path) -> None:
    told = history(learnt.parent / "fit")
    assert list(told.columns) == [
        "epoch", "training_loss", "validation_loss", "validation_dice", "learning_rate", "seconds"
    ]  # fmt: skip
    assert told["validation_dice"].iloc[0] < 0.5 < 0.8 < told["validation_dice"].max()
    cases = segmented_cases(Boxes(), learnt, [SPLIT])
    assert cases["sample"].tolist() == [12, 13, 14, 15]
    assert cases["dice"].min() > 0.6
    assert (cases["dice"] > 2 * cases["dice_by_chance"]).all()


def test_the_weights_are_those_of_the_highest_validation_dice(learnt: Path) -> None:
    member = trained_network(learnt.parent / "fit", CONFIG)
    cohort, rows = Boxes(), SPLIT.validation
    with torch.no_grad():
        found = member(normalise(torch.from_numpy(cohort.signals(rows)), "minmax")).argmax(1).numpy() == 1
    truth = cohort.evidence(rows)[:, 0]
    values = [2 * (f & t).sum() / (f.sum() + t.sum()) for f, t in zip(found, truth, strict=True)]
    assert np.mean(values) == pytest.approx(history(learnt.parent / "fit")["validation_dice"].max())


def test_an_interrupted_training_resumes_to_the_same_weights(
    learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated = Progress.on_validation_end

    def interrupted(self: Progress, trainer: Trainer, learner: object) -> None:
        if len(self.history) == 5:
            raise ConnectionError
        validated(self, trainer, learner)

    monkeypatch.setattr(Progress, "on_validation_end", interrupted)
    with pytest.raises(ConnectionError):
        fitted(Boxes(), tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "bundle").exists()
    resumed = fitted(Boxes(), tmp_path)
    for file in ("fit/member.safetensors", "bundle/members/0.safetensors"):
        assert (tmp_path / file).read_bytes() == (learnt.parent / file).read_bytes()
    assert history(resumed.parent / "fit")["epoch"].tolist() == list(range(12))


def test_a_batch_holds_truth_masks_and_labels_only_choose_what_is_drawn(tmp_path: Path) -> None:
    cohort = Boxes(8, background=2)
    held = Windows.read(cohort, np.array([1, 3, 6, 7]), CONFIG, tmp_path)
    inputs, truth = held.batch(torch.tensor([1, 2]))
    assert inputs.shape == (2, 2, *GRID)
    assert truth.dtype == torch.int64
    assert np.array_equal(truth.numpy(), cohort.evidence(np.array([3, 6]))[:, 0])
    drawn = [mask for _, masks in Batches(held, replace(RECIPE, per_class=6), seed=0) for mask in masks]
    assert [bool(mask.any()) for mask in drawn].count(True) == 6
    assert len(drawn) == 12


def test_volumes_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Windows.read(Boxes(), np.arange(16), CONFIG, tmp_path)
    monkeypatch.setattr(windows, "POINTS_AT_ONCE", 1)
    pieces = Windows.read(Boxes(), np.arange(16), CONFIG, tmp_path)
    assert torch.equal(whole.inputs, pieces.inputs)
    assert whole.truth is not None
    assert pieces.truth is not None
    assert torch.equal(whole.truth, pieces.truth)


@settings(max_examples=30, deadline=None)
@given(truth=TRUTHS, seed=st.integers(0, 10**6))
def test_losses_and_scores_equal_sums_by_hand(truth: np.ndarray, seed: int) -> None:
    """The oracle goes voxel by voxel in float64."""
    logits = np.random.default_rng(seed).normal(size=(3, 2, 2, 3, 4))
    expected_soft, expected_hard, entropies = [], [], []
    for scores, mask in zip(logits, truth, strict=True):
        probability = 1 / (1 + np.exp(scores[0] - scores[1]))
        soft = 2 * sum(probability[mask]) + 1
        expected_soft.append(soft / (probability.sum() + mask.sum() + 1))
        found = scores[1] > scores[0]
        expected_hard.append(2 * (found & mask).sum() / (found.sum() + mask.sum()) if mask.any() else math.nan)
        entropies.append(-np.where(mask, np.log(probability), np.log(1 - probability)).mean())
    given_logits, given_truth = torch.from_numpy(logits), torch.from_numpy(truth).long()
    assert soft_dice(given_logits, given_truth).numpy() == pytest.approx(np.array(expected_soft))
    assert dice(given_logits, given_truth).numpy() == pytest.approx(np.array(expected_hard), nan_ok=True)
    loss = np.mean(entropies) + 1 - np.mean(expected_soft)
    assert float(dice_cross_entropy(given_logits, given_truth)) == pytest.approx(loss)
    order = torch.tensor([2, 0, 1])
    turned = dice(given_logits[order], given_truth[order])
    assert turned.numpy() == pytest.approx(np.array(expected_hard)[order], nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(lesion=TRUTHS, found=TRUTHS)
def test_overlaps_are_counts_of_voxels(lesion: np.ndarray, found: np.ndarray) -> None:
    pairs = list(zip(found.flat, lesion.flat, strict=True))
    both, either = pairs.count((True, True)), len(pairs) - pairs.count((False, False))
    overlap = Overlap.of(found, lesion)
    assert overlap.dice == pytest.approx(2 * both / (both + either))
    assert overlap.precision == pytest.approx(both / (both + pairs.count((True, False))))
    assert overlap.recall == pytest.approx(both / (both + pairs.count((False, True))))


def test_overlaps_of_nothing_are_undefined() -> None:
    nothing, all_ = np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)
    assert math.isnan(Overlap.of(nothing, nothing).dice)
    missed = Overlap.of(nothing, all_)
    assert (missed.dice, missed.recall) == (0, 0)
    assert math.isnan(missed.precision)
    assert math.isnan(Overlap.of(all_, nothing).recall)


def test_signal_is_what_lies_above_a_channels_minimum() -> None:
    maps = np.array([[[[-1, -1, 3]]], [[[0, 2, 0]]]], np.float32)
    assert with_signal(maps).tolist() == [[[False, True, True]]]


def test_cases_are_tested_on_their_own_grid(learnt: Path) -> None:
    coarse, fine = (segmented_cases(cohort, learnt, [SPLIT]) for cohort in (Boxes(), ScaledBoxes()))
    assert (fine["voxels_true"] == 27 * coarse["voxels_true"]).all()
    pd.testing.assert_series_equal(fine["dice"], fine["dice_grid"], check_names=False)
    pd.testing.assert_frame_equal(coarse.filter(like="dice"), fine.filter(like="dice"))


def test_training_mode_takes_the_statistics_of_the_single_case(learnt: Path) -> None:
    cohort = Boxes()
    before = copy.deepcopy(load_bundle(learnt).members[0].state_dict())
    cases = segmented_cases(cohort, learnt, [SPLIT]).set_index("sample")
    twin = load_bundle(learnt).members[0].train()
    for sample in SPLIT.test[::-1]:  # the other way round: no case may depend on those before it
        with torch.no_grad():
            logits = twin(normalise(torch.from_numpy(cohort.signals([sample])), "minmax"))
        expected = Overlap.of(logits.argmax(1)[0].numpy() == 1, cohort.evidence([sample])[0, 0]).dice
        assert cases.loc[sample, "dice_training_mode"] == pytest.approx(expected)
    assert not cases["dice_training_mode"].equals(cases["dice"])
    after = load_bundle(learnt).members[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_samples_without_lesion_train_but_are_not_tested(tmp_path: Path) -> None:
    cohort = Boxes(16, background=3)
    fit_member(cohort, Parts(SPLIT.test, SPLIT.train, SPLIT.test), CONFIG, replace(RECIPE, epochs=1), tmp_path, seed=1)
    bundle = save_bundle(tmp_path / "bundle", CONFIG, [trained_network(tmp_path, CONFIG)])
    assert segmented_cases(cohort, bundle, [SPLIT])["sample"].tolist() == [12]


def cases_of(dices: dict[tuple[int, int, int], float]) -> pd.DataFrame:
    """Cases from {(member, sample, subject): Dice}."""
    rows = [
        {"member": m, "in_training": False, "sample": sample, "subject": subject, "recording": str(sample),
         "dice": value, "precision": math.nan, "recall": 0.5, "voxels_true": 4, "voxels_found": 0, "dice_grid": value,
         "dice_training_mode": value, "dice_by_chance": 0.1}
        for (m, sample, subject), value in dices.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_subject_is_the_unit() -> None:
    cases = cases_of({(0, 0, 7): 0.2, (0, 1, 7): 0.4, (1, 2, 8): 0.9, (1, 3, 9): 0.6})
    summary, tables = segmentation_tables(cases, [3.0, 5.0])
    assert summary["dice"] == pytest.approx(np.mean([0.3, 0.9, 0.6]))
    assert (summary["samples"], summary["subjects"], summary["members"]) == (4, 3, 2)
    assert tables["members"]["dice"].tolist() == pytest.approx([0.3, 0.75])
    assert summary["dice_mean"] == pytest.approx(0.525)
    assert summary["dice_sd"] == pytest.approx(np.std([0.3, 0.75], ddof=1))
    assert tables["members"]["minutes"].tolist() == [3.0, 5.0]
    assert math.isnan(summary["precision"]), "undefined where nothing is found, not 0"
    assert summary["nothing_found"] == 4
    again, _ = segmentation_tables(cases.sample(frac=1, random_state=0), [3.0, 5.0])
    assert again == pytest.approx(summary, nan_ok=True)


def test_the_interval_is_a_bootstrap_over_subjects() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 40)
    summary, _ = segmentation_tables(cases_of({(0, n, n): v for n, v in enumerate(values)}), [1.0])
    width = summary["dice_ci_high"] - summary["dice_ci_low"]
    assert width == pytest.approx(2 * 1.96 * values.std() / math.sqrt(40), rel=0.15)
    assert summary["dice_ci_low"] < values.mean() < summary["dice_ci_high"]
    two, _ = segmentation_tables(cases_of({(0, 0, 0): 0.7, (0, 1, 1): 0.8}), [1.0])
    assert math.isnan(two["dice_ci_low"]), "two subjects give no interval"
    assert math.isnan(two["dice_ci_high"])


def test_wrong_arguments_are_named(learnt: Path, tmp_path: Path) -> None:
    def refused(message: str, recipe=RECIPE, config=CONFIG) -> None:
        with pytest.raises(ValueError, match=message):
            fit_member(Boxes(), SPLIT, config, recipe, tmp_path, seed=1)
        assert not list(tmp_path.glob("*.safetensors"))

    refused("expected 'validation_loss' or 'validation_dice'", replace(RECIPE, monitor="validation_accuracy"))
    refused("class_weights is 'balanced'; expected 'none'", replace(RECIPE, class_weights="balanced"))
    classes = replace(CONFIG, task="classification")
    refused("loss is 'dice_cross_entropy'; expected 'cross_entropy' for a classification", config=classes)
    taller = replace(CONFIG, volume=(7, 12, 10))
    refused(r"shape \(2, 6, 12, 10\); expected \(channel, depth, height, width\) = \(2, 7, 12, 10\)", config=taller)
    with pytest.raises(ValueError, match="splits has 2 entries; expected one per member, 1"):
        segmented_cases(Boxes(), learnt, [SPLIT, SPLIT])


def test_validation_without_any_lesion_cannot_choose_an_epoch_by_dice(tmp_path: Path) -> None:
    cohort = Boxes(16, background=6)
    with pytest.raises(RuntimeError, match="validation_dice was not finite in any of 2 epochs"):
        fit_member(cohort, SPLIT, CONFIG, replace(RECIPE, epochs=2), tmp_path, seed=1)


def test_the_papers_recipe_trains_with_its_head_and_batches_of_one(tmp_path: Path) -> None:
    config = replace(CONFIG, arguments={**CONFIG.arguments, "head": "paper"})
    recipe = replace(RECIPE, loss="cross_entropy", monitor="validation_loss", batch_size=1, betas=(0.5, 0.9), epochs=2)
    fit_member(Boxes(), SPLIT, config, recipe, tmp_path / "paper", seed=1)
    usual = replace(recipe, betas=(0.9, 0.999))
    fit_member(Boxes(), SPLIT, config, usual, tmp_path / "usual", seed=1)
    weights = [(tmp_path / name / "member.safetensors").read_bytes() for name in ("paper", "usual")]
    assert weights[0] != weights[1], "the betas reach Adam"
    losses = history(tmp_path / "paper")["validation_loss"]
    assert losses.iloc[1] < losses.iloc[0]
    network = build_network("unet3d", **config.arguments)
    assert not torch.equal(network.out.weight, trained_network(tmp_path / "paper", config).out.weight)
