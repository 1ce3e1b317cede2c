"""What a sweep over relevance filters is held against: random points of the brain, and the controls' maps."""

from __future__ import annotations

import pandas as pd
import torch

from xai.methods import VOLUME_CONTROLS, attribute_all, explainer
from xai.quality.inclusivity import inclusivity_table
from xai.quality.region_deletion import sweep_table

from ..evaluating.native_scores import on_native_grid
from .affordable import by_judge
from .filter_sweep import FILTERS, PROPAGATIONS, RIGHT, filtered
from .inspected import Inspected
from .subject_means import subject_means


def region_deletion(looked: Inspected) -> tuple[pd.DataFrame, list[str]]:
    """`sweep_table` of LRP put right on the few cases on which costly measures are taken, and whose each sample is."""
    rows = looked.samples[looked.samples["thorough"]]
    name = PROPAGATIONS[RIGHT]
    methods = [explainer(filtered(name, each)) for each in FILTERS]
    tables: list[pd.DataFrame] = []
    subjects: list[str] = []
    for network, part in by_judge(looked, rows):
        inputs, targets, seeds = looked.inputs(part), looked.targets(part), looked.seeds(part)
        maps = attribute_all(methods, network, inputs, targets, seeds=seeds)
        sweep = {each: maps[filtered(name, each)] for each in FILTERS}
        evidence = torch.from_numpy(looked.cohort.evidence(part["sample"].to_numpy()))
        brain = (inputs > inputs.flatten(2).amin(2)[..., None, None, None]).any(dim=1, keepdim=True)
        table = sweep_table(network, inputs, targets, sweep, evidence, brain, seeds=seeds, steps=3, draws=1)
        tables.append(table.assign(sample=table["sample"] + len(subjects)))
        subjects.extend(part["subject"].astype(str))
    return pd.concat(tables, ignore_index=True), subjects


def control_means(looked: Inspected) -> pd.DataFrame:
    """Means of the controls by the measures of the overview: control, metric and mean."""
    methods = [explainer(name) for name in VOLUME_CONTROLS]
    tables = []
    for _, row in looked.some().iterrows():
        rows = looked.samples[looked.samples["sample"] == row["sample"]]
        network, native = looked.network(int(row["member"])), looked.cohort.native(int(row["sample"]))
        maps = attribute_all(methods, network, looked.inputs(rows), looked.targets(rows), seeds=looked.seeds(rows))
        one = {name: on_native_grid(values, native.evidence.shape) for name, values in maps.items()}
        evidence, signals = torch.from_numpy(native.evidence)[None, None], torch.from_numpy(native.signals)[None]
        tables.append(inclusivity_table(one, evidence, signals).assign(subject=row["subject"]))
    means = subject_means(pd.concat(tables, ignore_index=True), ["explainer", "metric"])
    return means.rename(columns={"explainer": "control"})
