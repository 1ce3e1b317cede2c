"""Explains one shard of an evaluation: attributions on the cohort's grid, stored as labelled Zarr."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from prefect import task
from torch import Tensor

from models.bundle import load_bundle
from xai.methods import attribute_all, explainer
from xai.scores import ScoreOperator

from ..cohorts.store import Cohort
from .evaluation import Evaluation
from .judges import network_of

ATTRIBUTIONS = "attributions.zarr"


@dataclass(frozen=True)
class Shard:
    """The samples of one shard, ready for the network that never saw them.

    ``inputs`` (sample, channel, *grid) are normalised, ``targets`` (sample,) the true classes.
    """

    samples: pd.DataFrame
    model: torch.nn.Module
    inputs: Tensor
    targets: Tensor
    seeds: Tensor
    evidence: Tensor | None


def open_shard(evaluation: Evaluation, shard: int) -> Shard:
    """Reads only the samples of the shard; memory grows with the shard, not with the cohort."""
    samples = evaluation.samples().query("shard == @shard").reset_index(drop=True)
    cohort = Cohort.open(evaluation.cohort)
    bundle = load_bundle(evaluation.bundle)
    index = samples["sample"].to_numpy()
    return Shard(
        samples=samples,
        model=network_of(bundle, int(samples["member"].unique().item())),
        inputs=bundle.normalise(torch.from_numpy(cohort.signals(index))),
        targets=torch.from_numpy(samples["label"].to_numpy(dtype=np.int64)),
        seeds=torch.from_numpy(index.astype(np.int64)),
        evidence=torch.from_numpy(cohort.evidence(index)) if cohort.has_evidence else None,
    )


@task(retries=2, retry_delay_seconds=5)
def explain_shard(evaluation: Evaluation, shard: int) -> None:
    """Writes the shard's attributions ``(explainer, sample, channel, *grid)``, unless they are there."""
    done = evaluation.shard_folder(shard) / ATTRIBUTIONS
    if done.exists():
        return
    for left in done.parent.glob(f".{ATTRIBUTIONS}.*"):  # of a killed process
        shutil.rmtree(left, ignore_errors=True)
    partial = done.with_name(f".{ATTRIBUTIONS}.{secrets.token_hex(4)}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    compute_attributions(evaluation, shard).to_dataset().to_zarr(partial, consolidated=False)
    try:
        partial.replace(done)
    except OSError:  # a worker that was given up for lost has finished after all
        if not done.exists():
            raise
        shutil.rmtree(partial)


def compute_attributions(evaluation: Evaluation, shard: int) -> xr.DataArray:
    """Attributions of every explainer for one shard, float32, labelled by explainer and sample."""
    opened = open_shard(evaluation, shard)
    score = ScoreOperator(evaluation.configuration["score"])
    methods = [explainer(name) for name in evaluation.configuration["explainers"]]
    maps = attribute_all(methods, opened.model, opened.inputs, opened.targets, score=score, seeds=opened.seeds)
    grid = ["time"] if opened.inputs.ndim == 3 else ["depth", "height", "width"]
    return xr.DataArray(
        torch.stack(list(maps.values())).cpu().float().numpy(),
        dims=["explainer", "sample", "channel", *grid],
        coords={
            "explainer": list(evaluation.configuration["explainers"]),
            "sample": opened.samples["sample"].to_numpy(),
        },
        name="attribution",
    )


def read_attributions(evaluation: Evaluation, shard: int) -> xr.DataArray:
    """The stored attributions of one shard."""
    with xr.open_zarr(evaluation.shard_folder(shard) / ATTRIBUTIONS, consolidated=False, chunks=None) as stored:
        return stored["attribution"].load()
