"""Keeps what libraries say to their developers away from people who read a terminal."""

from __future__ import annotations

import warnings

LIBRARIES = r"(mlflow|zarr)\."


def silence_libraries() -> None:
    """Drops the warnings of libraries about their own plans: type hints they would like, formats they may change."""
    warnings.filterwarnings("ignore", module=LIBRARIES)
