"""Small helpers of the tests."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def only(items: Iterable[Item]) -> Item:
    """The single item; fails when there is another number of them."""
    (item,) = items
    return item


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
