"""Figure 3: a window of each rhythm, dots coloured by CAM and learned mask; the most confident one, and any other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..drawing.interactive_rhythms import rhythm_saliency_interactive
from ..drawing.rhythms import Choice, ShownRhythm, rhythm_saliency
from .companions import Seen, companions_views
from .finding import Drawn, Finding
from .inspected import Inspected

SEED = 2020
CONFIDENT: Choice = "most confident"
RANDOM: Choice = "random"

TEXT = """The paper shows, of each rhythm, the rightly read window in which the network is most confident. Beside it
stands one drawn at random from all judged windows of the rhythm, rightly read or not: what is typical is not what is
most certain. Colours run from violet (0) to yellow (1), each map by itself."""
TITLE = "What each half of the network looks at"


def inspect(looked: Inspected) -> Finding:
    """The figure, still and interactive, and which windows are in it."""
    rows = looked.some().reset_index(drop=True)
    shown = [
        found
        for words, seen in companions_views(looked, rows).items()
        for found in _of_method(looked, rows, words, seen)
    ]
    if not shown:
        return Finding(title=TITLE, text=TEXT, verdicts=("no companion has been trained in this mode",))
    rate = looked.cohort.sampling_rate
    return Finding(
        title=TITLE,
        text=TEXT,
        figures={
            "rhythm-saliency": Drawn(
                "One window of each rhythm: CAM of the CNN and learned mask of the LSTM, 0 to 1.",
                rhythm_saliency(shown, rate=rate, title=TITLE),
                rhythm_saliency_interactive(shown, rate=rate, title=TITLE),
            )
        },
        tables={"shown_windows": pd.DataFrame([_told(each) for each in shown])},
    )


def _of_method(looked: Inspected, rows: pd.DataFrame, words: str, seen: Seen) -> list[ShownRhythm]:
    """Two windows of every rhythm that has any; without a rightly read one only the random one."""
    random = np.random.default_rng(SEED)
    labels, shown = rows["label"].to_numpy(), []
    for label in range(len(looked.classes)):
        own = np.flatnonzero(labels == label)
        right = own[seen.predicted[own] == label]
        chosen = {CONFIDENT: right[np.argsort(seen.confidence[right])[-1:]], RANDOM: random.permutation(own)[:1]}
        shown += [
            _shown(looked, rows, words, seen, int(at), choice) for choice, found in chosen.items() for at in found
        ]
    return shown


def _shown(looked: Inspected, rows: pd.DataFrame, words: str, seen: Seen, at: int, choice: Choice) -> ShownRhythm:
    sample = rows["sample"].to_numpy()[at : at + 1]
    known = bool(looked.cohort.samples["evidence_known"].loc[sample[0]]) and looked.cohort.has_evidence
    read_as = looked.classes[seen.predicted[at]]
    return ShownRhythm(
        class_name=looked.classes[int(rows["label"].iloc[at])],
        method=words,
        choice=choice,
        signal=looked.cohort.signals(sample)[0, 0],
        saliency=seen.maps[at, 0].clamp(min=0).numpy(),
        evidence=looked.cohort.evidence(sample)[0, 0] if known else None,
        caption=f"read as {read_as}, p {seen.confidence[at]:.2f}",
    )


def _told(shown: ShownRhythm) -> dict[str, str]:
    return {name: getattr(shown, name) for name in ("class_name", "method", "choice", "caption")}
