"""How well a version segments: every member on its own test cases, on the network's grid and on the case's own."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from models.bundle import LESION, Bundle, load_bundle

from ..cohorts.errors import CohortError
from ..cohorts.native import NativeVolume
from ..cohorts.resizing import resized
from ..progress import track
from .performance import DRAWS
from .splits import Split

FEWEST_SUBJECTS = 3
"""An interval from two people is not one."""

Mask = NDArray[np.bool_]


class LabelledVolumes(Protocol):
    """What testing asks of a cohort."""

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, indexed by sample: ``subject``, ``label`` (1 with a lesion) and ``recording``."""
        ...

    def signals(self, index: np.ndarray) -> np.ndarray:
        """Volumes ``(sample, channel, depth, height, width)``, float32, physical units."""
        ...

    def evidence(self, index: np.ndarray) -> np.ndarray:
        """Truth masks ``(sample, 1, depth, height, width)``, bool."""
        ...

    def native(self, sample: int) -> NativeVolume:
        """A sample on its own grid; CohortError where the cohort's is its own."""
        ...


@dataclass(frozen=True)
class Overlap:
    """Voxels of two masks: ``found``, ``lesion`` and ``shared`` by both."""

    found: int
    lesion: int
    shared: int

    @classmethod
    def of(cls, found: Mask, lesion: Mask) -> Overlap:
        """Of masks of one shape."""
        return cls(int(found.sum()), int(lesion.sum()), int((found & lesion).sum()))

    @property
    def dice(self) -> float:
        """2 |a b| / (|a| + |b|), in [0, 1]; NaN where both are empty.

        Tjoa et al. add 1 to both parts, which raises it by less than 1 / (|a| + |b|).
        """
        return _ratio(2 * self.shared, self.found + self.lesion)

    @property
    def precision(self) -> float:
        """Share of the found voxels that are lesion, NaN where none is found."""
        return _ratio(self.shared, self.found)

    @property
    def recall(self) -> float:
        """Share of the lesion that is found, NaN where there is none."""
        return _ratio(self.shared, self.lesion)


def segmented_cases(cohort: LabelledVolumes, bundle: Path, splits: Sequence[Split]) -> pd.DataFrame:
    """Segments the test samples of every member by that member alone; one row per member and sample with a lesion.

    Columns: member, sample, subject, recording; ``dice``, ``precision``, ``recall``, ``voxels_true`` and
    ``voxels_found`` on the case's own grid, where the cohort keeps it, to which labels are brought by nearest
    neighbour; ``dice_grid`` on the network's grid; ``dice_training_mode`` as Tjoa et al. test, with the batch norms'
    statistics taken from the case itself; ``dice_by_chance`` of marking all that has signal, the voxels where any
    channel is above its minimum. Samples of label 0 are left out: nothing is to be found in them.
    ``in_training``: the member was trained on the sample, as in the paper. ValueError if there are not as many splits
    as members.
    """
    version = load_bundle(bundle, "cuda" if torch.cuda.is_available() else "cpu")
    if len(splits) != len(version.members):
        raise ValueError(f"splits has {len(splits)} entries; expected one per member, {len(version.members)}.")
    with_lesion = cohort.samples.index[cohort.samples["label"] == LESION]
    tested = [
        (member, int(sample))
        for member, split in enumerate(splits)
        for sample in np.intersect1d(split.test, with_lesion.to_numpy())
    ]
    twins = [copy.deepcopy(network).train() for network in version.members]
    rows = [
        {
            "member": member,
            "in_training": bool(np.isin(sample, splits[member].train)),
            **_case(cohort, version, member, twins[member], sample),
        }
        for member, sample in track(tested, "testing, cases")
    ]
    return pd.DataFrame(rows, columns=["member", "in_training", *_CASE])


_CASE = (
    "sample", "subject", "recording", "dice", "precision", "recall", "voxels_true", "voxels_found", "dice_grid",
    "dice_training_mode", "dice_by_chance",
)  # fmt: skip


def _case(
    cohort: LabelledVolumes, version: Bundle, member: int, in_training_mode: nn.Module, sample: int
) -> dict[str, Any]:
    signals = cohort.signals(np.array([sample]))
    truth_on_grid = cohort.evidence(np.array([sample]))[0, 0]
    try:
        own = cohort.native(sample)
        maps, truth = own.signals, own.evidence
    except CohortError:
        maps, truth = signals[0], truth_on_grid
    inputs = version.normalise(torch.from_numpy(signals).to(version.device))
    found_on_grid = _lesion(version.members[member], inputs)
    overlap = Overlap.of(resized(found_on_grid, truth.shape), truth)
    twin = Overlap.of(resized(_lesion(in_training_mode, inputs), truth.shape), truth)
    known = cohort.samples.loc[sample]
    return {
        "sample": sample,
        "subject": known["subject"],
        "recording": known["recording"],
        "dice": overlap.dice,
        "precision": overlap.precision,
        "recall": overlap.recall,
        "voxels_true": overlap.lesion,
        "voxels_found": overlap.found,
        "dice_grid": Overlap.of(found_on_grid, truth_on_grid).dice,
        "dice_training_mode": twin.dice,
        "dice_by_chance": Overlap.of(with_signal(maps), truth).dice,
    }


def with_signal(maps: NDArray[np.floating]) -> Mask:
    """Voxels ``(depth, height, width)`` where any channel of ``maps (channel, ...)`` is above its minimum."""
    lowest = maps.min(axis=(1, 2, 3), keepdims=True)
    return (maps > lowest).any(axis=0)


def _lesion(network: nn.Module, inputs: torch.Tensor) -> Mask:
    """The voxels that the network gives to the lesion, of a single sample."""
    with torch.no_grad():
        return (network(inputs).argmax(dim=1)[0] == LESION).cpu().numpy()


def segmentation_tables(
    cases: pd.DataFrame, minutes: Sequence[float]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The headline numbers and the tables ``members`` and ``cases``, of what `segmented_cases` gives.

    ``minutes``: what each member's training took. Headline: ``dice`` is the mean over subjects of their cases'
    mean, with its 95 % percentile bootstrap over subjects, ``dice_ci_low`` and ``dice_ci_high``, NaN from fewer than 3
    subjects; ``dice_mean`` and ``dice_sd`` are over members. ``dice_grid``, ``dice_training_mode``, ``dice_by_chance``,
    ``precision`` and ``recall`` are means over subjects too, cases where one is undefined left out.
    ``tested_in_training``: the share of rows whose case the member was trained on.
    """
    members = _member_table(cases, minutes)
    measures = ["dice", "dice_grid", "dice_training_mode", "dice_by_chance", "precision", "recall"]
    by_subject = cases.groupby("subject")[measures].mean()
    low, high = _interval(by_subject["dice"].to_numpy(np.float64))
    summary: dict[str, Any] = {
        "samples": int(cases["sample"].nunique()),
        "subjects": len(by_subject),
        "members": len(members),
        **{name: float(by_subject[name].mean()) for name in measures},
        "dice_ci_low": low,
        "dice_ci_high": high,
        "dice_mean": float(members["dice"].mean()),
        "dice_sd": float(members["dice"].std(ddof=1)),
        "tested_in_training": float(cases["in_training"].mean()),
        "nothing_found": int((cases["voxels_found"] == 0).sum()),
        "minutes_per_member": float(np.mean(minutes)),
    }
    return summary, {"members": members, "cases": cases}


def _member_table(cases: pd.DataFrame, minutes: Sequence[float]) -> pd.DataFrame:
    """One row per member: its cases and subjects, the minutes of its training, and its means over subjects."""
    measures = ["dice", "dice_grid", "dice_training_mode", "precision", "recall"]
    rows = [
        {
            "member": member,
            "samples": len(own),
            "subjects": own["subject"].nunique(),
            "minutes": minutes[member],
            **own.groupby("subject")[measures].mean().mean(),
        }
        for member, own in ((member, cases[cases["member"] == member]) for member in range(len(minutes)))
    ]
    return pd.DataFrame(rows, columns=["member", "samples", "subjects", "minutes", *measures])


def _interval(values: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Limits of the 95 % percentile bootstrap of a mean over subjects; undefined subjects are left out."""
    defined = values[~np.isnan(values)]
    if len(defined) < FEWEST_SUBJECTS:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(0, len(defined), (draws, len(defined)))
    low, high = np.quantile(defined[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
