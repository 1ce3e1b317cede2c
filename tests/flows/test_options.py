"""The options that a study declares: who may choose them, what they change, and that a version remembers them."""

from __future__ import annotations

import json

import pytest
from installation import STUDY, Installation
from support import only

from flows.catalogue import STUDIES, study_named
from flows.train import plan_training
from tasks.cohorts.build import build_cohort
from tasks.cohorts.phantoms.ecg_beats import write_phantom
from tasks.cohorts.store import Cohort
from tasks.errors import UsageError
from tasks.evaluating.evaluation import version_options
from tasks.settings import Settings

TRAIN_BRIEFLY = """
from dataclasses import replace
from flows import catalogue, evaluating, train
short = catalogue.STUDIES["{study}"]
plan = short.phantom.model_copy(update={{"recipe": replace(short.phantom.recipe, epochs=2, per_class=20)}})
catalogue.STUDIES["{study}"] = short.model_copy(update={{"phantom": plan}})
first = train.train("{study}", options={{"normalisation": "minmax"}})
again = train.train("{study}", options={{"normalisation": "minmax", "v_class": "V"}})
"""


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


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {STUDY}))
def test_other_studies_leave_nothing_to_choose(name: str) -> None:
    with pytest.raises(UsageError, match="none"):
        STUDIES[name].with_options({"normalisation": "minmax"})


def test_a_version_that_was_registered_before_there_were_options_has_none(tmp_path) -> None:
    (tmp_path / "version.json").write_text(json.dumps({"mode": "corrected"}))
    assert version_options(tmp_path) == {}


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory) -> Installation:
    """An installation whose one version was trained on minmax-normalised windows, in two epochs, twice asked for."""
    installation = Installation(tmp_path_factory.mktemp("squeezed") / "home")
    installation.python(TRAIN_BRIEFLY.format(study=STUDY) + "assert first['new'] and not again['new']")
    return installation


def test_a_version_remembers_its_options(squeezed: Installation) -> None:
    trained = only((squeezed.home / "trainings").iterdir())
    description = json.loads((trained / "bundle" / "version.json").read_text())
    assert description["normalisation"] == "minmax"
    assert description["options"] == {"normalisation": "minmax"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--study", "all", "--set", "v_class=!"), "option of mnist-scanline is v_class=!; expected none"),
        (("evaluate", "faithfulness", STUDY, "--set", "normalisation=zscore"), "expected 'minmax', with which"),
    ],
)
def test_a_wrong_option_is_answered_in_one_sentence(
    squeezed: Installation, arguments: tuple[str, ...], words: str
) -> None:
    done = squeezed.plumbline(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
