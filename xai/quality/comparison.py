"""Paired comparison of explainers: the subject is the statistical unit.

Scores of samples are first averaged within each subject. Explainers are then compared pair by pair on
the same subjects: mean paired difference with a bootstrap interval over subjects, a sign-flip
permutation p and a signed-rank p, corrected over a family of pairs that is declared beforehand.

How the intervals and the permutations are drawn stands in `resampling`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from .resampling import FEWEST_SUBJECTS, Array, Correction, adjusted, defined_blocks, mean_intervals, sign_flip_p

Direction = Literal["higher", "lower"]
Pairs = Sequence[tuple[str, str]]

MOST_EXACT_RANKS = 50
"""SciPy's own bound for the exact distribution of the signed ranks."""

COLUMNS = (
    "first", "second", "metric", "direction", "baseline", "difference", "ci_low", "ci_high", "level",
    "p", "p_signed_rank", "p_adjusted", "correction", "effect_size", "rank_biserial",
    "subjects", "in_favour", "dropped", "winner", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Friedman:
    """Friedman's rank test over all explainers; ``mean_ranks`` by explainer, 1 = best."""

    statistic: float
    p: float
    mean_ranks: Mapping[str, float]
    subjects: int
    dropped: int


# Families: which pairs are compared is declared before any score is seen.


def every_pair(explainers: Sequence[str]) -> list[tuple[str, str]]:
    """Every explainer against every other, once."""
    return list(combinations(explainers, 2))


def against_controls(
    explainers: Sequence[str], controls: Sequence[str] = ("random", "amplitude")
) -> list[tuple[str, str]]:
    """Every explainer against each of the ``controls``."""
    return [(name, control) for name, control in product(explainers, controls) if name not in controls]


# From samples to subjects.


def by_subject(scores: pd.DataFrame) -> pd.DataFrame:
    """Averages the defined values of each subject, explainer, metric and baseline.

    ``scores`` is long: columns ``subject, explainer, metric, baseline, value`` (NaN = undefined) and,
    where known, ``class``. Returns columns ``subject, class_name, explainer, metric, baseline, value, n,
    n_undefined``; ``class_name`` is "" over all classes, and each class has its own rows besides. ``n``
    counts the samples averaged, ``n_undefined`` those left out; ``value`` is NaN where ``n`` is 0.
    """
    _check_scores(scores)
    tables = [_average(scores.assign(class_name=""))]
    if "class" in scores:
        known = scores[scores["class"].notna()]
        tables.append(_average(known.assign(class_name=known["class"].astype(str))))
    return pd.concat(tables, ignore_index=True)


def _average(scores: pd.DataFrame) -> pd.DataFrame:
    keys = ["subject", "class_name", "explainer", "metric", "baseline"]
    # Sorting by value makes the sums, and so every later digit, independent of the order of the rows.
    groups = scores.sort_values("value").groupby(keys, sort=True)["value"]
    table = groups.agg(value="mean", n="count", rows="size").reset_index()
    table["n_undefined"] = table.pop("rows") - table["n"]
    return table


def subject_table(subject_scores: pd.DataFrame, metric: str, baseline: str = "", class_name: str = "") -> pd.DataFrame:
    """Subjects x explainers of one metric, out of what `by_subject` returns; NaN = undefined."""
    chosen = subject_scores[
        (subject_scores["metric"] == metric)
        & (subject_scores["baseline"] == baseline)
        & (subject_scores["class_name"] == class_name)
    ]
    if chosen.empty:
        raise ValueError(
            f"subject_scores hold no metric {metric!r} with baseline {baseline!r} and class {class_name!r}."
        )
    return chosen.pivot(index="subject", columns="explainer", values="value").sort_index()


# Comparison.


def compare(
    subject_scores: pd.DataFrame,
    pairs: Pairs,
    *,
    metric: str,
    direction: Direction,
    baseline: str = "",
    correction: Correction = "holm",
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    unit: str = "subject",
) -> pd.DataFrame:
    """Compares each of the ``pairs`` of explainers on the subjects where both are defined.

    ``subject_scores`` is subjects x explainers (see `subject_table`), in the metric's own units;
    ``direction`` says which values are better. ``pairs`` is the declared family over which ``p`` is
    corrected: ``holm`` (confirmatory: family-wise error) or ``bh`` (exploratory: false discovery rate).
    ``unit``: what the sentences call a subject, where it is no person.

    Returns one row per pair, columns `COLUMNS`: ``difference`` is the mean of first - second with its
    interval at ``level`` (not widened for the family), ``p`` by sign flips of the mean (exact up to 14
    subjects, else ``resamples`` draws), ``p_signed_rank`` by Wilcoxon, ``effect_size`` Cohen's d_z and
    ``rank_biserial`` the matched-pairs rank-biserial correlation (both signed as ``difference``).
    ``in_favour`` counts the subjects on the side of the explainer that is better on the mean;
    ``dropped`` those undefined in either. ``winner`` is the better explainer where the adjusted p is at
    most 1 - level and the interval excludes 0, else "". Under 3 subjects the numbers are NaN.

    Raises ValueError on an unknown explainer, direction or correction, a duplicate, or a bad number.
    """
    _check(subject_scores, pairs, direction, correction, resamples, level)
    differences = _differences(subject_scores, pairs)
    rows = _paired_numbers(differences, resamples, seed, level).assign(
        first=[first for first, _ in pairs],
        second=[second for _, second in pairs],
        metric=metric,
        direction=direction,
        baseline=baseline,
        level=level,
        correction=correction,
        in_favour=_in_favour(differences, direction),
    )
    rows["p_adjusted"] = adjusted(rows["p"].to_numpy(dtype=float), correction)
    rows["dropped"] = len(subject_scores) - rows["subjects"]
    rows["winner"] = [_winner(row) for _, row in rows.iterrows()]
    rows["verdict"] = [verdict(row, unit) for _, row in rows.iterrows()]
    return rows[list(COLUMNS)]


def _differences(table: pd.DataFrame, pairs: Pairs) -> Array:
    """``(subject, pair)``, first - second; NaN where either is undefined."""
    values = table.to_numpy(dtype=float)
    column = {name: position for position, name in enumerate(table.columns)}
    first = [column[first] for first, _ in pairs]
    second = [column[second] for _, second in pairs]
    return values[:, first] - values[:, second]


def _paired_numbers(differences: Array, resamples: int, seed: int, level: float) -> pd.DataFrame:
    """One row of numbers per pair (column of ``differences``)."""
    rows = pd.DataFrame({"subjects": (~np.isnan(differences)).sum(axis=0)})
    numbers = ["difference", "ci_low", "ci_high", "p", "p_signed_rank", "effect_size", "rank_biserial"]
    rows[numbers] = np.nan
    for chosen, block in defined_blocks(differences):
        if len(block) >= FEWEST_SUBJECTS:
            low, high = mean_intervals(block, resamples, seed, level)
            rows.loc[chosen, numbers] = np.column_stack([
                block.mean(axis=0), low, high, sign_flip_p(block, resamples, seed), _signed_rank_p(block),
                _cohen_d_z(block), _rank_biserial(block),
            ])  # fmt: skip
    return rows


def _signed_rank_p(values: Array) -> Array:
    """Two-sided Wilcoxon p of each column; 1 where no difference is other than 0.

    Exact up to 50 subjects; by the normal approximation where differences are 0 or tied, for which SciPy would
    permute column by column, at a minute per thousand of them.
    """
    p = np.ones(values.shape[1])
    sizes = np.sort(np.abs(values), axis=0)
    untied = (sizes[0] > 0) & (np.diff(sizes, axis=0) > 0).all(axis=0)
    if untied.any():
        method = "exact" if len(values) <= MOST_EXACT_RANKS else "asymptotic"
        p[untied] = stats.wilcoxon(values[:, untied], axis=0, method=method).pvalue
    tied = ~untied & (values != 0).any(axis=0)
    if tied.any():
        p[tied] = stats.wilcoxon(values[:, tied], axis=0, method="asymptotic").pvalue
    return p


def _cohen_d_z(values: Array) -> Array:
    """Mean over standard deviation of the differences in each column; NaN where all are equal."""
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    varies = deviation > 1e-12 * np.abs(mean)
    return np.divide(mean, deviation, out=np.full_like(mean, np.nan), where=varies)


def _rank_biserial(values: Array) -> Array:
    """Signed over all rank sums of the non-zero differences (Kerby, 2014); NaN where there are none."""
    sizes = np.where(values == 0, np.nan, np.abs(values))
    ranks = np.nan_to_num(stats.rankdata(sizes, axis=0, nan_policy="omit"))
    total = ranks.sum(axis=0)
    signed = (ranks * np.sign(values)).sum(axis=0)
    return np.divide(signed, total, out=np.full_like(total, np.nan), where=total > 0)


def _in_favour(differences: Array, direction: Direction) -> list[int]:
    """Subjects on the side of the explainer that is better on the mean (the first where equal)."""
    gains = differences if direction == "higher" else -differences
    totals = np.nansum(gains, axis=0)
    return [int(((g if t >= 0 else -g) > 0).sum()) for g, t in zip(gains.T, totals, strict=True)]


def _winner(row: pd.Series) -> str:
    shown = row["p_adjusted"] <= 1 - row["level"] + 1e-12 and not row["ci_low"] <= 0 <= row["ci_high"]
    if not shown:
        return ""
    first_is_better = (row["difference"] > 0) == (row["direction"] == "higher")
    return str(row["first"] if first_is_better else row["second"])


# Words.

_BETTER = {
    "max_sensitivity": "more stable",
    "complexity": "simpler",
    "gini": "sparser",
    "cascading_randomisation": "more dependent on the model",
    "efficient_randomisation": "more dependent on the model",
    "random_logit": "more specific to the class",
    "relevance_mass": "better localised",
    "relevance_rank": "better localised",
    "pointing_game": "better localised",
    "auprc": "better localised",
    "inclusivity": "better localised",
    "precision": "better localised",
    "dice": "better localised",
    "input_inclusivity": "wider over the signal",
    "fold_agreement": "more alike across folds",
}


def verdict(row: Mapping[str, Any] | pd.Series, unit: str = "subject") -> str:
    """One plain sentence for a row of `compare`; a difference is told from the winner's side.

    ``unit`` says what a subject is, where it is no person.
    """
    names = f"{row['first']} and {row['second']}"
    metric = _metric_words(str(row["metric"]), str(row["baseline"]))
    if np.isnan(row["difference"]):
        return f"too few {unit}s to compare {names}: {metric}, {row['subjects']} of at least {FEWEST_SUBJECTS} {unit}s"
    tail = f"{_p_words(row['p_adjusted'])} ({ {'holm': 'Holm', 'bh': 'BH'}[row['correction']] })"
    if not row["winner"]:
        numbers = _interval_words(row["difference"], row["ci_low"], row["ci_high"])
        return f"no difference shown between {names}: {metric} {numbers}, {row['subjects']} {unit}s, {tail}"
    numbers = (
        _interval_words(row["difference"], row["ci_low"], row["ci_high"])
        if row["winner"] == row["first"]
        else _interval_words(-row["difference"], -row["ci_high"], -row["ci_low"])
    )
    loser = row["second"] if row["winner"] == row["first"] else row["first"]
    plain = str(row["metric"]).removesuffix("_probability").removesuffix("_area_corrected")
    better = _BETTER.get(plain, "more faithful")
    return (
        f"{row['winner']} is {better} than {loser}: {metric} {numbers}, "
        f"{row['in_favour']} of {row['subjects']} {unit}s, {tail}"
    )


def _metric_words(metric: str, baseline: str) -> str:
    stem = metric.removesuffix("_probability")
    words = stem.replace("_", " ").replace(" auc", " AUC")
    notes = [baseline] * bool(baseline) + ["probability"] * (stem != metric)
    return f"{words} ({', '.join(notes)})" if notes else words


def _interval_words(mean: float, low: float, high: float) -> str:
    """As many decimals as the interval's half width has weight; none of the numbers rounds to 0."""
    half = (high - low) / 2
    decimals = int(np.clip(-np.floor(np.log10(half)), 0, 6)) if half > 0 else 2
    while decimals < 6 and any(value != 0 and round(value, decimals) == 0 for value in (mean, low, high)):
        decimals += 1
    shown = [f"{round(value, decimals) + 0.0:.{decimals}f}" for value in (mean, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _p_words(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


# One explainer by itself, subgroups, all explainers at once.


def mean_table(
    subject_scores: pd.DataFrame, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Mean over subjects of every explainer (column of ``subject_scores``) with its interval.

    Returns columns ``explainer, mean, ci_low, ci_high, subjects, undefined``; no interval under 3 subjects.
    """
    values = subject_scores.to_numpy(dtype=float)
    table = pd.DataFrame({"explainer": subject_scores.columns, "mean": np.nan, "ci_low": np.nan,
                          "ci_high": np.nan, "subjects": (~np.isnan(values)).sum(axis=0)})  # fmt: skip
    table["undefined"] = len(values) - table["subjects"]
    for chosen, block in defined_blocks(values):
        if len(block) > 0:
            table.loc[chosen, "mean"] = block.mean(axis=0)
        if len(block) >= FEWEST_SUBJECTS:
            bounds = mean_intervals(block, resamples, seed, level)
            table.loc[chosen, ["ci_low", "ci_high"]] = np.column_stack(bounds)
    return table


def subgroup_means(
    subject_scores: pd.DataFrame,
    demographics: pd.DataFrame,
    *,
    minimum: int = 1,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean of every explainer in every group of every factor.

    ``subject_scores`` is subjects x explainers, ``demographics`` subjects x factors (sex, age band, a
    drug); subjects whose group is unknown (NaN, None) are left out of that factor. Returns columns
    ``factor, group`` and those of `mean_table`, and ``suppressed``: a cell of fewer than ``minimum``
    defined subjects is suppressed, its numbers and counts are missing. Where it is the only one of its factor, so is
    the smallest of the others: the total would give it away.
    """
    tables = []
    for factor in demographics.columns:
        groups = demographics[factor].reindex(subject_scores.index).dropna().astype(str)
        for group, members in groups.groupby(groups, sort=True):
            cell = mean_table(subject_scores.loc[members.index], resamples=resamples, seed=seed, level=level)
            tables.append(cell.assign(factor=str(factor), group=group))
    columns = ["factor", "group", "explainer", "mean", "ci_low", "ci_high", "subjects", "undefined"]
    table = pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    table = table.astype({"subjects": "Int64", "undefined": "Int64"})
    table["suppressed"] = (table["subjects"] < minimum).astype(bool)
    _suppress_complements(table)
    table.loc[table["suppressed"], ["mean", "ci_low", "ci_high"]] = np.nan
    table.loc[table["suppressed"], ["subjects", "undefined"]] = pd.NA
    return table


def _suppress_complements(table: pd.DataFrame) -> None:
    """No factor keeps a single suppressed cell of an explainer, which totals less the other cells would give away."""
    for _, cells in table.groupby(["factor", "explainer"]):
        if cells["suppressed"].sum() == 1 and len(cells) > 1:
            smallest = cells.loc[~cells["suppressed"], "subjects"].astype(int).idxmin()
            table.loc[smallest, "suppressed"] = True


def friedman(subject_scores: pd.DataFrame, *, direction: Direction) -> Friedman:
    """Do the explainers (columns) differ at all? Friedman's test on subjects where all are defined.

    NaN under 3 subjects or 3 explainers, and where every subject ranks all explainers equal.
    """
    _check_choice("direction", direction, Direction)
    complete = subject_scores.dropna()
    dropped = len(subject_scores) - len(complete)
    ranks = complete.rank(axis=1, ascending=direction == "lower").mean()
    mean_ranks = {str(name): float(rank) for name, rank in ranks.items()}
    undefined = Friedman(float("nan"), float("nan"), mean_ranks, len(complete), dropped)
    if len(complete) < FEWEST_SUBJECTS or complete.shape[1] < 3 or (complete.nunique(axis=1) == 1).all():
        return undefined
    statistic, p = stats.friedmanchisquare(*complete.to_numpy(dtype=float).T)
    return Friedman(float(statistic), float(p), mean_ranks, len(complete), dropped)


# Checks.


def _check(table: pd.DataFrame, pairs: Pairs, direction: str, correction: str, resamples: int, level: float) -> None:
    _check_choice("direction", direction, Direction)
    _check_choice("correction", correction, Correction)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1.")
    if not table.index.is_unique or not table.columns.is_unique:
        raise ValueError("subject_scores hold a subject or explainer twice; expected each of them once.")
    unknown = sorted({name for pair in pairs for name in pair} - set(table.columns))
    if unknown:
        raise ValueError(f"pairs name {unknown}; expected explainers out of {sorted(table.columns)}.")
    # A pair counted twice, or against itself, would change the size of the family.
    if len({frozenset(pair) for pair in pairs}) < len(pairs) or any(a == b for a, b in pairs):
        raise ValueError("pairs hold a pair twice or an explainer against itself; expected distinct pairs.")


def _check_choice(argument: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{argument} is {value!r}; expected one of {get_args(choices)}.")


def _check_scores(scores: pd.DataFrame) -> None:
    keys = ["subject", "explainer", "metric", "baseline"]
    missing = [name for name in [*keys, "value"] if name not in scores]
    if missing:
        raise ValueError(f"scores lack the columns {missing}; expected {[*keys, 'value']}.")
    empty = [name for name in keys if scores[name].isna().any()]
    if empty:
        raise ValueError(f"scores have rows without a value in {empty}; expected one in every row.")
