"""Detached processes that can be found again, counted and ended, and nothing else beside them.

A pid alone is no identity: it is reused. A process is ours when pid and start time agree with the record,
when it descends from such a process, or when it carries the token that only our processes were given. The
token finds the flow run whose worker died, which no family tree shows.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..errors import PlumblineError

TOKEN_VARIABLE = "PLUMBLINE_SERVICE_TOKEN"
START_TIME_TOLERANCE = 2.0  # seconds: some systems derive it from a clock that is being adjusted
GRACE = 15.0  # seconds between the request to end and the kill


class ServiceError(PlumblineError):
    """A process of the service did not start, or another command is at work on it."""


@dataclass(frozen=True)
class ServerProcess:
    """The record of one started process.

    ``created`` is its start time, seconds since the epoch; ``url`` is where it answers, None for a worker.
    """

    name: str
    pid: int
    created: float
    token: str
    log: str
    url: str | None = None

    @property
    def leader(self) -> psutil.Process | None:
        """The started process itself, or None once it has ended."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < START_TIME_TOLERANCE
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same and alive else None

    @property
    def running(self) -> bool:
        """Whether the started process is alive."""
        return self.leader is not None


def start(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, url: str | None = None
) -> ServerProcess:
    """Starts ``command`` in a session of its own, so that it outlives this terminal."""
    token = secrets.token_hex(16)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**environment, TOKEN_VARIABLE: token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    created = psutil.Process(child.pid).create_time()
    child.returncode = 0  # nobody here waits for it: keeps Popen from warning that it is still running
    return ServerProcess(name, child.pid, created, token, str(log), url)


def members(server: ServerProcess) -> list[psutil.Process]:
    """Every living process that belongs to ``server``: itself, its descendants, bearers of its token."""
    found = {process for process in psutil.process_iter() if _token(process) == server.token}
    leader = server.leader
    if leader is not None:
        found |= {leader, *_descendants(leader)}
    return sorted(found, key=lambda process: process.pid)


def memory(server: ServerProcess) -> int:
    """Bytes held by all members; memory shared between processes counts once where the system tells."""
    return sum(_private_memory(process) for process in members(server))


def end(servers: Collection[ServerProcess], grace: float = GRACE) -> int:
    """Asks every member to end, kills what is left after ``grace`` seconds; returns how many there were."""
    ended: set[psutil.Process] = set()
    for server in servers:
        ended.update(members(server))
    _signal(ended, psutil.Process.terminate)
    _, stubborn = psutil.wait_procs(ended, timeout=grace)
    # A member may have had a child after the first look.
    late = {process for server in servers for process in members(server)}
    _signal({*stubborn, *late}, psutil.Process.kill)
    psutil.wait_procs({*stubborn, *late}, timeout=grace)
    return len(ended | late)


def _signal(processes: Iterable[psutil.Process], action: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            action(process)
        except psutil.NoSuchProcess:
            continue


def _token(process: psutil.Process) -> str | None:
    try:
        if process.uids().real != os.getuid():
            return None
        return process.environ().get(TOKEN_VARIABLE)
    except (psutil.Error, OSError):
        return None


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _private_memory(process: psutil.Process) -> int:
    try:
        information = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(information, "pss", information.uss))
