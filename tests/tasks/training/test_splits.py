"""Splits: nobody is on both sides, everybody is tested once, rare classes are spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit

from tasks.training.splits import (
    Split,
    class_draws,
    provided_splits,
    random_splits,
    scarce_classes,
    split_table,
    subject_draws,
    subject_folds,
    training_cases,
)


def table(subjects: list[dict[int, int]]) -> pd.DataFrame:
    """The sample table of subjects given as {label: samples}."""
    rows = [
        (ordinal, label)
        for ordinal, counts in enumerate(subjects)
        for label, count in counts.items()
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["subject", "label"]).rename_axis("sample")


COHORTS = st.lists(st.dictionaries(st.integers(0, 4), st.integers(1, 40), min_size=1), min_size=6, max_size=25).map(
    table
)


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


def same(one: list[Split], other: list[Split]) -> bool:
    flat = [[part for split in splits for part in parts(split)] for splits in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*flat, strict=True))


def test_random_split_has_the_papers_proportions():
    samples = table([{0: 400}, {1: 600}])
    splits = random_splits(samples, 10, seed=3)
    for split in splits:
        assert [len(part) for part in parts(split)] == [500, 100, 400]
        assert sorted(np.concatenate(parts(split))) == list(range(1000))
    assert not same(splits[:1], splits[1:2])
    assert same(splits[:4], random_splits(samples, 4, seed=3))
    assert not same(splits, random_splits(samples, 10, seed=4))


def test_random_split_ignores_order_of_rows_and_needs_enough():
    samples = table([{0: 30}, {1: 31}])
    assert same(random_splits(samples, 2, 0), random_splits(samples.sample(frac=1, random_state=0), 2, 0))
    with pytest.raises(ValueError, match="9 rows; expected 10"):
        random_splits(table([{0: 9}]), 1, 0)
    with pytest.raises(ValueError, match="trials is 0"):
        random_splits(samples, 0, 0)


@settings(max_examples=40, deadline=None)
@given(samples=COHORTS, folds=st.integers(2, 3), seed=st.integers(0, 99))
def test_folds_keep_subjects_apart_and_test_each_once(samples, folds, seed):
    splits = subject_folds(samples, folds, seed)
    subject = samples["subject"].to_numpy()
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == list(samples.index)
    for split in splits:
        sets = [set(subject[part]) for part in parts(split)]
        assert all(sets)
        assert sum(map(len, sets)) == len(set(subject)) == len(set.union(*sets))
        assert sorted(np.concatenate(parts(split))) == list(samples.index)
    sizes = [len(set(subject[split.test])) for split in splits]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=20, deadline=None)
@given(samples=COHORTS, seed=st.integers(0, 99))
def test_folds_depend_on_ordinals_labels_and_seed_only(samples, seed):
    shuffled = samples.sample(frac=1, random_state=seed).assign(recording="x")
    assert same(subject_folds(samples, 2, seed), subject_folds(shuffled, 2, seed))


@settings(max_examples=40, deadline=None)
@given(samples=COHORTS, seed=st.integers(0, 99))
def test_validation_never_takes_the_last_training_subject_of_a_class_it_could_leave(samples, seed):
    subject, label = samples["subject"].to_numpy(), samples["label"].to_numpy()
    for split in subject_folds(samples, 2, seed):
        rest = np.concatenate([split.train, split.validation])
        alone = [k for k in np.unique(label[rest]) if len(set(subject[rest][label[rest] == k])) == 1]
        owners = {s for k in alone for s in subject[rest][label[rest] == k]}
        if owners != set(subject[rest]):
            assert set(label[split.train]) == set(label[rest])


@pytest.mark.parametrize("carriers", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_spread_over_the_folds(carriers, seed):
    samples = table([{0: 50, 1: 20} if i % 7 == 0 and i < 7 * carriers else {0: 50} for i in range(37)])
    splits = subject_folds(samples, 2, seed)
    subject, label = samples["subject"].to_numpy(), samples["label"].to_numpy()
    tested = [len(set(subject[split.test][label[split.test] == 1])) for split in splits]
    assert sorted(tested) == [carriers // 2, (carriers + 1) // 2]
    for split, here in zip(splits, tested, strict=True):
        trained = len(set(subject[split.train][label[split.train] == 1]))
        assert trained >= min(2, carriers - here)


@pytest.mark.parametrize("seed", range(8))
def test_two_rare_classes_are_both_in_every_fold(seed):
    samples = table([{0: 50, 1: 9}, {0: 50, 1: 9}, {0: 50, 2: 9}, {0: 50, 2: 9}] + [{0: 50}] * 8)
    for split in subject_folds(samples, 2, seed):
        assert set(samples["label"][split.test]) == {0, 1, 2}


def test_equal_subjects_give_equal_folds_and_some_validate():
    samples = table([dict.fromkeys(range(5), 15)] * 24)
    splits = subject_folds(samples, 2, 0)
    assert [len(split.test) for split in splits] == [900, 900]
    assert [len(split.validation) for split in splits] == [150, 150]
    assert not same(splits, subject_folds(samples, 2, 1))


def test_too_few_subjects_or_folds_are_named():
    with pytest.raises(ValueError, match="1 subjects; expected 2 or more for 2 folds"):
        subject_folds(table([{0: 9}]), 2, 0)
    with pytest.raises(ValueError, match="subject 1 trains alone and has 1 samples; expected two or more of a class"):
        subject_folds(table([{0: 1}] * 2), 2, 0)
    with pytest.raises(ValueError, match="5 subjects; expected 6 or more for 6 folds"):
        subject_folds(table([{0: 9}] * 5), 6, 0)
    with pytest.raises(ValueError, match="folds is 1"):
        subject_folds(table([{0: 9}] * 3), 1, 0)
    assert len(subject_folds(table([{0: 9}] * 4), 2, 0)) == 2


def test_scarce_classes_are_named_with_their_subjects():
    samples = table([{0: 5, 1: 100}, {0: 5, 2: 1}, {0: 5, 2: 3}])
    assert scarce_classes(samples, ("a", "b", "c", "d")) == {"b": 1, "c": 2, "d": 0}
    assert scarce_classes(samples, ("a", "b", "c"), minimum=2) == {"b": 1}


def test_the_table_lists_every_sample_of_every_member_once():
    samples = table([{0: 3, 1: 2}] * 6)
    splits = subject_folds(samples, 3, 0)
    listed = split_table(splits)
    assert list(listed.columns) == ["sample", "member", "part"]
    assert len(listed) == 3 * len(samples) == len(listed.drop_duplicates(["sample", "member"]))
    one = listed.query("member == 1 and part == 'test'")["sample"]
    np.testing.assert_array_equal(np.sort(one), splits[1].test)


def test_a_sources_own_split_is_kept_and_only_validation_is_drawn():
    samples = pd.DataFrame({"subject": range(60), "label": [0, 1, 1] * 20, "part": ["train"] * 40 + ["test"] * 20})
    first, second = provided_splits(samples, trials=2, seed=3)
    for split in (first, second):
        assert split.test.tolist() == list(range(40, 60))
        assert sorted([*split.train, *split.validation]) == list(range(40))
        assert set(samples.loc[split.validation, "label"]) == {0, 1}
        assert 4 <= len(split.validation) <= 6
    assert first.validation.tolist() != second.validation.tolist()
    with pytest.raises(ValueError, match=r"part holds \['train'\]; expected both"):
        provided_splits(samples[:40], trials=1, seed=3)


@pytest.fixture
def nights(real_data) -> pd.DataFrame:
    """The real table of paper 3's 44 recordings, 9 epochs each, as the sample table of a cohort."""
    records = pd.read_csv(real_data("sleep-edf-tables") / "temazepam_records.csv")
    samples = records.loc[records.index.repeat(9), ["subject"]].reset_index(drop=True)
    return samples.assign(label=np.arange(len(samples)) % 5).rename_axis("sample")


def subjects_of(samples: pd.DataFrame, part: np.ndarray) -> list[int]:
    return sorted(samples.loc[part, "subject"].unique().tolist())


def test_ten_draws_of_the_real_subjects_are_the_papers(nights):
    splits = subject_draws(nights, 10, seed=0)
    for split in splits:
        assert [len(subjects_of(nights, part)) for part in parts(split)] == [17, 2, 3]
        assert sorted(np.concatenate(parts(split))) == list(nights.index)
    tested = np.bincount([who for split in splits for who in subjects_of(nights, split.test)], minlength=22)
    assert (tested == 0).sum() == 6
    assert tested.max() == 4
    assert (tested == 4).sum() == 1


def test_draws_are_those_of_the_papers_calls_on_every_epoch(nights):
    """The calls as the paper's code makes them, on whole epochs instead of subjects."""
    rows, groups = nights.index.to_numpy(), nights["subject"].to_numpy()
    outer = GroupShuffleSplit(n_splits=10, test_size=0.1, random_state=0).split(rows, groups=groups)
    for (rest, test), split in zip(outer, subject_draws(nights, 10, seed=0), strict=True):
        inner = GroupShuffleSplit(n_splits=1, test_size=0.1, random_state=0)
        train, validation = next(inner.split(rest, groups=groups[rest]))
        np.testing.assert_array_equal(split.test, test)
        np.testing.assert_array_equal(split.train, rest[train])
        np.testing.assert_array_equal(split.validation, rest[validation])


def test_fewer_draws_are_the_first_of_more():
    samples = table([{0: 3, 1: 2}] * 9)
    assert same(subject_draws(samples, 3, 0), subject_draws(samples, 10, 0)[:3])
    assert not same(subject_draws(samples, 3, 0), subject_draws(samples, 3, 1))
    with pytest.raises(ValueError, match="2 subjects; expected 3"):
        subject_draws(table([{0: 9}] * 2), 1, 0)
    with pytest.raises(ValueError, match="draws is 0"):
        subject_draws(samples, 0, 0)


def test_eleven_folds_of_the_real_subjects_are_a_partition(nights):
    splits = subject_folds(nights, 11, seed=0)
    for split in splits:
        assert [len(subjects_of(nights, part)) for part in parts(split)] == [17, 3, 2]
    assert sorted(who for split in splits for who in subjects_of(nights, split.test)) == list(range(22))


def test_as_many_folds_as_subjects_leave_one_out():
    samples = table([{0: 20, 1: 5 + k} for k in range(6)])
    splits = subject_folds(samples, 6, 0)
    assert sorted(who for split in splits for who in subjects_of(samples, split.test)) == list(range(6))
    for split in splits:
        assert [len(subjects_of(samples, part)) for part in parts(split)] == [4, 1, 1]


@given(
    patients=st.lists(st.dictionaries(st.integers(0, 1), st.integers(2, 30), min_size=1), min_size=2, max_size=3),
    seed=st.integers(0, 9),
)
@settings(max_examples=30, deadline=None)
def test_a_patient_left_alone_trains_and_validates_on_its_own_samples(patients, seed):
    samples = table(patients)
    splits = subject_folds(samples, 2, seed)
    assert sorted(np.concatenate([split.test for split in splits])) == list(samples.index)
    for split in splits:
        assert sorted(np.concatenate(parts(split))) == list(samples.index)
        left = set(subjects_of(samples, split.train)) | set(subjects_of(samples, split.validation))
        assert left.isdisjoint(subjects_of(samples, split.test))
        if len(left) > 1:
            continue
        own = samples[samples["subject"] == left.pop()]
        assert set(own.loc[split.train, "label"]) == set(own.loc[split.validation, "label"]) == set(own["label"])
        for _, of_class in own.groupby("label"):
            validating = np.intersect1d(split.validation, of_class.index)
            assert list(validating) == list(of_class.index[-len(validating) :]), "the last ones"
            assert 1 <= len(validating) <= max(1, round(0.15 * len(of_class)))


def test_folds_of_a_cohort_with_one_label_are_even():
    samples = table([{1: 1}] * 9)
    assert sorted(len(split.test) for split in subject_folds(samples, 2, 0)) == [4, 5]
    assert [len(part) for part in parts(subject_folds(samples, 3, 0)[0])] == [5, 1, 3]


def test_training_cases_are_all_in_every_part_of_every_trial():
    samples = table([{1: 1}] * 5).sample(frac=1, random_state=0)
    first, second = training_cases(samples, 2)
    for part in (*parts(first), *parts(second)):
        assert part.tolist() == [0, 1, 2, 3, 4]
    assert len(split_table([first, second])) == 2 * 3 * 5
    with pytest.raises(ValueError, match="trials is 0"):
        training_cases(samples, 0)
    with pytest.raises(ValueError, match="samples has 0 rows"):
        training_cases(samples[:0], 1)


@given(folds=st.integers(2, 7), more=st.integers(0, 3), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_every_part_of_every_fold_has_a_subject(folds, more, seed):
    samples = table([{0: 3}] * ((4 if folds == 2 else folds) + more))
    for split in subject_folds(samples, folds, seed):
        assert all(len(part) for part in parts(split))


def test_class_draws_train_on_equally_many_of_each_class_and_test_on_all_the_rest():
    labels = np.repeat([0, 1, 2], [9_000, 3_287, 40])
    samples = pd.DataFrame({"label": labels, "subject": np.arange(len(labels)) % 7})
    splits = class_draws(samples, 2, seed=0)
    for split in splits:
        seen = np.concatenate([split.train, split.validation])
        assert np.bincount(labels[seen]).tolist() == [3_200, 2_629, 32]
        assert np.bincount(labels[split.validation]).tolist() == [320, 262, 3]
        parts = np.concatenate([split.train, split.validation, split.test])
        assert sorted(parts) == samples.index.tolist()
    assert not np.array_equal(splits[0].test, splits[1].test)
    mixed = samples.sample(frac=1, random_state=1)
    assert np.array_equal(class_draws(mixed, 1, seed=0)[0].train, splits[0].train)


def test_class_draws_train_on_a_class_of_one_and_refuse_nothing_at_all():
    samples = pd.DataFrame({"label": [0] * 9 + [1, 2, 2], "subject": 0})
    (split,) = class_draws(samples, 1, seed=0)
    labels = samples["label"].to_numpy()
    assert np.bincount(labels[split.train], minlength=3).tolist() == [6, 1, 1]
    assert np.bincount(labels[split.validation], minlength=3).tolist() == [1, 0, 0]
    assert np.bincount(labels[split.test], minlength=3).tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="samples has 0 rows"):
        class_draws(samples.iloc[:0], 1, seed=0)
    with pytest.raises(ValueError, match="trials is 0"):
        class_draws(samples, 0, seed=0)
