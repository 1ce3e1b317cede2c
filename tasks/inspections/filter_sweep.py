"""Every judged case under the sixteen filter settings of Tjoa et al., with LRP put right and as their code does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.bundle import LESION
from xai.methods import attribute_all, explainer
from xai.methods.lrp import SWEEP
from xai.quality.inclusivity import inclusivity_table
from xai.quality.localisation import dice

from ..cohorts.native import NativeVolume
from ..evaluating.native_scores import on_native_grid
from .inspected import Inspected

PROPAGATIONS: Mapping[str, str] = {"LRP put right": "lrp_composite_zplus_box_l0_h1", "paper's code": "lrp_tjoa-paper"}
"""By the words that stand in figures."""
RIGHT, PAPERS = PROPAGATIONS
RAW = "raw"
FILTERS = (RAW, *(each.name for each in SWEEP))
_PAPER = "-paper"

Volume = NDArray[np.float32]


@dataclass(frozen=True)
class SweptCase:
    """A case on its own grid, segmented and explained by one member.

    ``case``: the recording's name. ``prediction (depth, height, width)``: the voxels that the member gives to the
    lesion, ``overlap`` its Dice score. ``maps`` by propagation and filter: relevance ``(channel, depth, height,
    width)``.
    """

    sample: int
    subject: int
    case: str
    member: int
    native: NativeVolume
    prediction: NDArray[np.bool_]
    overlap: float
    maps: Mapping[str, Mapping[str, Tensor]]

    @property
    def brain(self) -> NDArray[np.bool_]:
        """Voxels in which any map is above its minimum: elsewhere there is nothing to see."""
        lowest = self.native.signals.min(axis=(1, 2, 3), keepdims=True)
        return np.asarray((self.native.signals > lowest).any(axis=0))

    def table(self) -> pd.DataFrame:
        """All measures of `inclusivity_table`, by propagation, filter and channel (its position)."""
        evidence, brain = (torch.from_numpy(mask)[None, None] for mask in (self.native.evidence, self.brain))
        signals = torch.from_numpy(self.native.signals)[None]
        tables = []
        for propagation, maps in self.maps.items():
            one = {name: relevance[None] for name, relevance in maps.items()}
            table = inclusivity_table(one, evidence, signals, brain).rename(columns={"explainer": "filter"})
            tables.append(table.assign(propagation=propagation))
        return pd.concat(tables, ignore_index=True).assign(
            sample=self.sample, subject=self.subject, case=self.case, member=self.member
        )


def filtered(name: str, relevance_filter: str) -> str:
    """The explainer of that name under a filter; a paper's twin keeps its suffix last."""
    if relevance_filter == RAW:
        return name
    twin = _PAPER if name.endswith(_PAPER) else ""
    return f"{name.removesuffix(_PAPER)}_{relevance_filter}{twin}"


def swept_cases(looked: Inspected) -> Iterator[SweptCase]:
    """As many cases as an inspection can afford, the members in turn, each by every member that was tested on it."""
    turn = looked.samples.groupby("member").cumcount()
    rows = looked.samples.loc[turn.sort_values(kind="stable").index[: looked.per_class]]
    for _, row in cases_by_member(looked, rows).iterrows():
        yield _swept(looked, looked.network(int(row["member"])), row)


def cases_by_member(looked: Inspected, rows: pd.DataFrame) -> pd.DataFrame:
    """Judged rows, each once for every member that may judge it: a net of the paper's was tested on all."""
    if looked.bundle.config.cohort_digest != looked.cohort.digest:
        return rows
    tested = looked.splits.loc[looked.splits["part"] == "test", ["sample", "member"]]
    return rows.drop(columns="member").merge(tested, on="sample").sort_values(["sample", "member"], ignore_index=True)


def _swept(looked: Inspected, network: nn.Module, row: pd.Series) -> SweptCase:
    sample = int(row["sample"])
    inputs = looked.inputs(pd.DataFrame({"sample": [sample]}))
    targets, seeds = (torch.tensor([int(row[name])]) for name in ("label", "sample"))
    native = looked.cohort.native(sample)
    grid = native.evidence.shape
    with torch.inference_mode():
        found = (network(inputs).argmax(dim=1) == LESION).float()
    prediction = on_native_grid(found, grid)[0] > 0
    return SweptCase(
        sample=sample,
        subject=int(row["subject"]),
        case=str(looked.cohort.samples["recording"][sample]),
        member=int(row["member"]),
        native=native,
        prediction=prediction.numpy(),
        overlap=_overlap(prediction, torch.from_numpy(native.evidence)),
        maps={words: _sweep(name, network, inputs, targets, seeds, grid) for words, name in PROPAGATIONS.items()},
    )


def _sweep(
    name: str, network: nn.Module, inputs: Tensor, targets: Tensor, seeds: Tensor, grid: tuple[int, int, int]
) -> dict[str, Tensor]:
    """Relevance by filter on the case's own grid; all settings share one forward pass."""
    methods = [explainer(filtered(name, each)) for each in FILTERS]
    maps = attribute_all(methods, network, inputs, targets, seeds=seeds)
    return {each: on_native_grid(maps[filtered(name, each)][0], grid) for each in FILTERS}


def _overlap(prediction: Tensor, truth: Tensor) -> float:
    """Dice of two masks; NaN where both are empty."""
    if not prediction.any():
        return 0.0 if truth.any() else float("nan")
    return float(dice(prediction[None, None].float(), truth[None, None]))
