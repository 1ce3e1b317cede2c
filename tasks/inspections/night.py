"""One night through the network's eyes: hypnogram, signals and the share of relevance on each modality."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..drawing.hypnogram import hypnogram
from ..drawing.interactive_hypnogram import interactive_hypnogram
from ..drawing.night import Night
from .finding import Drawn, Finding
from .inspected import Inspected

SHOWN = "ST7121"
"""The first night of subject 12, whom Ellis et al. (2021) show; where it is absent the longest recording."""
RULE = "lrp_epsilon_e100"
"""The rule of their Figure 3."""
SECONDS = 7_200.0
LEVELS = ("Awake", "REM", "NREM1", "NREM2", "NREM3")

TEXT = """Two hours of one recording: the stages scored and given, the signals, and the percent of absolute relevance
on each modality by {rule}. Every epoch is explained by a member that never saw the subject. Epochs that were dropped
(movement, unscored, telemetry errors) leave gaps."""


def inspect(looked: Inspected) -> Finding:
    """Hypnogram, signals and shares over time (Ellis et al., 2021, Figure 3), still and to zoom into."""
    shares = looked.shares_taken()
    rule = RULE if RULE in set(shares["explainer"]) else str(shares["explainer"].iloc[0])
    name = shown_recording(shares)
    night = _night(looked, shares[(shares["recording"] == name) & (shares["explainer"] == rule)])
    title = f"{name}: stages, signals and relevance ({rule})"
    caption = f"{name}: scored stage (black), given stage (green), signals, and shares of relevance by {rule}."
    return Finding(
        title="One night, epoch by epoch",
        text=TEXT.format(rule=rule),
        figures={"hypnogram": Drawn(caption, hypnogram(night, title=title), interactive_hypnogram(night, title=title))},
    )


def shown_recording(shares: pd.DataFrame) -> str:
    """The paper's recording if it was tested, else the one with the most epochs."""
    counts = shares.groupby("recording")["sample"].nunique()
    of_paper = [str(name) for name in counts.index if str(name).startswith(SHOWN)]
    return of_paper[0] if of_paper else str(counts.idxmax())


def _night(looked: Inspected, rows: pd.DataFrame) -> Night:
    """The first two hours; an epoch that several members tested is shown as the first of them gave it."""
    first = rows[rows["fold"] == rows.groupby("sample")["fold"].transform("min")]
    shares = first.pivot(index="sample", columns="part", values="share")
    epochs = first.drop_duplicates("sample").set_index("sample").sort_values("start_second")
    epochs = epochs[epochs["start_second"] < epochs["start_second"].min() + SECONDS]
    parts = list(dict.fromkeys(rows["part"]))
    window = looked.bundle.config.window
    rate = looked.cohort.sampling_rate
    return Night(
        classes=looked.classes,
        starts=epochs["start_second"].to_numpy(dtype=float),
        true=epochs["true"].map(looked.classes.index).to_numpy(),
        predicted=epochs["predicted"].map(looked.classes.index).to_numpy(),
        parts=tuple(parts),
        shares=shares.loc[epochs.index, parts].to_numpy(),
        channels=looked.cohort.channels,
        units=looked.cohort.units,
        rate=rate,
        signals=_on_clock(looked, epochs, window, rate),
        epoch_s=window / rate,
        signals_from=float(epochs["start_second"].min()),
        levels=tuple(level for level in LEVELS if level in looked.classes),
    )


def _on_clock(looked: Inspected, epochs: pd.DataFrame, window: int, rate: float) -> np.ndarray:
    """Signals ``(channel, time)`` from the first epoch to the end of the last, NaN where epochs were dropped."""
    first = epochs["start_second"].min()
    places = ((epochs["start_second"] - first) * rate).round().astype(int).to_numpy()
    signals = np.full((len(looked.cohort.channels), int(places.max()) + window), np.nan, dtype=np.float32)
    for place, epoch in zip(places, looked.cohort.signals(epochs.index.to_numpy()), strict=True):
        signals[:, place : place + window] = epoch
    return signals
