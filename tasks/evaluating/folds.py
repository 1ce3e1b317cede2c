"""What all members of a version say about the same samples: do their maps agree, and what do LRP's layers leak?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from models.bundle import load_bundle
from xai.methods import explainer
from xai.methods.lrp import LRP, relevance_runs
from xai.quality.conservation import relative_leak
from xai.quality.folds import fold_agreement
from xai.quality.tables import Row, score_table
from xai.scores import ScoreOperator

from .evaluation import Evaluation
from .explaining import Shard


def fold_scores(evaluation: Evaluation, opened: Shard, rows: np.ndarray) -> pd.DataFrame:
    """``fold_agreement`` of every explainer, and ``relevance_leak`` of every LRP rule, for these rows of a shard.

    Members are compared on samples that some of them were trained on: agreement asks whether folds explain
    alike, not whether they are right. Versions of one member have no agreement, and no row of it.
    """
    return score_table(list(_rows(evaluation, opened, rows)))


def _rows(evaluation: Evaluation, opened: Shard, rows: np.ndarray) -> Iterator[Row]:
    score = ScoreOperator(evaluation.configuration["score"])
    inputs, targets, seeds = opened.inputs[rows], opened.targets[rows], opened.seeds[rows]
    members = load_bundle(evaluation.bundle).members
    for name in evaluation.configuration["explainers"]:
        method = explainer(name)
        if len(members) > 1:
            maps: list[Tensor] = [
                method.attribute(member, inputs, targets, score=score, seeds=seeds).detach() for member in members
            ]
            yield name, "fold_agreement", "", fold_agreement(maps)
        if isinstance(method, LRP):
            runs = [relevance_runs(member, inputs, targets, [method.rule], score=score)[0] for member in members]
            yield name, "relevance_leak", "", torch.stack([relative_leak(run.account) for run in runs]).mean(dim=0)
