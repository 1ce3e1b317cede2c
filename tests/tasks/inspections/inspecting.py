"""Small versions and cohorts made by hand, for the tests of inspections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from models import build_network
from models.bundle import BundleConfig, load_bundle, save_bundle
from tasks.cohorts.store import Cohort, CohortDescription, Recorded, write_cohort
from tasks.inspections.inspected import Inspected


def written_cohort(
    folder: Path,
    signals: np.ndarray,
    labels: np.ndarray,
    *,
    classes: tuple[str, ...],
    image: tuple[int, int] | None = None,
    subjects: int = 6,
) -> Cohort:
    """A cohort of ``signals (sample, channel, time)`` dealt to so many subjects in turn."""
    channels = tuple(f"channel {number}" for number in range(signals.shape[1]))
    description = CohortDescription(
        study="a-study",
        classes=classes,
        channels=channels,
        units=("mV",) * len(channels),
        sampling_rate=100.0,
        window=signals.shape[2],
        origin=signals.shape[2] // 2,
        reader="test",
        parameters={},
        image=image,
    )
    recorded = Recorded(
        recording="a",
        identity=[f"subject {number % subjects}" for number in range(len(labels))],
        facts={},
        signals=signals,
        labels=labels,
        onsets=np.arange(len(labels)),
    )
    return write_cohort(folder, description, [recorded], key=b"0123456789abcdef")


def inspected(folder: Path, cohort: Cohort, *, hidden: tuple[int, ...] = (6,), members: int = 2, per_class: int = 4):
    """Untrained members on this cohort; sample ``n`` was never seen by member ``n % members``."""
    config = BundleConfig(
        network="lstm",
        arguments={"channels": len(cohort.channels), "classes": len(cohort.classes), "hidden": hidden},
        normalisation="zscore",
        classes=cohort.classes,
        channels=cohort.channels,
        units=cohort.units,
        sampling_rate=cohort.sampling_rate,
        window=cohort.manifest["window"],
        study="a-study",
        mode="corrected",
        cohort_digest=cohort.digest,
    )
    networks = []
    for seed in range(members):
        torch.manual_seed(seed)
        networks.append(build_network("lstm", **config.arguments))
    bundle = load_bundle(save_bundle(folder, config, networks))
    samples = cohort.samples[["subject", "label"]].reset_index().assign(member=lambda t: t["sample"] % members)
    thorough = ~samples["subject"].duplicated()
    splits = pd.concat(
        [
            pd.DataFrame(
                {
                    "sample": samples["sample"],
                    "member": member,
                    "part": np.where(samples["member"] == member, "test", "train"),
                }
            )
            for member in range(members)
        ],
        ignore_index=True,
    )
    return Inspected(
        cohort=cohort,
        bundle=bundle,
        splits=splits,
        samples=samples.assign(shard=0, thorough=thorough),
        per_class=per_class,
    )
