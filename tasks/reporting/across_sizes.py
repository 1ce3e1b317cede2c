"""Figures 3, 5 D and annex 2 of Tjoa et al. (2019) by series: the sweep over filters of a study's versions by size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ..drawing.inclusivity import inclusivity_boxes
from ..drawing.normalised_means import normalised_means
from ..evaluating.evaluation import Evaluation
from ..evaluating.judging import read_csv
from .page import Picture, Section

BY_CHANNEL = "filter_sweep_by_channel"
"""The table that a sweep leaves: one row per case, net, channel, propagation, filter and metric."""
AGAINST: Mapping[str, str] = {"inclusivity": "truth", "input_inclusivity": "input"}
MU = "normalised_mean"
SHOWN_CASES = 2
"""The paper shows two."""

TEXT = """Each size of the network's grid is a version of its own (--set size=A|B|C|X), and its nets are one series of
the paper's figures. Shown are the cases that every size has swept, by name the first two. The paper's numbers are
those of its figure 3, means over two nets and six channels of its case 4, explained by its code; ours are means over
the nets and channels of all shown cases."""


def across_sizes(evaluations: Mapping[str, Evaluation]) -> Section | None:
    """The chapter that sets the sizes side by side: ``evaluations`` of `inclusivity` by size, in that order.

    None where fewer than two of them swept over filters, or no case is common to all.
    """
    swept = {f"size {size}": read_csv(each, BY_CHANNEL) for size, each in evaluations.items() if _table(each).exists()}
    if len(swept) < 2:
        return None
    rows = pd.concat([table.assign(series=size) for size, table in swept.items()], ignore_index=True)
    counts = rows.groupby("case")["series"].nunique()
    common = sorted(counts.index[counts == len(swept)])[:SHOWN_CASES]
    if not common:
        return None
    mode = next(iter(evaluations.values())).mode
    shown = rows[rows["case"].isin(common)]
    return Section(
        title=f"Sizes beside each other ({mode} mode)",
        text=TEXT,
        figures=[picture for name in dict.fromkeys(rows["propagation"]) for picture in _pictures(rows, shown, name)],
        tables=[("D by filter and size, beside the paper's", beside_papers(shown))],
    )


def _table(evaluation: Evaluation) -> Path:
    return evaluation.tables / f"{BY_CHANNEL}.csv"


def _pictures(rows: pd.DataFrame, shown: pd.DataFrame, propagation: str) -> Iterator[Picture]:
    """Figure 3 on the shown cases, and the normalised means of all by pass filter and by clamp."""
    coefficients = _coefficients(shown[shown["propagation"] == propagation])
    title = f"How much of truth and input does relevance cover? {propagation}"
    yield Picture(f"Figure 3 by size, {propagation}.", inclusivity_boxes(coefficients, title=title))
    means = rows[(rows["metric"] == MU) & (rows["propagation"] == propagation)].rename(columns={"value": "mean"})
    for kind, figure in (("pass", "Figure 5 D"), ("clamp", "Annex 2")):
        chosen = means[means["filter"].str.startswith(("raw", kind))]
        title = f"Mean of relevance over its maximum, {kind} filters, {propagation}"
        yield Picture(f"{figure} by size, {propagation}.", normalised_means(chosen, title=title))


def _coefficients(rows: pd.DataFrame) -> pd.DataFrame:
    chosen = rows[rows["metric"].isin(AGAINST)]
    return chosen.assign(against=chosen["metric"].map(AGAINST))


def beside_papers(shown: pd.DataFrame) -> pd.DataFrame:
    """Mean D of our ``shown`` cases by filter, a column per propagation, ``against`` and size; the paper's last."""
    means = _coefficients(shown).pivot_table(
        index="filter", columns=["propagation", "against", "series"], values="value", sort=False
    )
    means.columns = [", ".join(names) for names in means.columns]
    papers = pd.read_csv(Path(__file__).parent / "tjoa_figure3.csv", index_col="filter")
    return means.join(papers.add_prefix("the paper prints, ")).reset_index()
