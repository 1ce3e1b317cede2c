"""Which modality or wave does the relevance fall on, by fold and by true and predicted class?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xai.quality.share_groups import group_shares

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
    whole = group_shares(shares.assign(all="all"), by=("all",)).drop(columns="all")
    by_fold = group_shares(shares, by=("fold",), resamples=1)
    by_group = group_shares(shares)
    by_group_fold = group_shares(shares, by=("true", "predicted", "fold"), resamples=1)
    order = _in_order(looked, shares)
    return Finding(
        title="Which part of the input does the relevance fall on?",
        text=TEXT,
        verdicts=tuple(_orders(order(whole))),
        figures={
            "modality-shares": Drawn(
                "Percent of absolute relevance on each part of the input, by rule; a point is a fold.",
                modality_shares(order(by_fold), title="Where does the relevance go?"),
            ),
            "share-groups": Drawn(
                "The same by true class (row) and predicted class (column): boxes over folds, pooled share with its "
                "95 % interval over subjects.",
                share_groups(
                    order(by_group), order(by_group_fold), looked.classes, title="Shares by true and predicted class"
                ),
            ),
        },
        tables={"shares": order(whole), "shares_by_fold": order(by_fold), "shares_by_group": order(by_group)},
    )


def _in_order(looked: Inspected, shares: pd.DataFrame):  # type: ignore[no-untyped-def]
    """Puts rows into the catalogue's order of explainers and the cohort's order of parts."""
    explainers, parts = list(dict.fromkeys(shares["explainer"])), list(dict.fromkeys(shares["part"]))

    def ordered(table: pd.DataFrame) -> pd.DataFrame:
        places = {"explainer": explainers, "part": parts, "true": looked.classes, "predicted": looked.classes}
        keys = [name for name in ("explainer", "fold", "true", "predicted", "part") if name in table]
        ranks = pd.DataFrame({k: table[k].map(list(places[k]).index) if k in places else table[k] for k in keys})
        return table.loc[ranks.sort_values(keys).index].reset_index(drop=True)

    return ordered


def _orders(whole: pd.DataFrame) -> Iterator[str]:
    """The order of the parts by each rule, every share with its interval."""
    for explainer, rows in whole.groupby("explainer", sort=False):
        ranked = rows.sort_values("share", ascending=False)
        shares = ", ".join(_share(row) for _, row in ranked.iterrows())
        yield f"{explainer}: {shares} ({rows['n_subjects'].max()} subjects, {rows['n_epochs'].max():,} samples)"


def _share(row: pd.Series) -> str:
    interval = "" if np.isnan(row["ci_low"]) else f" [{row['ci_low']:.0f}, {row['ci_high']:.0f}]"
    return f"{row['part']} {row['share']:.0f} %{interval}"
