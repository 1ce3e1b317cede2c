"""What a version says of the cohort of an evaluation: the prediction of each sample by the member that may judge it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from models.bundle import LESION, Bundle, load_bundle

from ..cohorts.store import Cohort
from ..progress import track
from ..training.segmentation import Overlap
from .evaluation import SELECTION_SEED, Evaluation, to_explain, write_table
from .judges import judging_members, network_of

PREDICTIONS = "predictions.parquet"
MOST_PER_CELL = 100
"""Samples of each subject and class that are predicted: enough for a rate, and no hours on millions of beats."""
READ_AT_ONCE = 1024


def predictions(evaluation: Evaluation) -> pd.DataFrame:
    """Columns sample, subject, label and prediction (class indices); of a segmentation sample, subject and dice.

    Up to 100 samples of each subject and class, the same ones for every version that is judged on the cohort. Dice is
    that of the lesion on the network's grid. Kept in the evaluation's folder and made once.
    """
    path = evaluation.folder / PREDICTIONS
    if not path.exists():
        write_table(predict(evaluation), path)
    return pd.read_parquet(path)


def predict(evaluation: Evaluation) -> pd.DataFrame:
    """What `predictions` keeps, computed."""
    cohort = Cohort.open(evaluation.cohort)
    version = load_bundle(evaluation.bundle)
    chosen = predicted_samples(cohort, judging_members(cohort, evaluation.bundle))
    if chosen.empty:
        return pd.DataFrame(columns=["sample", "subject", "label", "prediction"], dtype=np.int64)
    tables = [
        _of_member(cohort, version, network_of(version, int(str(member))), rows)
        for member, rows in chosen.groupby("member", sort=True)
    ]
    return pd.concat(tables).sort_values("sample", ignore_index=True)


def predicted_samples(cohort: Cohort, members: pd.Series) -> pd.DataFrame:
    """Columns subject, label and member, indexed by sample. Which are drawn does not depend on the members."""
    shuffled = np.random.default_rng(SELECTION_SEED).permutation(cohort.samples.index.to_numpy())
    judged = members.index.intersection(to_explain(cohort))
    table = cohort.samples.loc[shuffled[np.isin(shuffled, judged)], ["subject", "label"]]
    table = table[table["label"] >= 0].groupby(["subject", "label"], sort=False).head(MOST_PER_CELL)
    return table.assign(member=members.loc[table.index]).sort_index()


def _of_member(cohort: Cohort, version: Bundle, network: nn.Module, rows: pd.DataFrame) -> pd.DataFrame:
    """The table of one member; ``rows`` as `predicted_samples` gives them."""
    numbers = rows.index.to_numpy()
    table = pd.DataFrame({"sample": numbers, "subject": rows["subject"].to_numpy()})
    if cohort.volume is not None:
        logits = _logits(cohort, version, network, numbers, 1)
        return table.assign(dice=[_dice(cohort, given, sample) for sample, given in logits])
    given = [logits.argmax(dim=1).numpy() for _, logits in _logits(cohort, version, network, numbers, READ_AT_ONCE)]
    return table.assign(label=rows["label"].to_numpy(dtype=np.int64), prediction=np.concatenate(given))


def _logits(
    cohort: Cohort, version: Bundle, network: nn.Module, numbers: np.ndarray, together: int
) -> Iterator[tuple[int, Tensor]]:
    """Logits of so many samples at a time, with the number of the first of them."""
    for start in track(range(0, len(numbers), together), f"{cohort.study}: predictions"):
        part = numbers[start : start + together]
        with torch.inference_mode():
            yield int(part[0]), network(version.normalise(torch.from_numpy(cohort.signals(part))))


def _dice(cohort: Cohort, logits: Tensor, sample: int) -> float:
    truth = cohort.evidence(np.array([sample]))[0, 0]
    return Overlap.of((logits.argmax(dim=1)[0] == LESION).numpy(), truth).dice
