"""Still true tonight? One random shard of a finished evaluation is computed again and compared."""

from __future__ import annotations

import secrets

import numpy as np
import pandas as pd
import xarray as xr
from prefect import task

from ..errors import PlumblineError
from .evaluation import Evaluation
from .explaining import compute_attributions, read_attributions
from .scoring import SCORES, compute_scores, scored_shards
from .sharing import compute_shares, same_shares, share_shards

TOLERANCE = 1e-4
"""Maps may differ by this much of an explainer's largest value: float32 sums depend on the thread count."""


@task
def recheck_one_shard(evaluation: Evaluation) -> int:
    """Recomputes one shard of maps or of shares, drawn at random; returns its number.

    Raises PlumblineError where maps, scores or shares are not those of the first run.
    """
    rechecks = [(_recheck_maps, shard) for shard in scored_shards(evaluation)]
    rechecks += [(_recheck_shares, shard) for shard in share_shards(evaluation)]
    recheck, shard = secrets.choice(rechecks)
    recheck(evaluation, shard)
    return shard


def _recheck_maps(evaluation: Evaluation, shard: int) -> None:
    if not _same_maps(compute_attributions(evaluation, shard), read_attributions(evaluation, shard)):
        raise PlumblineError(_changed(evaluation, shard, "attributions"))
    before = pd.read_parquet(evaluation.shard_folder(shard) / SCORES)
    if not _same_scores(compute_scores(evaluation, shard).scores, before):
        raise PlumblineError(_changed(evaluation, shard, "scores"))


def _recheck_shares(evaluation: Evaluation, shard: int) -> None:
    if not same_shares(compute_shares(evaluation, shard), pd.read_parquet(evaluation.shares_file(shard))):
        raise PlumblineError(_changed(evaluation, shard, "shares of relevance"))


def _same_maps(now: xr.DataArray, before: xr.DataArray) -> bool:
    """Each explainer's maps, to a part of its own largest value: scales differ between explainers."""
    return all(
        np.allclose(
            now.sel(explainer=name), values, rtol=0, atol=TOLERANCE * float(np.abs(values).max()), equal_nan=True
        )
        for name, values in ((name, before.sel(explainer=name)) for name in before["explainer"].values)
    )


def _same_scores(now: pd.DataFrame, before: pd.DataFrame) -> bool:
    keys = ["sample", "explainer", "metric", "baseline"]
    first, second = (table.set_index(keys)["value"].sort_index() for table in (now, before))
    return first.index.equals(second.index) and np.allclose(first, second, rtol=1e-2, atol=1e-3, equal_nan=True)


def _changed(evaluation: Evaluation, shard: int, what: str) -> str:
    return (
        f"{what} of shard {shard} of evaluation {evaluation.key} differ from those of its first run; "
        "expected the same, so the model, the cohort or the libraries have changed under it."
    )
