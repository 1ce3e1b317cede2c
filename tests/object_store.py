"""A real S3-speaking server for the tests, started here on 127.0.0.1 and ended here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from support import free_port

BUCKET = "plumbline-artifacts"
SECRET = "a-secret-of-the-bucket-4711"


@dataclass(frozen=True)
class ObjectStore:
    """A running store with one empty bucket."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow and boto3 must find to use it, under their own names."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="tests",
            aws_secret_access_key=SECRET,
        )  # fmt: skip

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """The store, while the block lasts; ``folder`` takes its log."""
    port, log = free_port(), folder / "object-store.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    store = ObjectStore(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 300
        while not _answers(store.endpoint):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the object store did not start: {log.read_text()}")
            time.sleep(0.2)
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint, timeout=2, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
