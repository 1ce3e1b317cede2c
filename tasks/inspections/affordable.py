"""How many samples an inspection can afford, and its judges one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
from torch import nn

from .inspected import Inspected

REFERENCE_STEPS = 216
"""The window that costs are stated for: paper 1's heartbeat."""


def affordable(looked: Inspected, samples: int) -> pd.DataFrame:
    """About ``samples`` judged samples at 216 steps, equally many of each class and spread over subjects.

    Occlusion costs the square of the window's length, so long windows get fewer, but one of each class.
    """
    steps = looked.bundle.config.window
    share = samples * (REFERENCE_STEPS / steps) ** 2 / len(looked.classes)
    return replace(looked, per_class=min(looked.per_class, max(1, round(share)))).some()


def by_judge(looked: Inspected, rows: pd.DataFrame) -> Iterator[tuple[nn.Module, pd.DataFrame]]:
    """Each network that judges some of the rows, with its rows."""
    for member, part in rows.groupby("member", sort=True):
        yield looked.network(int(str(member))), part
