"""Small windows, claims and scores of the kind that the figures of the rhythm study show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.drawing.rhythms import RHYTHMS, Choice, ShownRhythm

METHODS = ("CAM of the CNN", "learned mask of the LSTM")
CHOICES: tuple[Choice, ...] = ("most confident", "random")
RATE = 10.0
STEPS = 20


def windows(classes: Sequence[str] = RHYTHMS, methods: Sequence[str] = METHODS) -> list[ShownRhythm]:
    """One per class, choice and method; ectopic beats have evidence from -0.2 to 0.1 s."""
    rng = np.random.default_rng(3)
    times = (np.arange(STEPS) - STEPS // 2) / RATE
    return [
        ShownRhythm(
            name, method, choice, rng.normal(size=STEPS), rng.random(STEPS) * 7 - 2,
            (times >= -0.2) & (times < 0.11) if name in ("PVC", "PAC") else None, f"p 0.9{row}, subject {row}",
        )
        for row, name in enumerate(classes) for choice in CHOICES for method in methods
    ]  # fmt: skip


def claims(rhythms: Sequence[str] = RHYTHMS) -> pd.DataFrame:
    """Two per rhythm; of the first one nothing is known."""
    rows = [
        {"rhythm": name, "method": method, "words": f"what {method} sees of {name}", "value": 0.1 * row - 0.3,
         "ci_low": 0.1 * row - 0.4, "ci_high": 0.1 * row - 0.2, "control": 0.05, "control_low": 0.0,
         "control_high": 0.1, "verdict": "supported" if row > 4 else "contradicted" if row < 2 else "undecided"}
        for row, name in enumerate(rhythms) for method in METHODS
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.loc[0, ["value", "ci_low", "ci_high", "verdict"]] = np.nan
    return table


def scores(recorders: Sequence[str] = ("rec-a", "rec-b")) -> pd.DataFrame:
    """Three scores; the accuracy is unknown for the first recorder, its interval for the last."""
    rows = [
        {
            "recorder": name,
            "what": what,
            "value": value,
            "ci_low": value - 0.1,
            "ci_high": value + 0.1,
            "chance": chance,
        }
        for what, value, chance in (("recorder", 0.9, 0.5), ("macro F1", 0.7, 0.125), ("accuracy", 0.6, np.nan))
        for name in recorders
    ]
    table = pd.DataFrame(rows)
    known = table["what"] == "accuracy"
    table.loc[known & (table["recorder"] == recorders[0]), ["value", "ci_low", "ci_high"]] = np.nan
    table.loc[known & (table["recorder"] == recorders[-1]), ["ci_low", "ci_high"]] = np.nan
    return table
