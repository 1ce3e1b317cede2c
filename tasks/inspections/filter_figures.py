"""The pictures of a sweep over relevance filters: figures 1, 3, 5 and annexes 2 to 4 of Tjoa et al."""

from __future__ import annotations

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure as InteractiveFigure

from ..drawing.geometry import Geometry
from ..drawing.inclusivity import inclusivity_boxes
from ..drawing.inclusivity import inclusivity_table as papers_table
from ..drawing.normalised_means import normalised_means
from ..drawing.relevance_slices import SegmentedCase, relevance_slices
from ..drawing.slice_viewer import slice_viewer
from .filter_sweep import PAPERS, RAW, RIGHT, SweptCase
from .finding import Drawn
from .inspected import Inspected

CLAMP, PASS, HIGH = "clamp0.05", "pass0-0.4", "pass0.1-1"
MU = "normalised_mean"


def best_two(shown: dict[str, SweptCase], case: SweptCase) -> dict[str, SweptCase]:
    """The two cases segmented best so far, one of each name: figures show where there is something to see."""
    former = shown.get(case.case)
    if former is None or case.overlap > former.overlap:
        shown = {**shown, case.case: case}
    return {one.case: one for one in sorted(shown.values(), key=lambda one: -np.nan_to_num(one.overlap))[:2]}


def _coefficients(table: pd.DataFrame, cases: list[SweptCase]) -> pd.DataFrame:
    """D of the shown cases as figure 3 takes it: case, series, filter, against and value."""
    against = {"inclusivity": "truth", "input_inclusivity": "input"}
    rows = table[table["metric"].isin(against) & table["case"].isin([case.case for case in cases])]
    return rows.assign(against=rows["metric"].map(against), series=rows["propagation"])


def boxes(table: pd.DataFrame, cases: list[SweptCase]) -> dict[str, Drawn]:
    """Figure 3."""
    coefficients = _coefficients(table, cases)
    return {
        "inclusivity-by-filter": Drawn(
            "Inclusivity coefficients of the two cases segmented best, by filter and propagation.",
            inclusivity_boxes(coefficients, title="How much of truth and input does relevance cover?"),
        )
    }


def by_channel(table: pd.DataFrame) -> pd.DataFrame:
    """What figures 3, 5 D and annex 2 are drawn from, so that versions of several sizes can be set side by side."""
    columns = ["case", "member", "channel", "propagation", "filter", "metric", "value"]
    return table.loc[table["metric"].isin(["inclusivity", "input_inclusivity", MU]), columns]


def papers_tables(table: pd.DataFrame, cases: list[SweptCase]) -> dict[str, pd.DataFrame]:
    """The table in figure 3, of each shown case."""
    coefficients = _coefficients(table, cases)
    return {
        f"inclusivity_by_filter_case{number}": papers_table(coefficients, case.case)
        for number, case in enumerate(cases, 1)
    }


def mean_figures(table: pd.DataFrame) -> dict[str, Drawn]:
    """The normalised means by pass filter (figure 5 D) and by clamp (annex 2)."""
    rows = table[table["metric"] == MU].rename(columns={"value": "mean"}).assign(series=lambda t: t["propagation"])
    drawn = {}
    for name, kind in (("normalised-means", "pass"), ("normalised-means-clamped", "clamp")):
        chosen = rows[rows["filter"].str.startswith((RAW, kind))]
        title = f"Mean of relevance over its maximum, {kind} filters"
        drawn[name] = Drawn(f"{title}: a point is a case and a channel.", normalised_means(chosen, title=title))
    return drawn


def slices(looked: Inspected, cases: list[SweptCase]) -> dict[str, Drawn]:
    """Figures 1 and 5 and annexes 3 and 4, each for both propagations."""
    first, second = cases[0], cases[-1]
    wanted = {
        "filtered-relevance": (first, (RAW, PASS, "clamp0.2")),
        "clamped-relevance": (second, (RAW, CLAMP)),
        "spikes": (first, (RAW, HIGH)),
        "passed-relevance": (second, (RAW, "pass0-0.05")),
    }
    drawn = {}
    for name, (case, filters) in wanted.items():
        for propagation, suffix in ((RIGHT, ""), (PAPERS, "-papers-code")):
            title = f"{case.case} under {', '.join(filters)}: {propagation}"
            still = relevance_slices(
                _geometry(looked, case), _segmented(case), _shown(case, propagation, filters),
                _channel(looked, case), title=title,
            )  # fmt: skip
            viewer = _viewer(looked, case, propagation) if name == "filtered-relevance" else None
            drawn[name + suffix] = Drawn(f"{title}.", still, viewer)
    return drawn


def _shown(case: SweptCase, propagation: str, filters: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: case.maps[propagation][name].numpy() for name in filters}


def _segmented(case: SweptCase) -> SegmentedCase:
    return SegmentedCase(case.native.signals, case.native.evidence, case.prediction, case.overlap)


def _geometry(looked: Inspected, case: SweptCase) -> Geometry:
    depth, height, width = case.native.evidence.shape
    return Geometry(looked.cohort.channels, looked.cohort.units, 1.0, volume=(depth, height, width))


def _channel(looked: Inspected, case: SweptCase) -> str:
    """The channel with the most relevance of LRP put right."""
    amounts = case.maps[RIGHT][RAW].abs().flatten(1).sum(dim=1)
    return looked.cohort.channels[int(amounts.argmax())]


def _viewer(looked: Inspected, case: SweptCase, propagation: str) -> InteractiveFigure:
    filters = (RAW, "pass0-0.2", PASS, HIGH, CLAMP, "clamp0.2")
    return slice_viewer(
        _geometry(looked, case),
        {case.case: case.native.signals},
        {case.case: _shown(case, propagation, filters)},
        title=f"{case.case}, {propagation}: every slice, map and filter",
        evidence={case.case: case.native.evidence},
    )
