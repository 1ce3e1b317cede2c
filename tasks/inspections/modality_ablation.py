"""What does the network lose without a modality, and how far does its absence leave what it was trained on?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xai.methods.ablation import KINDS, Ablation, ablated_logits, local_effects
from xai.quality.ablation_effects import global_effects
from xai.quality.share_groups import group_shares
from xai.quality.training_distance import distance_from_training, spectral_features

from ..drawing.modality_ablation import modality_ablation
from ..evaluating.judges import MEAN_OF_MEMBERS
from .affordable import by_judge
from .finding import Drawn, Finding
from .inspected import Inspected
from .relevance_shares import in_order
from .subject_means import interval_text, subject_means

REFERENCE_SAMPLES = 400
"""Training samples that a distance is measured to."""
TEXT = """Another answer to what a modality is worth: one channel is replaced whole, by zero, by its mean in the epoch,
or by line noise as an electrode off the skin records it, and the fall is measured of the true class's logit (local)
and of balanced accuracy (global). An ablated input is no epoch that the network was trained on. How far it lies from
those is measured in the spectra of its channels: the mean distance to the ten nearest training epochs, where 1 is as
far as a real epoch of a new person. {samples} samples of {subjects} {kind}s, each judged by a network that never saw
its {kind}; intervals are over {kind}s."""


def inspect(looked: Inspected) -> Finding:
    """Local and global effect of each channel's ablation, beside the channel's share of relevance."""
    rows = looked.some()
    logits, local = _ablated(looked, rows)
    each = subject_means(local, ["channel", "ablation", "quantity"])
    whole = _global(looked, logits)
    shares = in_order(looked, group_shares(looked.shares_taken(), by=()))
    kind = looked.cohort.subject_kind
    n = f"{len(rows)} samples of {rows['subject'].nunique()} {kind}s"
    drops = _drops(whole, each)
    return Finding(
        title="What is a modality worth without relevance?",
        text=TEXT.format(samples=len(rows), subjects=rows["subject"].nunique(), kind=kind),
        verdicts=tuple(_words(drops)),
        figures={
            "modality-ablation": Drawn(
                "Fall of balanced accuracy without a channel, with the distance from the training data, beside the "
                "channel's share of relevance.",
                modality_ablation(
                    drops,
                    shares.rename(columns={"part": "channel"}),
                    measure="balanced accuracy",
                    n=n,
                    title="Ablation beside relevance",
                ),
            )
        },
        tables={"modality_ablation": whole, "modality_ablation_by_sample": each},
    )


@dataclass(frozen=True)
class _Judged:
    """Logits ``(1 + channel, sample, class)`` of one network's samples under one ablation, and whose they are."""

    ablation: str
    logits: Tensor
    targets: Tensor
    subjects: np.ndarray


def _ablated(looked: Inspected, rows: pd.DataFrame) -> tuple[list[_Judged], pd.DataFrame]:
    """The logits of every judge, and a row per sample, channel, ablation and quantity (logit, distance)."""
    judged, tables = [], []
    for network, part in by_judge(looked, rows):
        inputs, targets, seeds = looked.inputs(part), looked.targets(part), looked.seeds(part)
        known = spectral_features(_trained_on(looked, int(part["member"].iloc[0])))
        real = spectral_features(inputs)
        subjects = part["subject"].to_numpy()
        for kind in KINDS:
            ablation = Ablation(kind, rate=looked.cohort.sampling_rate)
            logits = ablated_logits(network, inputs, ablation, seeds)  # type: ignore[arg-type]
            judged.append(_Judged(kind, logits, targets, subjects))
            falls = local_effects(logits, targets)
            for channel, name in enumerate(looked.cohort.channels):
                far = distance_from_training(known, real, spectral_features(ablation.ablate(inputs, channel, seeds)))
                measured = {"logit": falls[:, channel].numpy(), "distance": far.numpy()}
                table = pd.DataFrame({"subject": subjects, **measured}).melt("subject", var_name="quantity")
                tables.append(table.assign(channel=name, ablation=kind))
    return judged, pd.concat(tables, ignore_index=True)


def _global(looked: Inspected, judged: list[_Judged]) -> pd.DataFrame:
    """Fall of accuracy and balanced accuracy without each channel, by ablation, over all judges together."""
    tables = []
    for kind in KINDS:
        chosen = [one for one in judged if one.ablation == kind]
        found = global_effects(
            torch.cat([one.logits for one in chosen], dim=1),
            torch.cat([one.targets for one in chosen]),
            np.concatenate([one.subjects for one in chosen]).tolist(),
            looked.cohort.channels,
        )
        tables.append(found.assign(ablation=kind))
    return pd.concat(tables, ignore_index=True)


def _trained_on(looked: Inspected, member: int) -> Tensor:
    """Some of the inputs that a member was trained on; of all members, the first one's."""
    samples = looked.training_samples(0 if member == MEAN_OF_MEMBERS else member)
    chosen = np.random.default_rng(0).choice(samples, min(REFERENCE_SAMPLES, len(samples)), replace=False)
    return looked.bundle.normalise(torch.from_numpy(looked.cohort.signals(np.sort(chosen))))


def _drops(whole: pd.DataFrame, each: pd.DataFrame) -> pd.DataFrame:
    """Rows of channel, ablation, drop of balanced accuracy with its interval, and distance, channel by channel."""
    keys = ["channel", "ablation"]
    distance = each[each["quantity"] == "distance"].set_index(keys)["mean"].rename("distance")
    return whole[whole["metric"] == "balanced_accuracy"].join(distance, on=keys)


def _words(drops: pd.DataFrame) -> Iterator[str]:
    for channel, rows in drops.groupby("channel", sort=False):
        falls = "; ".join(
            f"{row['ablation'].replace('_', ' ')} {interval_text(row.rename({'drop': 'mean'}))}, "
            f"at {row['distance']:.2g} times the distance of a real epoch"
            for _, row in rows.iterrows()
        )
        yield f"without {channel} balanced accuracy falls by: {falls}"
