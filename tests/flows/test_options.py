"""The options that a study declares: who may choose them, what they change, and that a version remembers them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from installation import STUDY

from flows.catalogue import STUDIES, leading_studies, study_named
from flows.train import plan_training
from models.bundle import load_bundle
from tasks.cohorts.build import build_cohort
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.store import Cohort
from tasks.errors import UsageError
from tasks.evaluating.evaluation import version_options
from tasks.settings import Settings
from tasks.training.fitting import assemble, fit


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "records"
    write_phantom(folder, subjects=4, seed=3, beats_per_class=2)
    return folder


def built(records, root, monkeypatch, **options: str):
    """Study, cohort and training of the options; nothing is trained."""
    monkeypatch.setenv("PLUMBLINE_HOME", str(root))
    study = study_named(STUDY).with_options(options)
    cohort = Cohort.open(build_cohort.fn(study.name, records, study.read, Settings().root))
    return study, cohort, plan_training(study, cohort, None, "quick", "corrected")


def test_defaults_change_nothing(records, tmp_path, monkeypatch) -> None:
    _, bare, training = built(records, tmp_path, monkeypatch)
    study, cohort, same = built(records, tmp_path, monkeypatch, v_class="V", normalisation="zscore")
    assert study.chosen == {}
    assert cohort.path == bare.path
    assert same.key == training.key
    assert training.options == {}


def test_another_class_is_another_cohort_and_another_training(records, tmp_path, monkeypatch) -> None:
    _, bare, training = built(records, tmp_path, monkeypatch)
    _, cohort, other = built(records, tmp_path, monkeypatch, v_class="!")
    assert cohort.classes == ("normal", "LBBB", "RBBB", "paced", "flutter")
    assert len(cohort) == len(bare) * 4 // 5
    assert cohort.digest != bare.digest
    assert other.key != training.key
    assert other.bundle_config().options == {"v_class": "!"}


def test_another_normalisation_is_another_training_of_the_same_cohort(records, tmp_path, monkeypatch) -> None:
    _, bare, training = built(records, tmp_path, monkeypatch)
    _, cohort, other = built(records, tmp_path, monkeypatch, normalisation="minmax")
    assert cohort.path == bare.path
    assert other.key != training.key
    assert other.bundle_config().normalisation == "minmax"
    assert other.bundle_config().options == {"normalisation": "minmax"}


@pytest.mark.parametrize("options", [{"v_class": "X"}, {"volume": "11"}, {"v_class": "!", "normalisation": "none"}])
def test_what_is_not_allowed_is_named_with_what_is(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"expected v_class=V\|!, normalisation=zscore\|minmax\.$"):
        study_named(STUDY).with_options(options)


@pytest.mark.parametrize("name", sorted(name for name, study in STUDIES.items() if not study.options))
def test_a_study_without_options_leaves_nothing_to_choose(name: str) -> None:
    with pytest.raises(UsageError, match="none"):
        STUDIES[name].with_options({"normalisation": "minmax"})


def test_long_kernels_change_the_network_and_nothing_else() -> None:
    study = study_named("sleep-stages")
    long = study.with_options({"kernels": "long"})
    assert long.network_arguments(long.full, "corrected") == {"width": 16, "kernels": (5, 51, 51)}
    assert study.network_arguments(study.full, "corrected") == {"width": 16}
    assert long.read is study.read
    assert study.with_options({"kernels": "paper"}).chosen == {}


def test_a_network_may_be_trained_as_its_first_authors_did_and_reads_the_same_windows() -> None:
    study = study_named("ecg-rhythms-hannun")
    own = study.with_options({"training": "own"})
    assert (study.recipe(study.full, "corrected").optimiser, own.recipe(own.full, "corrected").optimiser) == (
        "sgd",
        "adam",
    )
    assert own.recipe(own.full, "paper").batch_size == 128
    assert own.read is study.read
    clinical, table1 = study.read, study.with_options({"build": "table1"}).read
    assert table1.keywords == {**clinical.keywords, "build": "table1"}


def test_companions_read_the_recordings_of_the_study_that_leads_them() -> None:
    leading = leading_studies()
    for study in STUDIES.values():
        for companion in map(study_named, study.companions.values()):
            assert companion.name not in leading
            assert companion.source == study.name
            assert set(study.options) <= set(companion.options), "options are handed on to companions"
            assert companion.phantom.reading == study.phantom.reading
            assert (companion.phantom.folds, companion.phantom.per_cell) == (
                study.phantom.folds,
                study.phantom.per_cell,
            )
    assert len(leading) == 9


def test_a_version_that_was_registered_before_there_were_options_has_none(tmp_path) -> None:
    (tmp_path / "version.json").write_text(json.dumps({"mode": "corrected"}))
    assert version_options(tmp_path) == {}


def test_a_version_trained_on_minmax_remembers_it(records, tmp_path, monkeypatch) -> None:
    short = study_named(STUDY)
    plan = short.phantom.model_copy(update={"recipe": replace(short.phantom.recipe, epochs=1, per_class=8)})
    monkeypatch.setitem(STUDIES, STUDY, short.model_copy(update={"phantom": plan}))
    _, _, training = built(records, tmp_path, monkeypatch, normalisation="minmax")
    for member in range(training.members):
        fit.fn(training, member)
    assemble.fn(training)
    bundle = load_bundle(training.bundle)
    normalised = bundle.normalise(torch.tensor([[[-1.0, 3.0, 1.0]]]))
    assert normalised.tolist() == [[[0.0, 1.0, 0.5]]]
    assert version_options(training.bundle) == {"normalisation": "minmax"}
    assert study_named(STUDY).with_options(version_options(training.bundle)).normalisation == "minmax"
