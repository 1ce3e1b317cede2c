"""What an inspection looks at: a version's members, and the judged samples that each may be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from models import build_network
from models.bundle import Bundle

from ..cohorts.store import Cohort
from ..evaluating.judges import MEAN_OF_MEMBERS, network_of
from ..evaluating.reading import reads_rightly


@dataclass(frozen=True)
class Inspected:
    """A version, its cohort and the judged ``samples``: sample, member, subject (ordinal), label, shard, thorough.

    A sample's ``member`` is the one that never saw its subject, `MEAN_OF_MEMBERS` where none has. ``splits``
    (sample, member, part) tells what each member has seen. ``per_class`` bounds how many samples of a class an
    inspection takes, so that its cost is known. ``explainers`` are the job's. ``shares``: a row per tested sample,
    explainer and part of the input, with the facts of sample and subject; ``demographics``: what is regressed on what.
    ``companions``: versions of other studies on the same recordings and splits, by role.
    """

    cohort: Cohort
    bundle: Bundle
    splits: pd.DataFrame
    samples: pd.DataFrame
    per_class: int
    explainers: tuple[str, ...] = ()
    shares: pd.DataFrame | None = None
    demographics: Mapping[str, Any] | None = None
    companions: Mapping[str, Bundle] = field(default_factory=dict)

    def shares_taken(self) -> pd.DataFrame:
        """The table of shares; ValueError where the job takes none."""
        if self.shares is None:
            raise ValueError("shares are missing; expected a job whose plan names explainers under shares.")
        return self.shares

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, index = label."""
        return self.cohort.classes

    def members(self) -> list[int]:
        """Numbers of the version's members."""
        return list(range(len(self.bundle.members)))

    def network(self, member: int) -> nn.Module:
        """A member's network in evaluation mode."""
        return network_of(self.bundle, member)

    def untrained(self, seed: int) -> nn.Module:
        """A freshly initialised network of the version's shape, in evaluation mode: the null of a comparison."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build_network(self.bundle.config.network, **self.bundle.config.arguments).eval()

    def some(self, member: int | None = None) -> pd.DataFrame:
        """Up to ``per_class`` rows of each class, spread over subjects: of all, or of those unseen by a member."""
        rows = self.samples
        if member is not None:
            rows = rows[rows["member"].isin([member, MEAN_OF_MEMBERS])]
        turn = rows.groupby(["label", "subject"]).cumcount()
        spread = rows.assign(turn=turn).sort_values("turn", kind="stable")
        return spread.groupby("label").head(self.per_class).sort_index()[list(self.samples.columns)]

    def inputs(self, rows: pd.DataFrame) -> Tensor:
        """Normalised windows ``(sample, channel, time)`` of these rows, as the network sees them."""
        return self.bundle.normalise(torch.from_numpy(self.signals(rows)))

    def signals(self, rows: pd.DataFrame) -> np.ndarray:
        """The same in physical units."""
        return self.cohort.signals(rows["sample"].to_numpy())

    def targets(self, rows: pd.DataFrame) -> Tensor:
        """True classes ``(sample,)``, int64."""
        return torch.from_numpy(rows["label"].to_numpy(dtype=np.int64))

    def seeds(self, rows: pd.DataFrame) -> Tensor:
        """The samples' seeds ``(sample,)``, int64."""
        return torch.from_numpy(rows["sample"].to_numpy(dtype=np.int64))

    def training_samples(self, member: int) -> np.ndarray:
        """Numbers of the samples that a member was trained on."""
        seen = (self.splits["member"] == member) & (self.splits["part"] == "train")
        return self.splits.loc[seen, "sample"].to_numpy()

    def read_rightly(self) -> pd.DataFrame:
        """One row per class: the first sample that its member reads rightly, as the paper shows; else none."""
        shown = []
        for _, rows in self.some().groupby("label", sort=True):
            for member, part in rows.groupby("member"):
                with torch.inference_mode():
                    logits = self.network(int(str(member)))(self.inputs(part))
                right = part[reads_rightly(logits, self.targets(part)).numpy()]
                if len(right):
                    shown.append(right.iloc[[0]])
                    break
        return pd.concat(shown) if shown else self.samples.iloc[:0]
