"""Digests: the identity of configurations, of files and of the code that makes a result."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from .settings import CHECKOUT

SHIPPED_PACKAGES = ("models", "xai")
"""The packages whose sources decide a result and travel inside a registered model."""


def digest_of(value: Any) -> str:
    """16 hexadecimal digits of a JSON-like value; dictionaries are compared regardless of order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_digest(packages: tuple[str, ...] = SHIPPED_PACKAGES) -> str:
    """12 hexadecimal digits over the sources of `packages`, by default `models` and `xai`."""
    sources = hashlib.sha256()
    for package in packages:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            sources.update(path.relative_to(CHECKOUT).as_posix().encode())
            sources.update(path.read_bytes())
    return sources.hexdigest()[:12]
