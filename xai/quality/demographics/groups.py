"""From the table of shares to groups of epochs and units: the person-nights that carry the factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ..resampling import Array
from ..shares import centred_log_ratio
from .design import Design, Indices, check_varies

Scale = Literal["percent", "clr"]
FEWEST_SUBJECTS_PER_FOLD = 5
"""On the average; where folds are smaller, an intercept for each would cost more than it explains."""


@dataclass(frozen=True)
class Units:
    """The units over which factors vary: a subject's night or, where the table has no ``night``, a subject.

    ``subject (unit,)`` numbers the subjects from 0; ``coded (unit, factor)`` are the factors as numbers. ``fold
    (unit,)`` numbers the fold whose network explained the subject: networks differ in how they share relevance out.
    0 for all where it cannot be accounted for: no fold is told, subjects occur in several, or folds are too small.
    """

    subject: Indices
    coded: Array
    fold: Indices


@dataclass(frozen=True)
class Group:
    """The epochs of one explainer with one true and one predicted class, in an order that the table's cannot change.

    ``unit (epoch,)`` points into `Units`; ``random (epoch, column)`` numbers the levels of the random intercepts;
    ``shares (epoch, part)`` are percent. ``missing`` epochs lack a factor and ``undefined`` ones a share: both
    are left out.
    """

    explainer: str
    family: str
    true: str
    predicted: str
    unit: Indices
    random: Indices
    shares: Array
    missing: int
    undefined: int

    def values(self, scale: Scale) -> Array:
        """Shares ``(epoch, part)`` in percent or as centred log ratios."""
        return self.shares if scale == "percent" else centred_log_ratio(self.shares)


def grouped(table: pd.DataFrame, design: Design) -> tuple[Units, list[Group]]:
    """Units and declared groups of a table with one row per epoch, explainer and part.

    Columns ``sample, subject, true, predicted, explainer, part, share`` (percent), the factors, the design's
    random columns and, where they exist, ``night`` and ``fold``: a sample may occur once per fold. Raises
    ValueError where a column or part is missing, a sample occurs twice, a unit has two values of a factor, a
    factor within subjects has no nights, or a factor does not vary.
    """
    _check_columns(table, design)
    epochs = _wide(table, design)
    names = [factor.name for factor in design.factors]
    epochs[names] = np.column_stack([factor.coded(epochs[factor.name]) for factor in design.factors])
    known = epochs[names].notna().all(axis=1)
    units, unit = _units(epochs[known], design)
    check_varies(design, units.coded)
    epochs["unit"] = pd.Series(unit, index=epochs.index[known]).reindex(epochs.index, fill_value=-1)
    return units, list(_groups(epochs, design))


def _check_columns(table: pd.DataFrame, design: Design) -> None:
    factors = [factor.name for factor in design.factors]
    nights = ["night"] if len(design.within()) else []
    needed = ["sample", "subject", "true", "predicted", "explainer", "part", "share"]
    needed = list(dict.fromkeys([*needed, *factors, *design.random, *nights]))
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"table lacks the columns {missing}; expected {needed}.")


def _wide(table: pd.DataFrame, design: Design) -> pd.DataFrame:
    """One row per epoch and explainer, its shares in columns named by the parts."""
    keys = ["explainer", "subject", *[name for name in ("night", "fold") if name in table], "sample"]
    chosen = table[table["part"].isin(design.parts)]
    if chosen.duplicated([*keys, "part"]).any():
        raise ValueError(f"table holds a sample twice; expected each {keys} once per part.")
    shares = chosen.pivot(index=keys, columns="part", values="share")
    absent = [part for part in design.parts if part not in shares]
    if absent:
        raise ValueError(f"table lacks the parts {absent}; expected {list(design.parts)}.")
    facts = chosen.drop_duplicates(keys).drop(columns=["part", "share"]).set_index(keys, drop=False)
    facts.index.names = [None] * len(keys)
    shares.index.names = facts.index.names
    return facts.join(shares[list(design.parts)]).sort_index().reset_index(drop=True)


def _units(epochs: pd.DataFrame, design: Design) -> tuple[Units, Indices]:
    """The units, and the unit of each epoch."""
    names = [factor.name for factor in design.factors]
    keys = ["subject", "night"] if "night" in epochs else ["subject"]
    _check_one_value(epochs, ["subject"], [factor.name for factor in design.factors if not factor.within])
    _check_one_value(epochs, keys, names)
    groups = epochs.groupby(keys, sort=True)
    coded = groups[names].first().reset_index()
    subject = np.unique(coded["subject"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    unit = np.asarray(groups.ngroup(), dtype=np.int64)
    return Units(subject, coded[names].to_numpy(dtype=float), _fold_of_subject(epochs)[subject]), unit


def _fold_of_subject(epochs: pd.DataFrame) -> Indices:
    """The one fold of each subject ``(subject,)``, numbered from 0; 0 for all where it cannot be accounted for."""
    nowhere = np.zeros(epochs["subject"].nunique(), dtype=np.int64)
    if "fold" not in epochs:
        return nowhere
    folds = epochs.groupby("subject", sort=True)["fold"].agg(["nunique", "first"])
    several = (folds["nunique"] > 1).any()
    if several or len(folds) < FEWEST_SUBJECTS_PER_FOLD * folds["first"].nunique():
        return nowhere
    return np.unique(folds["first"], return_inverse=True)[1].astype(np.int64)


def _check_one_value(epochs: pd.DataFrame, keys: list[str], columns: list[str]) -> None:
    counts = epochs.groupby(keys)[columns].nunique()
    for column in columns:
        for unit in counts.index[counts[column] > 1]:
            raise ValueError(f"{' and '.join(keys)} {unit} has two values of {column!r}; expected one.")


def _groups(epochs: pd.DataFrame, design: Design) -> Iterator[Group]:
    random = np.column_stack([pd.factorize(epochs[name], sort=True)[0] for name in design.random])
    chosen = epochs.groupby(["explainer", "true", "predicted"]).indices
    for explainer in sorted(set(epochs["explainer"])):
        for family in design.families:
            for true, predicted in family.groups:
                rows = chosen.get((explainer, true, predicted), np.empty(0, dtype=np.int64))
                shares = epochs[list(design.parts)].to_numpy(dtype=float)[rows]
                unit = epochs["unit"].to_numpy()[rows]
                known, defined = unit >= 0, ~np.isnan(shares).any(axis=1)
                used = known & defined
                yield Group(
                    explainer, family.name, true, predicted, unit[used], random[rows][used], shares[used],
                    missing=int((~known).sum()), undefined=int((known & ~defined).sum()),
                )  # fmt: skip
