"""What does the network lose without a modality, and how far does its absence leave what it was trained on?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods.ablation import KINDS, Ablation, ablated_logits, local_effects
from xai.quality.share_groups import group_shares
from xai.quality.training_distance import distance_from_training, spectral_features

from ..drawing.modality_ablation import modality_ablation
from ..evaluating.judges import MEAN_OF_MEMBERS
from .affordable import by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .relevance_shares import in_order
from .subject_means import interval_text, one_row, subject_means

REFERENCE_SAMPLES = 400
"""Training samples that a distance is measured to."""
QUANTITIES = ("logit", "accuracy", "distance")

TEXT = """Another answer to what a modality is worth: one channel is replaced whole, by zero, by its mean in the epoch,
or by line noise as an electrode off the skin records it, and the fall is measured of the true class's logit (local)
and of the accuracy (global). An ablated input is no epoch that the network was trained on. How far it lies from those
is measured in the spectra of its channels: the mean distance to the ten nearest training epochs, where 1 is as far as
a real epoch of a new person. {samples} samples of {subjects} {kind}s, each judged by a network that never saw its
{kind}; intervals are over {kind}s."""


def inspect(looked: Inspected) -> Finding:
    """Local and global effect of each channel's ablation, beside the channel's share of relevance."""
    rows = looked.some()
    effects = pd.concat(_effects(looked, rows), ignore_index=True)
    table = subject_means(effects, ["channel", "ablation", "quantity"])
    shares = in_order(looked, group_shares(looked.shares_taken(), by=()))
    kind = looked.cohort.subject_kind
    n = f"{len(rows)} samples of {rows['subject'].nunique()} {kind}s"
    return Finding(
        title="What is a modality worth without relevance?",
        text=TEXT.format(samples=len(rows), subjects=rows["subject"].nunique(), kind=kind),
        verdicts=tuple(_words(table, looked)),
        figures={
            "modality-ablation": Drawn(
                "Fall of accuracy without a channel, with the distance from the training data, beside the channel's "
                "share of relevance.",
                modality_ablation(
                    _drops(table),
                    shares.rename(columns={"part": "channel"}),
                    measure="accuracy",
                    n=n,
                    title="Ablation beside relevance",
                ),
            )
        },
        tables={"modality_ablation": table},
    )


def _effects(looked: Inspected, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """One row per sample, channel, ablation and quantity."""
    for network, part in by_judge(looked, rows):
        inputs, targets, seeds = looked.inputs(part), looked.targets(part), looked.seeds(part)
        known = spectral_features(_trained_on(looked, int(part["member"].iloc[0])))
        real = spectral_features(inputs)
        for kind in KINDS:
            ablation = Ablation(kind, rate=looked.cohort.sampling_rate)
            logits = ablated_logits(network, inputs, ablation, seeds)  # type: ignore[arg-type]
            right = (logits.argmax(dim=2) == targets).double()
            measured = {"logit": local_effects(logits, targets).double(), "accuracy": (right[0] - right[1:]).T}
            for channel, name in enumerate(looked.cohort.channels):
                ablated = spectral_features(ablation.ablate(inputs, channel, seeds))
                values = {**{what: of[:, channel] for what, of in measured.items()},
                          "distance": distance_from_training(known, real, ablated)}  # fmt: skip
                for what in QUANTITIES:
                    yield pd.DataFrame(
                        {"subject": part["subject"].to_numpy(), "channel": name, "ablation": kind, "quantity": what,
                         "value": values[what].numpy()}
                    )  # fmt: skip


def _trained_on(looked: Inspected, member: int) -> Tensor:
    """Some of the inputs that a member was trained on; of all members, the first one's."""
    samples = looked.training_samples(0 if member == MEAN_OF_MEMBERS else member)
    chosen = np.random.default_rng(0).choice(samples, min(REFERENCE_SAMPLES, len(samples)), replace=False)
    return looked.bundle.normalise(torch.from_numpy(looked.cohort.signals(np.sort(chosen))))


def _drops(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of channel, ablation, drop of accuracy with interval, and distance."""
    keys = ["channel", "ablation"]
    accuracy = table[table["quantity"] == "accuracy"].rename(columns={"mean": "drop"})
    distance = table[table["quantity"] == "distance"].set_index(keys)["mean"].rename("distance")
    return accuracy.join(distance, on=keys)


def _words(table: pd.DataFrame, looked: Inspected) -> Iterator[str]:
    for channel in looked.cohort.channels:
        for kind in KINDS:
            fall, distance = (
                interval_text(one_row(table, channel=channel, ablation=kind, quantity=what))
                for what in ("accuracy", "distance")
            )
            yield f"without {channel} ({kind.replace('_', ' ')}) accuracy falls by {fall}, at distance {distance}"
