"""Falls in accuracy against scikit-learn, and the distance of ablated inputs from the training set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestNeighbors

from xai.methods.ablation import Ablation
from xai.quality.ablation_effects import global_effects
from xai.quality.training_distance import POWER_FLOOR, distance_from_training, spectral_features


def a_case(subjects: int = 8) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Logits of a good classifier whose first channel matters and whose second does not."""
    generator = torch.Generator().manual_seed(subjects)
    labels = torch.randint(0, 3, (subjects * 20,), generator=generator)
    good = 3 * torch.nn.functional.one_hot(labels, 3) + torch.randn(len(labels), 3, generator=generator)
    blind = torch.randn(len(labels), 3, generator=generator)
    return torch.stack([good, blind, good]), labels, [f"s{number // 20}" for number in range(len(labels))]


def test_falls_in_accuracy_equal_scikit_learn() -> None:
    logits, labels, subjects = a_case()
    found = global_effects(logits, labels, subjects, ["eeg", "emg"], resamples=500).set_index(["channel", "metric"])
    guesses = logits.argmax(dim=2).numpy()
    intact, ablated = (balanced_accuracy_score(labels, guess) for guess in guesses[:2])
    row = found.loc[("eeg", "balanced_accuracy")]
    assert [row["intact"], row["ablated"], row["drop"]] == pytest.approx([intact, ablated, intact - ablated])
    plain = found.loc[("eeg", "accuracy")]
    assert plain["drop"] == pytest.approx(np.mean(guesses[0] == labels.numpy()) - np.mean(guesses[1] == labels.numpy()))
    assert 0 < plain["ci_low"] < plain["drop"] < plain["ci_high"]
    assert found.loc["emg"][["drop", "ci_low", "ci_high"]].to_numpy().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert plain["n_subjects"] == 8


def test_the_order_of_samples_does_not_matter_and_two_subjects_have_no_interval() -> None:
    logits, labels, subjects = a_case()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    shuffled = global_effects(logits[:, order], labels[order], [subjects[i] for i in order], ["a", "b"], resamples=200)
    np.testing.assert_array_equal(
        shuffled["ci_low"], global_effects(logits, labels, subjects, ["a", "b"], resamples=200)["ci_low"]
    )
    few = global_effects(*a_case(2), ["a", "b"])
    assert few["drop"].notna().all()
    assert few[["ci_low", "ci_high"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="expected 2 names"):
        global_effects(logits, labels, subjects, ["a"])


def test_a_class_that_never_occurs_does_not_count() -> None:
    logits, labels, subjects = a_case()
    wider = torch.cat([logits, torch.full((*logits.shape[:2], 1), -9.0)], dim=2)
    first, second = (global_effects(values, labels, subjects, ["a", "b"], resamples=50) for values in (logits, wider))
    np.testing.assert_allclose(first["drop"], second["drop"])


@pytest.mark.parametrize("steps", [200, 201])
def test_bands_add_up_to_the_mean_square(steps: int) -> None:
    inputs = torch.randn(4, 2, steps, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    power = (10 ** spectral_features(inputs).view(4, 2, -1) - POWER_FLOOR).sum(dim=2)
    torch.testing.assert_close(power, inputs.square().mean(dim=2))


def test_a_tone_lies_in_its_octave() -> None:
    tone = torch.sin(2 * torch.pi * 0.2 * torch.arange(1000)).view(1, 1, -1)  # 0.4 of Nyquist: the second octave down
    assert spectral_features(tone)[0].argsort(descending=True)[0] == 4


def test_distances_equal_nearest_neighbours_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    training, held_out, changed = (generator.normal(0, [1, 50, 3], (rows, 3)) for rows in (300, 41, 600))
    found = distance_from_training(*map(torch.from_numpy, (training, held_out, changed)), neighbours=4)
    standard = [(rows - training.mean(axis=0)) / training.std(axis=0) for rows in (training, held_out, changed)]
    search = NearestNeighbors(n_neighbors=4).fit(standard[0])
    distances = [search.kneighbors(rows)[0].mean(axis=1) for rows in standard[1:]]
    np.testing.assert_allclose(found, distances[1] / np.median(distances[0]), rtol=1e-9)


def test_silence_lies_far_off_real_epochs_near_and_nan_nowhere() -> None:
    generator = torch.Generator().manual_seed(2)
    colours = [torch.randn(rows, 3, 300, generator=generator).cumsum(dim=2) * 0.1 for rows in (200, 60, 60)]
    features = [spectral_features(rows) for rows in colours]
    zeroed = spectral_features(Ablation("zero").ablate(colours[2], 0, torch.arange(60)))
    real = distance_from_training(*features)
    assert 0.8 < real.median() < 1.25
    assert distance_from_training(features[0], features[1], zeroed).min() > 3 * real.median()
    features[2][5, 1] = torch.nan
    holes = distance_from_training(*features)
    assert holes.isnan().nonzero().flatten().tolist() == [5]
    torch.testing.assert_close(holes[:5], real[:5])
    assert distance_from_training(features[0], features[0][:5], features[2], neighbours=1).isnan().all()
    with pytest.raises(ValueError, match="neighbours is 10"):
        distance_from_training(features[0][:4], features[1], features[2])
