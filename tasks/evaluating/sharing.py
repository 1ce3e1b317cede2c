"""Where the relevance of an evaluation goes: the shares of every tested sample, shard by shard, in tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from prefect import task

from models.bundle import load_bundle
from xai.scores import ScoreOperator

from ..cohorts.store import Cohort
from ..inspections.shares import shares_of_samples, with_facts
from .evaluation import Evaluation, write_table

SHARES_SHARD = 1_024
"""Samples per shard: tens of seconds of three rules on a night's network, and a table of kilobytes."""


def share_shards(evaluation: Evaluation) -> list[int]:
    """Numbers of the shards of shares; none where the job takes no shares."""
    if not evaluation.configuration["shares"]:
        return []
    return list(range(-(-len(evaluation.tested()) // SHARES_SHARD)))


@task(retries=2, retry_delay_seconds=5)
def share_shard(evaluation: Evaluation, shard: int) -> None:
    """Writes the shares of one shard, unless they are there."""
    done = evaluation.shares_file(shard)
    if not done.exists():
        write_table(compute_shares(evaluation, shard), done)


def compute_shares(evaluation: Evaluation, shard: int) -> pd.DataFrame:
    """Shares of one shard of the tested samples; see `shares_of_samples`."""
    rows = evaluation.tested().iloc[shard * SHARES_SHARD : (shard + 1) * SHARES_SHARD]
    return shares_of_samples(
        load_bundle(evaluation.bundle),
        Cohort.open(evaluation.cohort),
        rows,
        evaluation.configuration["shares"],
        ScoreOperator(evaluation.configuration["score"]),
    )


def are_shared(evaluation: Evaluation) -> bool:
    """Whether every shard of shares is there."""
    return all(evaluation.shares_file(shard).exists() for shard in share_shards(evaluation))


def read_shares(evaluation: Evaluation) -> pd.DataFrame | None:
    """The shares of all shards with the facts of sample and subject, None where the job takes none."""
    shards = share_shards(evaluation)
    if not shards:
        return None
    tables = [pd.read_parquet(evaluation.shares_file(shard)) for shard in shards]
    return with_facts(Cohort.open(evaluation.cohort), pd.concat(tables, ignore_index=True))


def same_shares(now: pd.DataFrame, before: pd.DataFrame) -> bool:
    """Whether two computations of a shard agree, to a hundredth of a percentage point: float32 sums differ."""
    keys = ["sample", "fold", "explainer", "part"]
    first, second = (table.set_index(keys)["share"].sort_index() for table in (now, before))
    return first.index.equals(second.index) and bool(np.allclose(first, second, rtol=0, atol=1e-2, equal_nan=True))
