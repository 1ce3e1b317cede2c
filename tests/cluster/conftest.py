"""A cluster for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import Cluster, running_cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two workers, gone after the test."""
    with running_cluster(tmp_path, 2) as running:
        yield running
