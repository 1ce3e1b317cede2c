"""A small segmenting version as inspections see it: two untrained nets on a cohort of boxes on finer native grids."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import torch
from volumes import CONFIG, GRID, ScaledBoxes

from models import build_network
from models.bundle import Bundle
from tasks.cohorts.store import Cohort
from tasks.inspections.inspected import Inspected

CASES = 6


def segmented(mode_of_test: str = "folds") -> Inspected:
    """Six cases judged by two nets: each by the one that never saw it (``folds``), or by both (``all``)."""
    boxes = ScaledBoxes(CASES)
    facts = {"digest": CONFIG.cohort_digest, "channels": CONFIG.channels, "units": CONFIG.units, "volume": GRID}
    known = {name: getattr(boxes, name) for name in ("samples", "signals", "evidence", "native")}
    cohort = cast(Cohort, SimpleNamespace(**facts, **known, subject_kind="subject", classes=CONFIG.classes))
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(build_network("unet3d", **CONFIG.arguments).eval())
    samples = pd.DataFrame({
        "sample": np.arange(CASES), "member": [0, 0, 0, 1, 1, 1], "subject": np.arange(CASES), "label": 1, "shard": 0,
        "thorough": [True, False, False, True, True, False],
    })  # fmt: skip
    tested = samples[["sample", "member"]]
    if mode_of_test == "all":
        tested = tested[["sample"]].merge(pd.DataFrame({"member": [0, 1]}), how="cross")
    splits = tested.assign(part="test")
    return Inspected(cohort, Bundle(CONFIG, tuple(nets)), splits, samples, per_class=4)
