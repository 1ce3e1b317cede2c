"""What relevance filters do: truer maps, or only larger ones? And do the paper's spikes survive LRP put right?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from xai.quality.filter_calculus import probability_of_bound
from xai.quality.sweet_spot import SweetSpot, sweet_spot
from xai.quality.truer_or_larger import truer_or_larger

from ..drawing.sweep_overview import sweep_overview
from .filter_controls import control_means, region_deletion
from .filter_figures import MU, best_two, boxes, by_channel, mean_figures, papers_tables, slices
from .filter_sweep import FILTERS, PAPERS, PROPAGATIONS, RAW, RIGHT, SweptCase, swept_cases
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

CLAMP = "clamp0.05"
MEASURES: Mapping[str, str] = {
    "inclusivity": "D(relevance, truth)",
    "precision": "precision",
    "dice": "Dice of marked and truth",
    "auprc": "AUPRC",
    "relevance_mass_area_corrected": "relevance mass beyond chance",
}
"""Of the overview: the paper's coefficient, and what it leaves out."""
CRITERION = "dice_area_corrected"
"""By which the sweet spot is sought: it rewards what is marked rightly and charges what is marked beside it."""
MU_BOUND = 0.1
DIFFERENCE = "difference"

TEXT = """Each case is explained under sixteen settings: raw relevance, ten pass and five clamp filters at the points
where Tjoa et al. filter, by LRP put right (z+, z-box [0, 1] at the inputs, skips summed, started at the predicted
lesion) and by the paper's code with its defects. Maps are taken back to the case's own grid. A point is marked above
half of its channel's largest |R|, as in the paper; D is the share of the truth that is marked, and says nothing of what
is marked beside it. Precision, Dice, AUPRC and relevance mass do. Means are over {cases} cases, a case's channels
averaged first. Whether a filter makes a map truer to the network is asked by removing what it marks: what the lesion
sum loses beyond the loss of as many random points of the brain, on {thorough} cases."""


def inspect(looked: Inspected) -> Finding:
    """The paper's figures 1, 3, 5 and annexes 2 to 4, and the two questions that it left open, in numbers."""
    tables: list[pd.DataFrame] = []
    shown: dict[str, SweptCase] = {}
    for case in swept_cases(looked):
        tables.append(case.table())
        shown = best_two(shown, case)
    table = pd.concat(tables, ignore_index=True)
    means = subject_means(table, ["propagation", "filter", "metric"])
    deletion, subjects = region_deletion(looked)
    verdicts = truer_or_larger(deletion, subjects, unfiltered=RAW)
    controls = control_means(looked)
    cases = list(shown.values())
    return Finding(
        title="Do relevance filters make maps truer, or only larger?",
        text=TEXT.format(cases=table["case"].nunique(), thorough=len(set(subjects))),
        verdicts=(*_spikes(table), *_clamping(means), *_changes(verdicts), *_sweet_spots(table), *_bound(table)),
        figures={
            **boxes(table, cases),
            **slices(looked, cases),
            **mean_figures(table),
            "sweep": Drawn(
                "Every filter by what the paper measures and by what it leaves out; LRP put right.",
                sweep_overview(
                    means[means["propagation"] == RIGHT], controls, MEASURES, title="Truer, or only larger?"
                ),
            ),
        },
        tables={
            "filter_sweep": means,
            "filter_sweep_by_channel": by_channel(table),
            "filter_verdicts": verdicts.rename(columns={"explainer": "filter"}),
            **papers_tables(table, cases),
        },
    )


def _spikes(table: pd.DataFrame) -> Iterator[str]:
    """Whether raw relevance is made of spikes, by both propagations and their paired difference, and where it lies."""
    found = _raw_by_propagation(table, "spike_share")
    right, papers, more = (one_row(found, which=name) for name in (RIGHT, PAPERS, DIFFERENCE))
    lying = _raw_by_propagation(table, "precision")
    inside, papers_inside = (one_row(lying, which=name) for name in (RIGHT, PAPERS))
    survive = "shrink under" if more["ci_low"] > 0 else "survive"
    yield (
        f"spikes {survive} LRP put right: the strongest thousandth of the brain's voxels holds "
        f"{interval_text(right, percent=True)} of |R|, with the paper's code {interval_text(papers, percent=True)} "
        f"(0.1 % were it spread evenly); difference {interval_text(more, percent=True)}"
    )
    yield (
        f"of the voxels above half the largest |R|, {interval_text(inside, percent=True)} are lesion by LRP put right, "
        f"{interval_text(papers_inside, percent=True)} by the paper's code"
    )


def _raw_by_propagation(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over cases of a metric of raw relevance, by propagation (column ``which``) and of their difference."""
    raw = table[(table["filter"] == RAW) & (table["metric"] == metric)]
    by_case = raw.groupby(["subject", "propagation"])["value"].mean().unstack("propagation")
    by_case[DIFFERENCE] = by_case[PAPERS] - by_case[RIGHT]
    return subject_means(by_case.melt(var_name="which", ignore_index=False).reset_index(), ["which"])


def _clamping(means: pd.DataFrame) -> Iterator[str]:
    """What the paper's strongest clamp gains in D, and what becomes of precision."""
    for propagation in PROPAGATIONS:
        rows = means[means["propagation"] == propagation]
        parts = [
            f"{words} from {interval_text(one_row(rows, filter=RAW, metric=metric))} to "
            f"{interval_text(one_row(rows, filter=CLAMP, metric=metric))}"
            for metric, words in (*MEASURES.items(), ("area", "marked share of the volume"))
        ]
        yield f"{CLAMP}, {propagation}: {'; '.join(parts)}"


def _changes(verdicts: pd.DataFrame) -> Iterator[str]:
    """Which filters make a map truer, which only larger; and what removing the clamped map's marks costs the score."""
    by_verdict = verdicts.drop_duplicates("explainer").groupby("verdict")["explainer"]
    words = [f"{word}: {', '.join(names)}" for word, names in by_verdict]
    yield f"{RIGHT}, against raw: {'; '.join(words)}"
    row = one_row(verdicts, explainer=CLAMP, metric="deletion_gain")
    yield (
        f"{CLAMP}, {RIGHT}: removing what is marked costs the lesion sum, beyond as many random points of the brain, "
        f"{interval_text(row.rename({'difference': 'mean'}))} of itself more than for raw relevance"
    )


def _sweet_spots(table: pd.DataFrame) -> Iterator[str]:
    """The best pass filter from 0 by the stated criterion and, beside it, by the paper's D."""
    names = [name for name in FILTERS if name.startswith("pass0-")]
    alphas = [float(name.removeprefix("pass0-")) for name in names]
    for propagation in PROPAGATIONS:
        for metric in (CRITERION, "inclusivity"):
            rows = table[(table["propagation"] == propagation) & (table["metric"] == metric)]
            by_case = rows.groupby(["subject", "filter"])["value"].mean().unstack("filter").reindex(columns=names)
            if by_case.dropna().empty:
                yield f"sweet spot, {propagation}, by {metric}: undefined in every case"
                continue
            spot = sweet_spot(by_case, alphas)
            best = one_row(spot.filters, explainer=spot.explainer)
            yield (
                f"sweet spot of (0, alpha) pass filters, {propagation}, by {metric}: alpha {spot.alpha:g}, "
                f"{_surely(spot, best)}"
            )


def _surely(spot: SweetSpot, best: pd.Series) -> str:
    """How surely the best filter is the best."""
    if not np.isfinite(spot.alpha_low):
        return f"{best['mean']:.3f} (too few for an interval)"
    return (
        f"interval [{spot.alpha_low:g}, {spot.alpha_high:g}], {best['mean']:.3f} [{best['ci_low']:.3f}, "
        f"{best['ci_high']:.3f}], best in {100 * best['wins']:.0f} % of resamples"
    )


def _bound(table: pd.DataFrame) -> Iterator[str]:
    """The paper's bound on the normalised mean, with its probability."""
    for propagation in PROPAGATIONS:
        rows = table[(table["propagation"] == propagation) & (table["filter"] == RAW) & (table["metric"] == MU)]
        mu = rows.groupby(["subject", "channel"])["value"].mean().unstack("channel").to_numpy()
        if np.isnan(mu).all():
            yield f"normalised means, {propagation}: undefined in every case"
            continue
        found = probability_of_bound(mu, MU_BOUND)
        yield (
            f"P(mu <= {MU_BOUND:g}) of raw relevance, {propagation}: {found.share:.2f} [{found.low:.2f}, "
            f"{found.high:.2f}], {found.inside} of {found.subjects} cases in all channels"
        )
