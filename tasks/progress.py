"""Progress of long work: a bar with time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 5.0


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yields ``items`` while telling how many are done and how long the rest will take."""
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    if sys.stdout.isatty():
        yield from _bar(items, what, count)
    else:
        yield from _lines(items, what, count)


def _bar(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        yield from progress.track(items, total=total, description=what)


def _lines(items: Iterable[Item], what: str, total: int | None) -> Iterator[Item]:
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and total:
            left = (now - start) / done * (total - done)
            print(f"{what}: {done} of {total}, about {left:.0f} s left", flush=True)
            last = now
    if done and time.monotonic() - start >= SECONDS_BETWEEN_LINES:
        print(f"{what}: {done} done in {time.monotonic() - start:.0f} s", flush=True)
