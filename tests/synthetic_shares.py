"""Shares of relevance of sleepers who never were: strong subject effects, and the effects that a test plants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from xai.quality.demographics import Design, Factor, correct

STAGES = ("W", "N2", "R")
PARTS = ("eeg", "eog", "emg")
FACTORS = (
    Factor("age"),
    Factor("sex", levels=("female", "male")),
    Factor("drug", levels=("placebo", "temazepam"), within=True),
)
DESIGN = Design(FACTORS, PARTS, (correct(STAGES),), random=("subject", "fold"))


def sleepers(
    seed: int = 0,
    *,
    subjects: int = 22,
    epochs: int = 12,
    planted: Mapping[str, float] | None = None,
    explainers: tuple[str, ...] = ("lrp",),
) -> pd.DataFrame:
    """One row per epoch, explainer and part: two nights each, ``epochs`` correct epochs per stage and night.

    ``planted`` gives, by factor, how much of the log of the EEG's relevance one unit of the factor adds.
    """
    generator = np.random.default_rng([seed, 17])
    person = np.repeat(np.arange(subjects), 2 * len(STAGES) * epochs)
    night = np.tile(np.repeat([1, 2], len(STAGES) * epochs), subjects)
    facts = pd.DataFrame({
        "sample": np.arange(len(person)),
        "subject": [f"s{number:02d}" for number in person],
        "night": night,
        "fold": person // 2,
        "true": np.tile(np.repeat(STAGES, epochs), 2 * subjects),
        "age": generator.integers(18, 80, subjects)[person],
        "sex": np.where(np.arange(subjects) % 3 == 0, "male", "female")[person],
        "drug": np.where((night == 1) == (person % 2 == 0), "placebo", "temazepam"),
    })  # fmt: skip
    facts["predicted"] = facts["true"]
    effect = sum(
        size * (facts["age"] if name == "age" else facts[name].isin(["male", "temazepam"])).to_numpy(dtype=float)
        for name, size in (planted or {}).items()
    )
    tables = []
    for explainer in explainers:
        logs = generator.normal(0, 0.3, (subjects, len(PARTS)))[person]
        logs = logs + generator.normal(0, 0.1, (subjects, 3, len(PARTS)))[person, night]
        logs = logs + generator.normal(0, 0.4, (len(person), len(PARTS)))
        logs[:, 0] += effect
        relevance = np.exp(logs)
        for part, column, share in zip(PARTS, relevance.T, 100 * (relevance.T / relevance.sum(axis=1)), strict=True):
            tables.append(facts.assign(explainer=explainer, part=part, relevance=column, share=share))
    return pd.concat(tables, ignore_index=True)
