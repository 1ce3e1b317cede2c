"""Which part of the input the relevance falls on, sample by sample: a modality, a wave of the heartbeat.

The relevance of the class that the network gives is taken, as Ellis et al. (2021) do: a misread sample is explained
too. Maps are not kept, so that a night of epochs costs a table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.bundle import Bundle
from xai.methods import attribute_all, explainer
from xai.methods.memory import parts, rows_through
from xai.quality.shares import absolute_relevance, percent
from xai.scores import ScoreOperator

from ..cohorts.parts import part_masks, part_names
from ..cohorts.store import Cohort
from ..evaluating.judges import network_of

AT_ONCE = 64
"""Samples explained in one batch, at most: of volumes fewer, as the network's activations take memory."""


def shares_of_samples(
    bundle: Bundle, cohort: Cohort, rows: pd.DataFrame, explainers: Sequence[str], score: ScoreOperator
) -> pd.DataFrame:
    """One row per sample, explainer and part of the input.

    ``rows`` (sample, member) name the samples and the member that explains each. Columns: ``sample``, ``fold`` (the
    member), ``predicted`` (the class's name), ``explainer``, ``part``, ``relevance`` (sum of its absolute values)
    and ``share`` (percent of the sample's; NaN where all relevance is 0).
    """
    tables = []
    for member, own in rows.groupby("member"):
        network = network_of(bundle, int(str(member)))
        at_once = rows_through(network, _inputs(bundle, cohort, own["sample"].to_numpy(np.int64)[:1]), AT_ONCE)
        tables += [
            _batch(bundle, cohort, own.iloc[part], network, explainers, score) for part in parts(len(own), at_once)
        ]
    return pd.concat(tables, ignore_index=True)


def _inputs(bundle: Bundle, cohort: Cohort, index: NDArray[np.int64]) -> Tensor:
    """These samples as the networks take them."""
    return bundle.normalise(torch.from_numpy(cohort.signals(index)))


def _batch(
    bundle: Bundle,
    cohort: Cohort,
    batch: pd.DataFrame,
    network: nn.Module,
    explainers: Sequence[str],
    score: ScoreOperator,
) -> pd.DataFrame:
    index = batch["sample"].to_numpy(dtype=np.int64)
    inputs = _inputs(bundle, cohort, index)
    with torch.no_grad():
        predicted = bundle.explained_classes(network(inputs))
    methods = [explainer(name) for name in explainers]
    maps = attribute_all(methods, network, inputs, predicted, score=score, seeds=torch.from_numpy(index))
    own_parts = part_masks(cohort, index)
    masks = None if own_parts is None else torch.from_numpy(own_parts)
    names = part_names(cohort)
    known = pd.DataFrame(
        {"sample": index, "fold": batch["member"].to_numpy(), "predicted": np.take(cohort.classes, predicted.numpy())}
    )
    tables = [
        known.loc[known.index.repeat(len(names))].assign(
            explainer=name, part=list(names) * len(index), **_flat(absolute_relevance(relevance, masks))
        )
        for name, relevance in maps.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _flat(absolute: Tensor) -> dict[str, np.ndarray]:
    return {"relevance": absolute.flatten().numpy(), "share": percent(absolute).flatten().numpy()}


def with_facts(cohort: Cohort, shares: pd.DataFrame) -> pd.DataFrame:
    """Adds ``true`` (the class's name), subject, recording, night, drug, and what else is known of the subject."""
    known = [name for name in ("night", "drug", "epoch", "start_second") if name in cohort.samples]
    facts = cohort.samples[["subject", "recording", "label_name", *known]].rename(columns={"label_name": "true"})
    of_subject = cohort.subjects.drop(columns=["subject", "medication", *known], errors="ignore")
    return shares.join(facts, on="sample").join(of_subject, on="subject")
