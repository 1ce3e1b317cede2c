"""Which fold member judges a sample: one that never saw its subject, or for a new subject their mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn

from models.bundle import Bundle
from xai.protocols import IntervalClassifier, PrefixClassifier

from ..cohorts.store import Cohort
from ..errors import PlumblineError

MEAN_OF_MEMBERS = -1
"""Stands for all members together, where a member's number is expected."""


def judging_members(cohort: Cohort, bundle: Path) -> pd.Series:
    """The member that judges each sample, indexed by sample; samples that no member may judge are absent.

    On the cohort that the version was trained on, a sample is judged by a member that had it in its test part;
    where several had, they take turns. On another cohort, a subject that the version knows (by pseudonym) is
    judged by the member that tested it, and a new subject by the mean of all members. Raises PlumblineError
    where classes, channels or grids differ, and for another cohort in paper mode, whose split by sample does not say
    who was seen.
    """
    version = json.loads((bundle / "version.json").read_text())
    splits = pd.read_parquet(bundle / "splits.parquet")
    tested = splits[splits["part"] == "test"]
    if version["cohort_digest"] == cohort.digest:
        return _in_turn(tested)
    _require_same_shape(version, cohort)
    if version["mode"] == "paper":
        raise PlumblineError(
            f"the version was trained in paper mode on cohort {version['cohort_digest'][:8]}, and the data give "
            f"{cohort.digest[:8]}; expected the same, because its split does not say which subjects it has seen."
        )
    member = tested.drop_duplicates("subject").set_index("subject")["member"]
    pseudonyms = cohort.samples["subject"].map(cohort.subjects["subject"])
    return pseudonyms.map(member).fillna(MEAN_OF_MEMBERS).astype(int)


def _in_turn(tested: pd.DataFrame) -> pd.Series:
    """One of the members that tested each sample, by the sample's number, so that each judges its share."""
    ordered = tested.sort_values(["sample", "member"])
    place = ordered.groupby("sample").cumcount()
    count = ordered.groupby("sample")["member"].transform("size")
    return ordered[place == ordered["sample"] % count].set_index("sample")["member"]


def _require_same_shape(version: dict[str, object], cohort: Cohort) -> None:
    found = {
        "classes": list(cohort.classes),
        "volume": list(cohort.volume) if cohort.volume else None,
        "window": cohort.manifest["window"],
        "channels": list(cohort.channels),
    }
    for name, value in found.items():
        if version[name] != value:
            raise PlumblineError(f"the data have the {name} {value}; the version expects {version[name]}.")


def network_of(bundle: Bundle, member: int) -> nn.Module:
    """The network that judges: one member, or for `MEAN_OF_MEMBERS` all of them together."""
    if member != MEAN_OF_MEMBERS:
        return bundle.members[member]
    for protocol, mean in ((PrefixClassifier, _MeanOfCausalMembers), (IntervalClassifier, _MeanOfIntervalMembers)):
        if all(isinstance(network, protocol) for network in bundle.members):
            return mean(bundle.members).eval()
    return _MeanOfMembers(bundle.members).eval()


class _MeanOfMembers(nn.Module):
    """Logits ``(sample, class, *grid)``: the mean of the members' logits."""

    def __init__(self, members: tuple[nn.Module, ...]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def averaged(self) -> list[nn.Module]:
        return list(self.members)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([member(inputs) for member in self.members]).mean(dim=0)


class _MeanOfIntervalMembers(_MeanOfMembers):
    """Keeps the members' short way through one changed interval usable."""

    def interval_logits(self, inputs: Tensor, replacement: Tensor, starts: Tensor, stops: Tensor) -> Tensor:
        members = cast(list[IntervalClassifier], self.averaged())
        return torch.stack([m.interval_logits(inputs, replacement, starts, stops) for m in members]).mean(dim=0)


class _MeanOfCausalMembers(_MeanOfIntervalMembers):
    """Keeps the members' prefix states usable too: means of what `PrefixClassifier` asks for."""

    def step_scores(self, inputs: Tensor) -> Tensor:
        members = cast(list[PrefixClassifier], self.averaged())
        return torch.stack([member.step_scores(inputs) for member in members]).mean(dim=0)
