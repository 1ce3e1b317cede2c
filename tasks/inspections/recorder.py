"""Does the network read the recorder instead of the heart? Windows told apart by device, and written as by another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn.functional import avg_pool1d

from xai.quality.rerecording import mean_power, rerecorded

from ..drawing.recorders import recorder_scores
from .affordable import by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .subject_means import interval_text, one_row, subject_means

FOLDS = 5
BAND = 10
"""Frequencies of the spectrum that make one feature: of two seconds, 5 Hz."""
TELLING = "recorder told from a window"
WITHIN = "rhythm read within the recorder"
AS_OTHER = "rhythm read, as another recorder"

TEXT = """Where classes come from different devices, a network can score well by telling the devices apart. Three
numbers ask for it. First, whether the recorder can be told from a z-scored window at all: logistic regression on log
spectra, tested on {kind}s that it never saw (chance: one over the number of recorders). Second, how many of a
recorder's windows the network reads rightly, each read by a member that never saw the {kind}. Third, the same windows
filtered to the mean spectrum of another recorder, taken from the classes that both wrote, class by class: a network
that reads the heart keeps its answer, one that reads the recorder moves to the classes that only the other one wrote.
The unit is the {kind}."""


@dataclass(frozen=True)
class _Windows:
    """The windows that are asked about: their rows, normalised signals, and recorder by name."""

    rows: pd.DataFrame
    inputs: Tensor
    recorder: np.ndarray


def inspect(looked: Inspected) -> Finding:
    """Accuracy of telling recorders, of rhythms within each, and before and after the windows change recorder."""
    windows = _windows(looked)
    names = sorted(set(windows.recorder))
    kind = looked.cohort.subject_kind
    if len(names) < 2:
        only = ", ".join(names) or "none"
        return Finding(
            title="Recorder or heart?",
            text=TEXT.format(kind=kind),
            verdicts=(f"one recorder wrote all windows ({only}): nothing can be confused",),
        )
    before = _predicted(looked, windows.rows, windows.inputs)
    within = subject_means(_within(windows, before), ["recorder"]).assign(what=WITHIN, chance=1 / len(looked.classes))
    moved = _moved(looked, windows, before)
    parts = [subject_means(_told(windows), ["recorder"]).assign(what=TELLING, chance=1 / len(names)), within]
    if len(moved):
        after = subject_means(moved.rename(columns={"right_after": "value"}), ["recorder"])
        parts.append(after.assign(what=AS_OTHER, chance=1 / len(looked.classes)))
    table = pd.concat(parts, ignore_index=True)
    shown = table.rename(columns={"mean": "value"})
    return Finding(
        title="Recorder or heart?",
        text=TEXT.format(kind=kind),
        verdicts=(*_words(table), *_moved_words(moved, kind)),
        figures={
            "recorder": Drawn(
                "What a window tells of its recorder, and what another recorder would change.",
                recorder_scores(shown, title="Recorder or heart?"),
            )
        },
        tables={"recorder_scores": table, "rerecorded": _changes(moved)},
    )


def _windows(looked: Inspected) -> _Windows:
    rows = looked.some().reset_index(drop=True)
    recorder = looked.cohort.samples["recorder"].loc[rows["sample"]].to_numpy(str)
    return _Windows(rows, looked.inputs(rows), recorder)


def _told(windows: _Windows) -> pd.DataFrame:
    """Whether each window's recorder is told rightly, by a classifier that never saw its subject."""
    power = torch.fft.rfft(windows.inputs.double(), dim=-1).abs().square()
    bands = avg_pool1d(power, BAND, ceil_mode=True).flatten(1)
    features = torch.log(bands + 1e-6 * bands.mean(dim=1, keepdim=True)).numpy()
    subjects = windows.rows["subject"].to_numpy()
    told = np.full(len(features), np.nan)
    for train, test in GroupKFold(min(FOLDS, len(set(subjects)))).split(features, groups=subjects):
        if len(set(windows.recorder[train])) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced"))
        told[test] = (
            model.fit(features[train], windows.recorder[train]).predict(features[test]) == windows.recorder[test]
        )
    return pd.DataFrame({"subject": subjects, "recorder": windows.recorder, "value": told})


def _within(windows: _Windows, predicted: np.ndarray) -> pd.DataFrame:
    """Whether each window is read rightly."""
    return pd.DataFrame(
        {
            "subject": windows.rows["subject"].to_numpy(),
            "recorder": windows.recorder,
            "value": (predicted == windows.rows["label"].to_numpy()).astype(float),
        }
    )


def _predicted(looked: Inspected, rows: pd.DataFrame, inputs: Tensor) -> np.ndarray:
    """Class indices, each window read by its judging member."""
    place = pd.Series(np.arange(len(rows)), index=rows.index)
    found = np.zeros(len(rows), np.int64)
    for network, part in by_judge(looked, rows):
        at = place[part.index].to_numpy()
        with torch.inference_mode():
            found[at] = network(inputs[at]).argmax(dim=1).numpy()
    return found


def _moved(looked: Inspected, windows: _Windows, before: np.ndarray) -> pd.DataFrame:
    """One row per window and other recorder: read rightly before and after, and given to a class only the other wrote.

    Empty where no two recorders share a class.
    """
    labels = windows.rows["label"].to_numpy()
    written = {name: set(labels[windows.recorder == name]) for name in set(windows.recorder)}
    tables = []
    for own, other in permutations(sorted(written), 2):
        shared = torch.tensor(sorted(written[own] & written[other]))
        if not len(shared):
            continue
        chosen = windows.recorder == own
        powers = [
            mean_power(windows.inputs[at], torch.from_numpy(labels[at]), shared)
            for at in (chosen, windows.recorder == other)
        ]
        rows = windows.rows[chosen]
        after = _predicted(looked, rows, rerecorded(windows.inputs[chosen], *powers))
        foreign = list(written[other] - written[own])
        tables.append(
            pd.DataFrame(
                {
                    "subject": rows["subject"].to_numpy(),
                    "recorder": own,
                    "as": other,
                    "right_before": (before[chosen] == labels[chosen]).astype(float),
                    "right_after": (after == labels[chosen]).astype(float),
                    "foreign_before": np.isin(before[chosen], foreign).astype(float) if foreign else np.nan,
                    "foreign_after": np.isin(after, foreign).astype(float) if foreign else np.nan,
                }
            )
        )
    columns = ["subject", "recorder", "as", "right_before", "right_after", "foreign_before", "foreign_after"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _changes(moved: pd.DataFrame) -> pd.DataFrame:
    """Mean over subjects of what changes, by recorder and the one whose spectrum its windows were given."""
    named = {
        "accuracy": moved["right_after"] - moved["right_before"],
        "share given to classes that only the other wrote": moved["foreign_after"] - moved["foreign_before"],
    }
    tables = [
        subject_means(moved.assign(value=value.astype(float)), ["recorder", "as"]).assign(change=name)
        for name, value in named.items()
        if len(moved)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["recorder", "as", "change"])


def _words(table: pd.DataFrame) -> Iterator[str]:
    for what in (TELLING, WITHIN):
        rows = table[table["what"] == what]
        parts = [f"{row['recorder']} {interval_text(row)}" for _, row in rows.iterrows()]
        chance = f" (chance {rows['chance'].iloc[0]:.2f})" if what == TELLING else ""
        yield f"{what}, share of windows{chance}: {'; '.join(parts)}"


def _moved_words(moved: pd.DataFrame, kind: str) -> Iterator[str]:
    """Whether the network follows the recorder, pair by pair."""
    changes = _changes(moved)
    if changes.empty:
        yield "no two recorders wrote a common class: what the device does cannot be told from what the heart does"
        return
    for (own, other), _ in changes.groupby(["recorder", "as"], sort=False):
        accuracy = one_row(changes, **{"recorder": own, "as": other, "change": "accuracy"})
        foreign = changes[
            (changes["recorder"] == own) & (changes["as"] == other) & changes["change"].str.startswith("share")
        ].iloc[0]
        reads = "the network follows the recorder" if follows(foreign) else "not shown to follow the recorder"
        moves = (
            f"the share given to classes that only {other} wrote by {interval_text(foreign)}"
            if np.isfinite(foreign["mean"])
            else f"and {other} wrote no class alone"
        )
        yield (
            f"windows of {own} with the spectrum of {other}: accuracy changes by {interval_text(accuracy)}, {moves} "
            f"({accuracy['subjects']:.0f} {kind}s): {reads}"
        )


def follows(change: pd.Series) -> bool:
    """Whether windows go over to the other recorder's classes, by the interval."""
    return bool(change["ci_low"] > 0)
