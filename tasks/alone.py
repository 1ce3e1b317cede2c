"""One process at a time for one piece of work: a second one waits, then finds the work done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from .settings import Settings


@contextmanager
def alone(key: str, what: str) -> Iterator[None]:
    """Holds the lock of ``key`` under `home`; waits, and says so, while another process holds it.

    The operating system frees the lock of a killed process. ``what`` names the work for the person who waits.
    """
    path = Settings().root / "locks" / f"{key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(f"{what} is under way in another process; waiting for its end", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
