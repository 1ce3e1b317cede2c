"""A small version on windows that know their beats, as inspections see it, with its companions untrained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import torch

from models import build_network
from models.bundle import Bundle, BundleConfig
from tasks.cohorts.store import Cohort
from tasks.inspections.inspected import Inspected

CLASSES = ("N", "PVC", "PAC", "AFIB", "SVTA", "SBR", "LBBB", "RBBB")
PEOPLE, WINDOW = 6, 720
BEAT = {
    "p_start": 300.0, "p_stop": 330.0, "qrs_start": 345.0, "qrs_stop": 380.0, "t_start": 440.0, "t_stop": 500.0,
    "previous_qrs_start": 45.0, "previous_qrs_stop": 80.0, "next_qrs_start": 645.0, "next_qrs_stop": 680.0,
    "previous_r": 60.0, "own_r": 360.0, "next_r": 660.0,
}  # fmt: skip


def config(network: str, **arguments: object) -> BundleConfig:
    return BundleConfig(
        network=network,
        arguments={"channels": 1, "classes": len(CLASSES), **arguments},
        normalisation="zscore",
        classes=CLASSES,
        channels=("MLII",),
        units=("mV",),
        sampling_rate=360.0,
        window=WINDOW,
        study="rhythms",
        mode="corrected",
        cohort_digest="0123456789abcdef",
    )


def bundle(network: str, **arguments: object) -> Bundle:
    chosen = config(network, **arguments)
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(build_network(network, **chosen.arguments).eval())
    return Bundle(chosen, tuple(nets))


def table() -> pd.DataFrame:
    """One window of each class of each person; persons of odd number were written by rec-b."""
    rows = [(person, label) for person in range(PEOPLE) for label in range(len(CLASSES))]
    samples = pd.DataFrame(rows, columns=["subject", "label"]).rename_axis("sample")
    recorder = np.where(samples["subject"] % 2 == 0, "rec-a", "rec-b")
    return samples.assign(recorder=recorder, evidence_known=True, **BEAT)


def signals(samples: pd.DataFrame) -> np.ndarray:
    """Noise with a tall QRS; rec-b hums at 50 Hz."""
    random = np.random.default_rng(0)
    seconds = np.arange(WINDOW) / 360
    found = 0.05 * random.standard_normal((len(samples), 1, WINDOW))
    found[:, :, 345:380] += 1.0
    hum = (samples["recorder"] == "rec-b").to_numpy()[:, None, None]
    return (found + 0.05 * hum * np.sin(2 * np.pi * 50 * seconds)).astype(np.float32)


def read_rhythms(network: Bundle, companions: dict[str, Bundle] | None = None, per_class: int = 6) -> Inspected:
    samples = table()
    values = signals(samples)
    evidence = np.zeros(values.shape, dtype=bool)
    evidence[..., 345:380] = True
    cohort = SimpleNamespace(
        samples=samples, classes=CLASSES, channels=("MLII",), units=("mV",), sampling_rate=360.0,
        subject_kind="subject", has_evidence=True, digest="0123456789abcdef", volume=None,
        signals=lambda index: values[index], evidence=lambda index: evidence[index],
    )  # fmt: skip
    judged = samples.reset_index()[["sample", "subject", "label"]]
    judged = judged.assign(member=judged["subject"] % 2, shard=0, thorough=True)
    splits = judged[["sample", "member"]].assign(part="test")
    return Inspected(
        cast(Cohort, cohort), network, splits, judged, per_class=per_class,
        explainers=("gradient", "random", "amplitude"), companions=companions or {},
    )  # fmt: skip
