"""From cohort to trained members: the reference of one training, and its units of work."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pandas as pd
from prefect import task
from pydantic import BaseModel, ConfigDict

from models.bundle import BundleConfig, Task, save_bundle

from ..cohorts.store import Cohort
from ..digests import code_digest, digest_of
from ..evaluating.evaluation import Mode, configuration_of, write_table, write_whole
from .member import fit_member, history, trained_network
from .performance import performance_tables, predictions_of_members
from .recipe import Recipe
from .segmentation import segmentation_tables, segmented_cases
from .splits import (
    PaperSplit,
    Split,
    class_draws,
    provided_splits,
    random_splits,
    split_table,
    subject_draws,
    subject_folds,
    training_cases,
)

SPLIT_SEED = 0
REFERENCE = "training.json"
"""The training's own reference, in its folder."""


class Training(BaseModel):
    """One network and recipe on one cohort; its members are folds (``corrected``) or trials (``paper``).

    ``subset`` says in words what the scale leaves out, ``paper_split`` how the paper split, ``task`` whether samples or
    their voxels are classified. ``options``: of the study, other than the defaults; cohort and network carry what
    they change, so that the key need not name them.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    study: str
    mode: Mode
    subset: str
    folder: Path
    cohort: Path
    members: int
    recipe: dict[str, Any]
    network: dict[str, Any]
    options: dict[str, str] = {}
    paper_split: PaperSplit = "samples"
    task: Task = "classification"

    @property
    def bundle(self) -> Path:
        """Folder of the assembled version: weights, configuration, split table."""
        return self.folder / "bundle"

    @property
    def tables(self) -> Path:
        """Folder of the performance tables."""
        return self.folder / "tables"

    def splits(self) -> list[Split]:
        """One split per member: grouped by subject, or the paper's random draws."""
        return _splits(Cohort.open(self.cohort), self.mode, self.members, self.paper_split)

    def split_table(self) -> pd.DataFrame:
        """What each member has seen: sample, subject (pseudonym), member and part."""
        cohort = Cohort.open(self.cohort)
        table = split_table(self.splits())
        ordinals = table["sample"].map(cohort.samples["subject"])
        return table.assign(subject=ordinals.map(cohort.subjects["subject"]))

    def bundle_config(self) -> BundleConfig:
        """What the network and its preprocessing need to know of the cohort."""
        cohort = Cohort.open(self.cohort)
        arguments = {
            "channels": len(cohort.channels),
            "classes": len(cohort.classes),
            **self.network["arguments"],
        }
        return BundleConfig(
            network=self.network["name"],
            arguments=arguments,
            normalisation=self.network["normalisation"],
            classes=cohort.classes,
            channels=cohort.channels,
            units=cohort.units,
            sampling_rate=cohort.sampling_rate,
            window=cohort.manifest["window"],
            study=self.study,
            mode=self.mode,
            cohort_digest=cohort.digest,
            options=self.options,
            task=self.task,
            volume=cohort.volume,
        )

    @classmethod
    def plan(
        cls,
        *,
        study: str,
        mode: Mode,
        subset: str,
        cohort: Cohort,
        members: int,
        recipe: Recipe,
        network: dict[str, Any],
        options: Mapping[str, str],
        root: Path,
        paper_split: PaperSplit = "samples",
        task: Task = "classification",
    ) -> Self:
        """The key is the digest of the cohort, the network, the task, the recipe, the splits and `models`' sources."""
        plain = configuration_of(recipe=recipe, network=network)
        identity = {
            "cohort": cohort.digest,
            "mode": mode,
            "task": task,
            "members": members,
            "splits": _table_digest(split_table(_splits(cohort, mode, members, paper_split))),
            "code": code_digest(("models",)),
            **plain,
        }
        key = digest_of(identity)
        folder = root / "trainings" / key
        training = cls(
            key=key,
            study=study,
            mode=mode,
            subset=subset,
            folder=folder,
            cohort=cohort.path,
            members=members,
            options=dict(options),
            paper_split=paper_split,
            task=task,
            **plain,
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / REFERENCE, lambda file: file.write_text(training.model_dump_json(indent=2)))
        return training


def _splits(cohort: Cohort, mode: Mode, members: int, paper_split: PaperSplit) -> list[Split]:
    """A source's own split is kept in both modes; else folds by subject, or what the paper did."""
    if "part" in cohort.samples:
        return provided_splits(cohort.samples, members, SPLIT_SEED)
    if mode == "corrected":
        return subject_folds(cohort.samples, members, SPLIT_SEED)
    if paper_split == "training":
        return training_cases(cohort.samples, members)
    draws = {"samples": random_splits, "classes": class_draws, "subjects": subject_draws}
    return draws[paper_split](cohort.samples, members, SPLIT_SEED)


def _table_digest(table: pd.DataFrame) -> str:
    """Digest of a table's rows, the index left out."""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:16]


@task(retries=1)
def fit(training: Training, member: int) -> None:
    """Trains one member; goes on from its last checkpoint, and does nothing if it is done."""
    fit_member(
        Cohort.open(training.cohort),
        training.splits()[member],
        training.bundle_config(),
        Recipe(**training.recipe),
        training.folder / "members" / str(member),
        seed=member,
    )


@task
def assemble(training: Training) -> None:
    """Puts members and split table into one bundle, the files of a version, unless it is there."""
    if training.bundle.exists():
        return
    config = training.bundle_config()
    networks = [
        trained_network(training.folder / "members" / str(member), config) for member in range(training.members)
    ]
    partial = training.folder / ".bundle.partial"
    shutil.rmtree(partial, ignore_errors=True)
    save_bundle(partial, config, networks)
    write_table(training.split_table(), partial / "splits.parquet")
    partial.replace(training.bundle)


@task
def test_members(training: Training) -> None:
    """Tests every member on its own test samples and writes the performance tables."""
    if (training.tables / "performance.json").exists():
        return
    cohort = Cohort.open(training.cohort)
    training.tables.mkdir(exist_ok=True)
    if training.task == "segmentation":
        cases = segmented_cases(cohort, training.bundle, training.splits())
        summary, tables = segmentation_tables(cases, _minutes(training))
    else:
        predictions = predictions_of_members(cohort, training.bundle, training.splits())
        write_table(predictions, training.tables / "predictions.parquet")
        summary, tables = performance_tables(predictions, cohort.classes)
    training.tables.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_csv(training.tables / f"{name}.csv", index=False)
    text = json.dumps(summary, indent=2)
    for folder in (training.bundle, training.tables):
        write_whole(folder / "performance.json", lambda file: file.write_text(text))


def _minutes(training: Training) -> list[float]:
    """What each member's training took, the time of a killed run after its last whole epoch left out."""
    folders = [training.folder / "members" / str(member) for member in range(training.members)]
    return [float(history(folder)["seconds"].iloc[-1]) / 60 for folder in folders]


def performance(training: Training) -> dict[str, Any]:
    """The headline numbers of a tested training."""
    return json.loads((training.tables / "performance.json").read_text())


def performance_table(training: Training, name: str) -> pd.DataFrame:
    """One of the tables that `test_members` wrote."""
    return pd.read_csv(training.tables / f"{name}.csv")
