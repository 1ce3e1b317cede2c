"""Where recordings arrive: a folder, or a bucket's prefix that is mirrored into one; a folder per study below it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..cohorts.errors import UnusableRecording
from ..cohorts.wfdb_files import inside
from ..errors import PlumblineError, UsageError

_BUCKET = re.compile(r"s3://(?P<bucket>[^/]+)/?(?P<prefix>.*)")


def inbox_folder(inbox: str, study: str, root: Path) -> Path | None:
    """The resolved folder of a study's recordings; None where nothing has arrived for it.

    A prefix ``s3://bucket/prefix`` is mirrored under ``root`` first: only objects that are new or changed are
    fetched, files whose object is gone are removed, and a file bears its object's time. Raises UsageError where
    ``inbox`` is neither a folder nor a prefix, PlumblineError where the bucket cannot be read.
    """
    if "://" in inbox:
        return _mirror(inbox, study, root / "inbox" / study)
    folder = Path(inbox).expanduser()
    if not folder.is_dir():
        raise UsageError(f"inbox is {inbox!r}, which is no folder; expected a folder or s3://bucket/prefix.")
    own = folder / study
    return own.resolve() if own.is_dir() else None


def _mirror(inbox: str, study: str, target: Path) -> Path | None:
    found = _BUCKET.fullmatch(inbox)
    if found is None:
        raise UsageError(f"inbox is {inbox!r}; expected a folder or s3://bucket/prefix.")
    prefix = "/".join(part for part in (found["prefix"].strip("/"), study, "") if part) or "/"
    prefix = prefix if prefix.endswith("/") else f"{prefix}/"
    target.mkdir(parents=True, exist_ok=True)
    root, wanted = target.resolve(), set()
    client = _client()
    try:
        for entry in _objects(client, found["bucket"], prefix):
            path = _place(root, entry["Key"].removeprefix(prefix))
            if path is not None:
                wanted.add(path)
                _fetch(client, found["bucket"], entry, path)
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        raise PlumblineError(f"inbox {inbox} cannot be read: {reason}") from error
    for path in [each for each in root.rglob("*") if each.is_file() and each not in wanted]:
        path.unlink()
    return root if wanted else None


def _client() -> Any:
    """Of the same server as MLflow's artifacts, where one is set; else as AWS_ENDPOINT_URL or AWS itself says."""
    patient = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 5, "mode": "standard"})
    return boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None, config=patient)


def _objects(client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry for entry in page.get("Contents", ()) if not entry["Key"].endswith("/"))


def _place(root: Path, name: str) -> Path | None:
    """Where an object is kept; None for a name that would lead out of the folder, or is not one that is read."""
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        return None
    try:
        return inside(root, name)
    except UnusableRecording:
        return None


def _fetch(client: Any, bucket: str, entry: dict[str, Any], path: Path) -> None:
    """The object as a file, unless it is there; it appears whole or not at all."""
    changed = entry["LastModified"].timestamp()
    if path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (entry["Size"], changed):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    client.download_file(bucket, entry["Key"], str(partial))
    os.utime(partial, (changed, changed))
    partial.replace(path)
