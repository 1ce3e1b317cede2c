"""Keeps what libraries say to their developers away from people who read a terminal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TextIO

LIBRARIES = ("mlflow", "zarr")


def silence_libraries() -> None:
    """Drops the warnings of libraries about their own plans: type hints they would like, formats they may change.

    Where they are shown, not by a filter: MLflow puts filters of its own in front of any other.
    """
    show = warnings.showwarning

    def show_others(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not set(LIBRARIES) & set(Path(filename).parts):
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = show_others
