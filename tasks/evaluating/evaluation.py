"""The reference of one evaluation: what is judged, on which samples, cut into which shards.

A reference is small JSON; flows and tasks hand it on instead of arrays. Everything that an evaluation
writes lies in its folder, named by its key, so that a rerun finds and keeps what is done.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter

from models.bundle import LESION, SPLITS_FILE, VERSION_FILE

from ..cohorts.store import Cohort
from ..digests import code_digest, digest_of, file_digest
from .judges import judging_members

Mode = Literal["corrected", "paper"]
Job = Literal["faithfulness", "lrp-rules", "demographics", "inclusivity"]

SELECTION_SEED = 20170523


class Evaluation(BaseModel):
    """One job on one model version, one cohort and one configuration.

    ``companions``: versions of other studies on the same recordings that the inspections ask too, by role.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    job: Job
    study: str
    mode: Mode
    model_name: str
    model_version: str
    cohort_digest: str
    folder: Path
    bundle: Path
    cohort: Path
    configuration: dict[str, Any]
    companions: dict[str, Path] = {}

    @property
    def samples_file(self) -> Path:
        """Table of the judged samples: sample, member, subject, label, shard, thorough."""
        return self.folder / "samples.parquet"

    @property
    def tested_file(self) -> Path:
        """Table of every tested sample and the member that explains it: sample, member. Where shares are taken."""
        return self.folder / "tested.parquet"

    @property
    def reference(self) -> Path:
        """This reference as a file, to find the evaluation again by its key."""
        return self.folder / "evaluation.json"

    @property
    def tables(self) -> Path:
        """Folder of the result tables."""
        return self.folder / "tables"

    @property
    def inspections(self) -> Path:
        """Folder of what the inspections have found."""
        return self.folder / "inspections"

    def figure(self, name: str) -> str:
        """Where a figure is kept, without its ending: under the paper's number if it has one."""
        return f"figures/{self.configuration['figures'].get(name, name)}"

    def shard_folder(self, shard: int) -> Path:
        """Folder of everything that shard ``shard`` writes."""
        return self.folder / "shards" / f"{shard:05d}"

    def shares_file(self, shard: int) -> Path:
        """The shares of relevance of shard ``shard`` of the tested samples."""
        return self.folder / "shares" / f"{shard:05d}.parquet"

    def tested(self) -> pd.DataFrame:
        """Every tested sample with a member that explains it."""
        return pd.read_parquet(self.tested_file)

    def samples(self) -> pd.DataFrame:
        """The judged samples, in shard order."""
        return pd.read_parquet(self.samples_file)

    def shards(self) -> list[int]:
        """Numbers of all shards."""
        return sorted(int(shard) for shard in self.samples()["shard"].unique())

    @classmethod
    def plan(
        cls,
        *,
        job: Job,
        study: str,
        mode: Mode,
        model_name: str,
        model_version: str,
        bundle: Path,
        cohort: Cohort,
        configuration: dict[str, Any],
        root: Path,
        companions: Mapping[str, Path] = MappingProxyType({}),
    ) -> Self:
        """Computes the key and, unless a former run did, writes the table of samples.

        The key is the digest of the job, the mode, the model version with its weights and splits, its companions, the
        cohort, the configuration and the sources of `xai` and `models`. How the work is cut into shards is left out,
        because it changes no result.
        """
        decisive = {name: part for name, part in configuration.items() if name != "shard_size"}
        identity = {
            "job": job,
            "mode": mode,
            "model": [model_name, model_version, json.loads((bundle / "version.json").read_text())],
            "cohort": cohort.digest,
            "splits": file_digest(bundle / "splits.parquet"),
            "selection_seed": SELECTION_SEED,
            "configuration": decisive,
            "code": code_digest(),
            "companions": {name: file_digest(each / VERSION_FILE) for name, each in companions.items()},
        }
        key = digest_of(identity)
        evaluation = cls(
            key=key,
            job=job,
            study=study,
            mode=mode,
            model_name=model_name,
            model_version=model_version,
            cohort_digest=cohort.digest,
            folder=root / "evaluations" / key,
            bundle=bundle,
            cohort=cohort.path,
            configuration=configuration,
            companions=dict(companions),
        )
        if not evaluation.samples_file.exists():
            evaluation.tables.mkdir(parents=True, exist_ok=True)
            write_table(tested_samples(cohort, bundle, mode, configuration["shares_per_cell"]), evaluation.tested_file)
            samples = select_samples(
                cohort,
                judging_members(cohort, bundle),
                per_cell=configuration["per_cell"],
                per_class=configuration["per_class"],
                thorough_subjects=configuration["thorough_subjects"],
                shard_size=configuration["shard_size"],
            )
            write_table(samples, evaluation.samples_file)
        write_whole(evaluation.reference, lambda file: file.write_text(evaluation.model_dump_json(indent=2)))
        return evaluation


def select_samples(
    cohort: Cohort,
    members: pd.Series,
    *,
    per_cell: int,
    per_class: int | None,
    thorough_subjects: int,
    shard_size: int,
) -> pd.DataFrame:
    """Draws samples among those that ``members`` may judge, in shards of one member each.

    Up to ``per_cell`` of each subject and class, and of these up to ``per_class`` of each class (None: all).
    One sample of each of ``thorough_subjects`` subjects is marked ``thorough``: the costly measures are taken
    on it alone.
    """
    members = members[members.index.isin(to_explain(cohort))]
    table = cohort.samples.loc[members.index, ["subject", "label"]].assign(member=members)
    shuffled = table.sample(frac=1.0, random_state=np.random.default_rng(SELECTION_SEED))
    chosen = shuffled.groupby(["subject", "label"], sort=False).head(per_cell)
    if per_class is not None:
        chosen = chosen.groupby("label", sort=False).head(per_class)
    first_of_subject = ~chosen["subject"].duplicated()
    chosen = chosen.assign(thorough=first_of_subject & (first_of_subject.cumsum() <= thorough_subjects))
    chosen = chosen.rename_axis("sample").reset_index().sort_values(["member", "sample"], ignore_index=True)
    within = chosen.groupby("member").cumcount() // shard_size
    shard = pd.MultiIndex.from_arrays([chosen["member"], within]).factorize()[0]
    return chosen.assign(shard=shard)


def to_explain(cohort: Cohort) -> pd.Index:
    """The samples in which there is something to explain: all, but volumes without a lesion only train."""
    if cohort.volume is None:
        return cohort.samples.index
    return cohort.samples.index[cohort.samples["label"] == LESION]


def tested_samples(cohort: Cohort, bundle: Path, mode: Mode, per_cell: int | None) -> pd.DataFrame:
    """Which member explains which sample, where all are asked: columns ``sample`` and ``member``.

    Corrected: each sample once, by the member that may judge it. Paper: every member's whole test part, so that a
    sample drawn for several tests enters as often. Up to ``per_cell`` of each member, subject and class (None: all).
    """
    if mode == "paper":
        splits = pd.read_parquet(bundle / SPLITS_FILE)
        pairs = splits.loc[splits["part"] == "test", ["sample", "member"]]
    else:
        pairs = judging_members(cohort, bundle).rename("member").rename_axis("sample").reset_index()
    pairs = pairs[pairs["sample"].isin(to_explain(cohort))]
    if per_cell is not None:
        cells = pairs.join(cohort.samples[["subject", "label"]], on="sample")
        shuffled = cells.sample(frac=1.0, random_state=np.random.default_rng(SELECTION_SEED))
        pairs = shuffled.groupby(["member", "subject", "label"]).head(per_cell)[["sample", "member"]]
    return pairs.sort_values(["member", "sample"], ignore_index=True)


def version_mode(bundle: Path) -> Mode:
    """The mode that a version was trained in, as its description says."""
    return TypeAdapter(Mode).validate_python(json.loads((bundle / "version.json").read_text())["mode"])


def version_options(bundle: Path) -> dict[str, str]:
    """The options of its study that a version was trained with, other than the defaults, as its description says."""
    description = json.loads((bundle / "version.json").read_text())
    return TypeAdapter(dict[str, str]).validate_python(description.get("options", {}))


def configuration_of(**parts: Any) -> dict[str, Any]:
    """A configuration as plain JSON values; dataclasses become dictionaries."""
    return json.loads(json.dumps(parts, default=dataclasses.asdict))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a Parquet table, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table.to_parquet)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file and puts it in place; the name is no other process's."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
