"""Which samples train, validate and test a model.

Splits are made on positions, ordinals and labels only, never on names or their hashes, so that two
installations with different keys split alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

Samples = NDArray[np.int64]
PaperSplit = Literal["samples", "classes", "subjects", "training"]
"""How a paper split: at random, `random_splits`, `class_draws` or `subject_draws`, or not at all, `training_cases`."""
DRAWN_OF_A_CLASS = 3_200
"""Training samples of each class in paper 2."""
_VALIDATION_SHARE = 0.15
"""Of the training subjects."""
_PROVIDED_VALIDATION_SHARE = 0.1
"""Of each class of a source's own training part."""


@dataclass(frozen=True)
class Split:
    """Sample numbers of the three parts, each sorted; no sample is in two, but those of `training_cases` in all."""

    train: Samples
    validation: Samples
    test: Samples


def random_splits(samples: pd.DataFrame, trials: int, seed: int) -> list[Split]:
    """The split of van der Westhuizen & Lasenby (2017): random by sample, 50:40:10 train:test:validation.

    Beats of one subject fall on both sides; only the mode `paper` uses it. ``samples`` is the cohort's sample
    table. Raises ValueError when there are fewer than 10 samples or less than one trial.
    """
    numbers = np.sort(samples.index.to_numpy(np.int64))
    if trials < 1:
        raise ValueError(f"trials is {trials}; expected 1 or more.")
    if len(numbers) < 10:
        raise ValueError(f"samples has {len(numbers)} rows; expected 10 or more.")
    train, test = round(0.5 * len(numbers)), round(0.9 * len(numbers))
    splits = []
    for trial in range(trials):
        order = np.random.default_rng([seed, trial]).permutation(numbers)
        parts = (order[:train], order[test:], order[train:test])
        splits.append(Split(*(np.sort(part) for part in parts)))
    return splits


def class_draws(samples: pd.DataFrame, trials: int, seed: int) -> list[Split]:
    """The split of Vijayarangan et al. (2020): at random 3,200 samples of each class train, all the rest tests.

    Of a class with fewer, four fifths train, at least one. A tenth of what trains validates, at least one of two; the
    paper names no validation. Windows of one person, even overlapping ones, fall on both sides; only the mode `paper`
    uses it. ``samples`` has the column label. Raises ValueError when there is less than one trial or no sample.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}; expected 1 or more.")
    if not len(samples):
        raise ValueError("samples has 0 rows; expected 1 or more.")
    sizes = samples.groupby("label").size()
    training = (sizes * 4 // 5).clip(1, DRAWN_OF_A_CLASS)
    splits = []
    for trial in range(trials):
        shuffled = samples.sort_index().sample(frac=1.0, random_state=np.random.default_rng([seed, trial]))
        rank, drawn = shuffled.groupby("label").cumcount(), shuffled["label"].map(training)
        validating = (rank < np.maximum(1, drawn // 10)) & (drawn > 1)
        numbers = shuffled.index.to_numpy(np.int64)
        parts = (numbers[(rank < drawn) & ~validating], numbers[validating], numbers[rank >= drawn])
        splits.append(Split(*(np.sort(part) for part in parts)))
    return splits


def subject_draws(samples: pd.DataFrame, draws: int, seed: int) -> list[Split]:
    """The "folds" of Ellis et al. (2021): in every draw a tenth of the subjects tests, a tenth of the rest validates.

    The calls are those of github.com/cae67/Pretraining: scikit-learn's `GroupShuffleSplit`, and again inside, both
    with ``seed`` (theirs is 0). Draws are no partition: of 22 subjects ten draws test some never and others several
    times, so only the mode `paper` uses them. ``samples`` has the column subject (ordinal). Raises ValueError when
    there is less than one draw or fewer than 3 subjects.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected 1 or more.")
    subjects = np.unique(samples["subject"].to_numpy())
    if len(subjects) < 3:
        raise ValueError(f"samples has {len(subjects)} subjects; expected 3 or more, one for each part.")
    index = pd.Index(subjects)
    splits = []
    for training, test in GroupShuffleSplit(draws, test_size=0.1, random_state=seed).split(index, groups=index):
        inner = GroupShuffleSplit(1, test_size=0.1, random_state=seed)
        _, validation = next(inner.split(training, groups=training))
        roles = np.full(len(subjects), "train", dtype=object)
        roles[test], roles[training[validation]] = "test", "validation"
        splits.append(_by_role(samples, index, roles))
    return splits


def training_cases(samples: pd.DataFrame, trials: int) -> list[Split]:
    """No split, as Tjoa et al. (2020) have none: every trial trains, validates and tests on all samples.

    Trials then differ by their seed only, and what they reach says nothing about new patients, so only the mode
    `paper` uses it. ValueError when there is less than one trial or no sample.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}; expected 1 or more.")
    if not len(samples):
        raise ValueError("samples has 0 rows; expected 1 or more.")
    every = np.sort(samples.index.to_numpy(np.int64))
    return [Split(every, every, every) for _ in range(trials)]


def provided_splits(samples: pd.DataFrame, trials: int, seed: int) -> list[Split]:
    """The split that the source itself names, in the column ``part`` ("train" or "test") of ``samples``.

    Every trial tests on the whole test part and draws its own 10 % of the training part, class by class, to
    validate. Raises ValueError where a sample is in neither part, or one part is empty.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}; expected 1 or more.")
    parts = set(samples["part"].unique())
    if parts != {"train", "test"}:
        raise ValueError(f"part holds {sorted(map(str, parts))}; expected both 'train' and 'test'.")
    test = np.sort(samples.index[samples["part"] == "test"].to_numpy(np.int64))
    training = samples[samples["part"] == "train"]
    splits = []
    for trial in range(trials):
        shuffled = training.sample(frac=1.0, random_state=np.random.default_rng([seed, trial]))
        rank, size = shuffled.groupby("label").cumcount(), shuffled.groupby("label")["label"].transform("size")
        validating = rank < (_PROVIDED_VALIDATION_SHARE * size).clip(lower=1)
        chosen = shuffled.index.to_numpy(np.int64)
        splits.append(Split(np.sort(chosen[~validating]), np.sort(chosen[validating]), test))
    return splits


def subject_folds(samples: pd.DataFrame, folds: int, seed: int) -> list[Split]:
    """Folds by subject: every subject is tested exactly once, and never trains where it is tested.

    ``samples`` has the columns subject (ordinal) and label. Folds differ by one subject at most; within that,
    each class is spread over them, by samples and by subjects, as evenly as a greedy choice finds, subjects
    with rare classes first. About 15 % of the other subjects validate; a class keeps two training subjects if
    it can. With as many folds as subjects each fold leaves one subject out. Where a fold leaves one subject only to
    train, the last samples of each of its classes validate: that flatters the choice of the epoch, not the test.
    Raises ValueError when there are fewer than two folds, fewer subjects than folds, or a subject that trains alone
    has no two samples of any class.
    """
    counts = pd.crosstab(samples["subject"], samples["label"]).sort_index()
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected 2 or more.")
    if len(counts) < folds:
        raise ValueError(f"samples has {len(counts)} subjects; expected {folds} or more for {folds} folds.")
    table = counts.to_numpy(np.float64)
    rng = np.random.default_rng(seed)
    fold = _assign(table, folds, rng)
    splits = []
    for number in range(folds):
        training = np.flatnonzero(fold != number)
        if len(training) == 1:
            splits.append(_within_one(samples, counts.index[training[0]]))
            continue
        validating = training[_validators(table[training], rng)]
        roles = np.full(len(table), "train", dtype=object)
        roles[validating], roles[fold == number] = "validation", "test"
        splits.append(_by_role(samples, counts.index, roles))
    return splits


def split_table(splits: Sequence[Split]) -> pd.DataFrame:
    """Long table (sample, member, part): what each member of a version has seen of each sample."""
    rows = [
        pd.DataFrame({"sample": getattr(split, part), "member": member, "part": part})
        for member, split in enumerate(splits)
        for part in ("train", "validation", "test")
    ]
    return pd.concat(rows, ignore_index=True)


def scarce_classes(samples: pd.DataFrame, classes: Sequence[str], minimum: int = 3) -> dict[str, int]:
    """Classes with fewer than ``minimum`` subjects, and how many they have; no inference is made on them."""
    subjects = samples.groupby("label")["subject"].nunique()
    found = {name: int(subjects.get(label, 0)) for label, name in enumerate(classes)}
    return {name: count for name, count in found.items() if count < minimum}


def _within_one(samples: pd.DataFrame, subject: int) -> Split:
    """One subject trains and validates, class by class on its last samples; all others are tested."""
    own = samples[samples["subject"] == subject].sort_index()
    left, size = own.groupby("label").cumcount(ascending=False), own.groupby("label")["label"].transform("size")
    validating = (left < (_VALIDATION_SHARE * size).round().clip(lower=1)) & (size > 1)
    if not validating.any():
        raise ValueError(
            f"subject {subject} trains alone and has {len(own)} samples; expected two or more of a class, "
            "one of them to validate, or more subjects."
        )
    numbers = own.index.to_numpy(np.int64)
    others = samples.index[samples["subject"] != subject].to_numpy(np.int64)
    return Split(numbers[~validating], numbers[validating], np.sort(others))


def _shares(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each subject's share of every class's samples and of its subjects, (subject, 2 * class)."""
    both = np.hstack([table, table > 0])
    return both / both.sum(axis=0)


def _assign(table: NDArray[np.float64], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of every subject: one by one, into the fold that leaves the classes most even."""
    shares = _shares(table)
    carriers = (table > 0).sum(axis=0)
    rarity = np.where(table > 0, 1.0 / carriers, 0.0).max(axis=1)
    order = np.lexsort((rng.random(len(table)), -shares.max(axis=1), -rarity))
    load, sizes = np.zeros((folds, shares.shape[1])), np.zeros(folds, dtype=np.int64)
    small, larger_folds = divmod(len(table), folds)
    fold = np.empty(len(table), dtype=np.int64)
    for subject in order:
        open_folds = sizes < small + (int((sizes > small).sum()) < larger_folds)
        # The growth of the sum of squared loads: smallest where this subject's classes are missing.
        growth = load @ shares[subject] + 1e-3 * sizes / len(table) + 1e-9 * rng.random(folds)
        chosen = int(np.argmin(np.where(open_folds, growth, np.inf)))
        fold[subject] = chosen
        load[chosen] += shares[subject]
        sizes[chosen] += 1
    return fold


def _validators(table: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the subjects that validate, at least one: those that bring classes not yet validated."""
    wanted = max(1, round(_VALIDATION_SHARE * len(table)))
    remaining = np.arange(len(table))
    chosen: list[int] = []
    while len(chosen) < wanted:
        left = np.array([_classes_left(table, chosen, int(subject)) for subject in remaining])
        seen = (table[chosen] > 0).any(axis=0)
        news = ((table[remaining] > 0) & ~seen).sum(axis=1)
        best = remaining[np.lexsort((rng.random(len(remaining)), -news, left))[0]]
        if chosen and left[remaining == best][0] > 0:
            break
        chosen.append(int(best))
        remaining = remaining[remaining != best]
    return np.array(chosen)


def _classes_left(table: NDArray[np.float64], chosen: list[int], subject: int) -> int:
    """How much training loses if the subject validates too: classes left with one subject, or with none."""
    training = np.delete(table, [*chosen, subject], axis=0)
    carriers = (training > 0).sum(axis=0)
    touched = table[subject] > 0
    return int((touched & (carriers == 1)).sum() + 100 * (touched & (carriers == 0)).sum())


def _by_role(samples: pd.DataFrame, subjects: pd.Index, roles: NDArray[np.object_]) -> Split:
    role = pd.Series(roles, index=subjects).reindex(samples["subject"]).to_numpy()
    numbers = samples.index.to_numpy(np.int64)
    return Split(*(np.sort(numbers[role == part]) for part in ("train", "validation", "test")))
