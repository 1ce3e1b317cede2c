"""On phantoms whose answer is known: a network that has only the recorder to go by follows it, another does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models.bundle import load_bundle
from tasks.cohorts.phantoms.ecg_rhythms import write_phantom
from tasks.cohorts.wfdb_rhythms import read_rhythms
from tasks.evaluating.evaluation import select_samples
from tasks.evaluating.judges import judging_members
from tasks.inspections import recorder
from tasks.inspections.inspected import Inspected
from tasks.training.fitting import Training, assemble, fit
from tasks.training.recipe import Recipe

SIGNS = ("retrograde_p", "u_wave", "slur", "r_prime")
"""Heights of what tells SVTA, SBR, LBBB and RBBB: the classes that can be bound to a recorder."""
RECIPE = Recipe(
    learning_rate=5e-3, decay="linear", batch_size=32, clip=1.0, epochs=6, patience=None, per_class=60, dropout=0.0
)  # fmt: skip


def trained(folder: Path, **settings: Any) -> Inspected:
    """A narrow network of two folds on a phantom of these settings, ready to be looked at."""
    write_phantom(folder / "phantom", subjects=12, minutes=3, seed=1, **settings)
    cohort = read_rhythms(folder / "phantom", per_patient=20, key=b"0123456789abcdef", out=folder / "cohort")
    training = Training.plan(
        study="phantom", mode="corrected", subset="", cohort=cohort, members=2, recipe=RECIPE,
        network={"name": "ecg-cam", "arguments": {"width": 8, "depth": 3}, "normalisation": "zscore"},
        options={}, root=folder,
    )  # fmt: skip
    for member in range(2):
        fit.fn(training, member)
    assemble.fn(training)
    members = judging_members(cohort, training.bundle)
    samples = select_samples(
        cohort, members, per_cell=4, per_class=None, thorough_subjects=1, shard_size=64
    )  # fmt: skip
    splits = pd.read_parquet(training.bundle / "splits.parquet")
    return Inspected(cohort, load_bundle(training.bundle), splits, samples, per_class=48)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    """LBBB and RBBB of one recorder alone, SVTA and SBR of the other, and nothing else that marks them."""
    return trained(tmp_path_factory.mktemp("blind"), confounding=1.0, **dict.fromkeys(SIGNS, 0.0))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    """Every class from both recorders, with its sign."""
    return trained(tmp_path_factory.mktemp("seeing"))


def shares(found: Any) -> pd.DataFrame:
    changes = found.tables["rerecorded"]
    return changes[changes["change"].str.startswith("share")].set_index(["recorder", "as"])


def test_a_network_with_nothing_but_the_recorder_follows_it(blind: Inspected) -> None:
    found = recorder.inspect(blind)
    assert shares(found)["ci_low"].max() > 0.1
    assert any(words.endswith("the network follows the recorder") for words in found.verdicts)


def test_a_network_that_sees_the_heart_keeps_its_answer(seeing: Inspected) -> None:
    found = recorder.inspect(seeing)
    assert not any(words.endswith(": the network follows the recorder") for words in found.verdicts)
    changes = found.tables["rerecorded"].set_index(["change", "recorder", "as"]).loc["accuracy"]
    assert (changes["mean"] > -0.15).all()
