"""Has a filter made maps truer, or only larger? Each filter of a sweep against the map without one, by subject."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .comparison import compare

TRUER = ("dice", "auprc", "deletion_gain")
"""What a larger map does not raise by itself; D, the inclusivity, rises with the area alone."""
COMPARED = ("area", "inclusivity", "precision", *TRUER)


def truer_or_larger(
    table: pd.DataFrame,
    subjects: Sequence[str],
    *,
    unfiltered: str,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """What each filter changes against the ``unfiltered`` map, and a verdict.

    ``table`` is that of `sweep_table`, ``subjects`` whose each sample is, by its position. Returns one row per filter
    and metric of `COMPARED`, columns ``explainer, metric, difference, ci_low, ci_high, p_adjusted, subjects, verdict``:
    the mean paired difference over subjects, positive where the filter raises it; p by sign flips, corrected over the
    filters (Holm). The verdict is the same in all rows of a filter: ``"truer"`` where one of `TRUER` has risen and none
    has fallen, ``"falser"`` the other way round, ``"mixed"`` where some have risen and some have fallen, else
    ``"larger"`` or ``"smaller"`` where the area has changed, else ``"no difference shown"``. Raises ValueError where
    the table lacks the unfiltered map.
    """
    named = table.assign(subject=[subjects[sample] for sample in table["sample"]])
    tables = [_metric(named, metric, unfiltered, resamples, seed, level) for metric in COMPARED]
    found = pd.concat(tables, ignore_index=True)
    verdicts = {name: _verdict(rows, unfiltered) for name, rows in found.groupby("explainer", sort=False)}
    found["verdict"] = found["explainer"].map(verdicts)
    columns = ["explainer", "metric", "difference", "ci_low", "ci_high", "p_adjusted", "subjects", "verdict"]
    return found[columns]


def _metric(table: pd.DataFrame, metric: str, unfiltered: str, resamples: int, seed: int, level: float) -> pd.DataFrame:
    by_subject = table.groupby(["subject", "explainer"], sort=False)[metric].mean().unstack().sort_index()
    pairs = [(name, unfiltered) for name in table["explainer"].unique() if name != unfiltered]
    found = compare(
        by_subject, pairs, metric=metric, direction="higher", resamples=resamples, seed=seed, level=level
    )  # fmt: skip
    return found.rename(columns={"first": "explainer"})


def _verdict(rows: pd.DataFrame, unfiltered: str) -> str:
    winner = rows.set_index("metric")["winner"]
    risen = {metric for metric, name in winner.items() if name not in ("", unfiltered)}
    fallen = {metric for metric, name in winner.items() if name == unfiltered}
    truer, falser = bool(risen & {*TRUER}), bool(fallen & {*TRUER})
    if truer or falser:
        return "mixed" if truer and falser else "truer" if truer else "falser"
    if "area" in risen | fallen:
        return "larger" if "area" in risen else "smaller"
    return "no difference shown"
