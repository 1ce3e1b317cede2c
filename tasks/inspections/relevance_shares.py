"""Which modality or wave does the relevance fall on, by fold and by true and predicted class?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xai.quality.share_groups import group_shares

from ..drawing.fold_confusions import fold_confusions
from ..drawing.modality_shares import modality_shares
from ..drawing.share_groups import share_groups
from .finding import Drawn, Finding
from .inspected import Inspected

TEXT = """Each tested sample is explained for the class that the network gives, by a member that never saw its subject,
and the absolute relevance on each part of the input is summed. A share is a ratio of sums over samples, so that a
sample counts by how much relevance it has; the mean of the samples' own shares stands beside it in the tables. With
an epsilon far above the activations nearly all relevance is absorbed on the way, and only the share has a meaning."""


def inspect(looked: Inspected) -> Finding:
    """Shares over folds (Ellis et al., 2021, Figure 1) and by true and predicted class (Figure 2)."""
    shares = looked.shares_taken()
    whole = in_order(looked, group_shares(shares, by=()))
    by_fold = in_order(looked, group_shares(shares, by=("fold",), resamples=1))
    by_group = in_order(looked, group_shares(shares))
    by_group_fold = in_order(looked, group_shares(shares, by=("true", "predicted", "fold"), resamples=1))
    confusions = _confusions(shares)
    return Finding(
        title="Which part of the input does the relevance fall on?",
        text=TEXT,
        verdicts=tuple(_orders(whole)),
        figures={
            "modality-shares": Drawn(
                "Percent of absolute relevance on each part of the input, by rule; a point is a fold.",
                modality_shares(by_fold, title="Where does the relevance go?"),
            ),
            "share-groups": Drawn(
                "The same by true class (row) and predicted class (column): boxes over folds, pooled share with its "
                "95 % interval over subjects.",
                share_groups(by_group, by_group_fold, looked.classes, title="Shares by true and predicted class"),
            ),
            "confusions": Drawn(
                "Percent of each true class that the folds put into each class, together and fold by fold.",
                fold_confusions(confusions, looked.classes, title="How the folds classify", samples="samples"),
            ),
        },
        tables={"shares": whole, "shares_by_fold": by_fold, "shares_by_group": by_group, "confusions": confusions},
    )


def _confusions(shares: pd.DataFrame) -> pd.DataFrame:
    """Number of samples by fold, true and predicted class."""
    once = shares.drop_duplicates(["sample", "fold"])
    return once.groupby(["fold", "true", "predicted"]).size().rename("count").reset_index()


def in_order(looked: Inspected, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table in the order of explainers and parts that the shares have, and of the cohort's classes."""
    shares = looked.shares_taken()
    places = {
        "explainer": list(dict.fromkeys(shares["explainer"])),
        "part": list(dict.fromkeys(shares["part"])),
        "true": list(looked.classes),
        "predicted": list(looked.classes),
    }
    keys = [name for name in ("explainer", "fold", "true", "predicted", "part") if name in table]
    ranks = pd.DataFrame({key: table[key].map(places[key].index) if key in places else table[key] for key in keys})
    return table.loc[ranks.sort_values(keys).index].reset_index(drop=True)


def _orders(whole: pd.DataFrame) -> Iterator[str]:
    """The order of the parts by each rule, every share with its interval."""
    for explainer, rows in whole.groupby("explainer", sort=False):
        ranked = rows.sort_values("share", ascending=False)
        shares = ", ".join(_share(row) for _, row in ranked.iterrows())
        yield f"{explainer}: {shares} ({rows['n_subjects'].max()} subjects, {rows['n_epochs'].max():,} samples)"


def _share(row: pd.Series) -> str:
    interval = "" if np.isnan(row["ci_low"]) else f" [{row['ci_low']:.0f}, {row['ci_high']:.0f}]"
    return f"{row['part']} {row['share']:.0f} %{interval}"
