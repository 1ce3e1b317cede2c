"""What an inspection has found, ready for the page, the run and the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure
from plotly.graph_objects import Figure as InteractiveFigure


@dataclass(frozen=True)
class Drawn:
    """One figure: its ``caption``, the still picture, and where it is worth it the interactive one."""

    caption: str
    still: Figure
    interactive: InteractiveFigure | None = None


@dataclass(frozen=True)
class Finding:
    """What an inspection has found.

    ``text``: how it was measured and how to read it, in plain paragraphs. ``verdicts``: sentences, each with its
    numbers and intervals. ``figures`` by name (``class-modes``), ``tables`` by name (``class_modes``).
    """

    title: str
    text: str
    verdicts: tuple[str, ...] = ()
    figures: Mapping[str, Drawn] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
