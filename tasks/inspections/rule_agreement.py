"""Do LRP rules agree on where relevance falls, and do fold members agree with each other?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd
import torch

from xai.quality.agreement import intraclass_correlation, mean_correlations, pair_correlations, variance_levels
from xai.scores import LOGIT

from ..drawing.agreement import agreement
from .finding import Drawn, Finding
from .inspected import Inspected
from .shares import shares_of_samples

TEXT = """Rules agree on a sample when they order the parts of the input alike: the rank correlation of their shares is
taken sample by sample and averaged within a {kind}. Fold members agree when they give the same sample the same shares:
the intraclass correlations ICC(2,1), absolute agreement of members drawn at random, and ICC(3,1), consistency, are
taken over {samples} judged samples that every member explains, also those it was trained on. The variance of the shares
is split into that between folds, between {kind}s of a fold and within {kind}s, for samples read rightly (on the
diagonal of true and given class) and wrongly (off it); Ellis et al. say that folds vary less on the diagonal."""


def inspect(looked: Inspected) -> Finding:
    """Rank correlation of rules, intraclass correlation of folds, variance on and off the diagonal."""
    shares = looked.shares_taken()
    rules = _between_rules(shares)
    folds = _between_folds(looked)
    variance = variance_levels(shares)
    kind = looked.cohort.subject_kind
    n = f"{shares['sample'].nunique():,} samples of {shares['subject'].nunique()} {kind}s"
    return Finding(
        title="Do rules agree, and do folds?",
        text=TEXT.format(kind=kind, samples=len(looked.some())),
        verdicts=(*_fold_words(folds), *_variance_words(variance)),
        figures={
            "rule-agreement": Drawn(
                "Rank correlation of the shares that two rules give to the same sample, mean over subjects.",
                agreement(
                    rules.rename(columns={"mean": "value"}),
                    measure="rank correlation of shares",
                    n=n,
                    title="Do the rules agree?",
                ),
            )
        },
        tables={"rule_agreement": rules, "fold_agreement_of_shares": folds, "share_variance": variance},
    )


def _between_rules(shares: pd.DataFrame) -> pd.DataFrame:
    """Mean over subjects of the rank correlation of two rules' shares of a sample."""
    keys = ["sample", "fold"]
    parts = list(dict.fromkeys(shares["part"]))
    wide = {
        str(rule): rows.pivot(index=[*keys, "subject"], columns="part", values="share")[parts]
        for rule, rows in shares.groupby("explainer", sort=False)
    }
    ratings = {rule: torch.from_numpy(table.to_numpy()) for rule, table in wide.items()}
    subjects = next(iter(wide.values())).index.get_level_values("subject").to_series()
    return mean_correlations(pair_correlations(ratings), subjects)


def _between_folds(looked: Inspected) -> pd.DataFrame:
    """Intraclass correlations by rule and part; none where the version has one member."""
    members, rows = looked.members(), looked.some()
    if len(members) < 2:
        return pd.DataFrame(columns=["explainer", "part", "form", "value", "ci_low", "ci_high", "subjects"])
    rules = list(dict.fromkeys(looked.shares_taken()["explainer"]))
    every = pd.concat([rows[["sample"]].assign(member=member) for member in members])
    found = shares_of_samples(looked.bundle, looked.cohort, every, rules, LOGIT)
    subject = rows.set_index("sample")["subject"]
    tables = []
    for key, cell in found.groupby(["explainer", "part"], sort=False):
        rule, part = cast(tuple[str, str], key)
        ratings = cell.pivot(index="sample", columns="fold", values="share")
        icc = intraclass_correlation(ratings.to_numpy(), subject.loc[ratings.index].to_numpy())
        tables.append(icc.assign(explainer=rule, part=part))
    return pd.concat(tables, ignore_index=True)[["explainer", "part", *icc.columns]]


def _fold_words(folds: pd.DataFrame) -> Iterator[str]:
    for rule, rows in folds[folds["form"] == "ICC(2,1)"].groupby("explainer", sort=False):
        parts = ", ".join(f"{row['part']} {_value(row)}" for _, row in rows.iterrows())
        yield f"{rule}: fold members agree on a sample's shares to ICC(2,1) {parts}"


def _value(row: pd.Series) -> str:
    if np.isnan(row["value"]):
        return "undefined"
    interval = "" if np.isnan(row["ci_low"]) else f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    return f"{row['value']:.2f}{interval}"


def _variance_words(variance: pd.DataFrame) -> Iterator[str]:
    """The paper's claim, part by part and rule by rule: less variance between folds on the diagonal."""
    between = variance[variance["level"] == "fold"]
    for rule, rows in between.groupby("explainer", sort=False):
        parts = ", ".join(f"{row['part']} {_less(row)}" for _, row in rows.iterrows())
        yield f"{rule}: is the variance between folds less on the diagonal, as the paper says? {parts}"


def _less(row: pd.Series) -> str:
    if np.isnan(row["ci_low"]):
        return "undecided"
    verdict = "yes" if row["ci_low"] > 0 else "no" if row["ci_high"] < 0 else "undecided"
    return f"{verdict} ({row['difference']:+.2g} [{row['ci_low']:.2g}, {row['ci_high']:.2g}])"
