"""Reads damaged folders in a process of its own, within limits, and prints one line of JSON for each.

``python fuzzing.py FORMAT,FORMAT FIRST COUNT FOLDER``: seeds FIRST to FIRST + COUNT - 1 of each format, below FOLDER.
A line says format, seed, what was done, outcome ("read", "refused" or what was wrong), CPU seconds and the peak so far.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout; this file's folder is there already

from fuzzed_formats import FORMATS, Format
from mutating import mutate

from tasks.cohorts.errors import CohortError

SLOWEST = 10
"""Seconds of CPU in which a damaged folder is read or refused."""
STUCK = 60
"""Seconds by the clock, for what waits without computing."""
MOST_MEMORY = 1 << 30
"""Bytes of address space beyond what the process needs to start: a tiny file cannot make a reader ask for more."""


class Hang(BaseException):
    """Not an Exception: no reader may take it for a parser's error."""


class Watch:
    """Notes every file opened, and every connection made, that a reader of ``folder`` has no business with."""

    def __init__(self, allowed: tuple[Path, ...]) -> None:
        self._always = tuple(str(path) for path in allowed)
        self._allowed: tuple[str, ...] | None = None
        self.strange: list[str] = []
        sys.addaudithook(self._heard)

    @contextmanager
    def over(self, *folders: Path) -> Iterator[None]:
        """Listens while a reader of these folders is at work."""
        self.strange.clear()
        self._allowed = (*self._always, *map(str, folders))
        try:
            yield
        finally:
            self._allowed = None

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._allowed is None or event not in ("open", "socket.connect", "subprocess.Popen", "os.system"):
            return
        what = arguments[0]
        if event != "open":
            self.strange.append(event)
        elif isinstance(what, (str, bytes, Path)):
            path = str(Path(what.decode() if isinstance(what, bytes) else what).resolve())
            if not path.startswith(self._allowed):
                self.strange.append(path)


class Prepared(NamedTuple):
    """A format with its sound folder, and its scratch: ``in``, ``out`` and what lies ``outside``."""

    name: str
    chosen: Format
    sound: Path
    scratch: Path


def main(names: Sequence[str], first: int, count: int, folder: Path) -> None:
    """Fuzzes some formats, one after the other."""
    here = folder / "here"  # what is opened relative to a folder, as to remove one, looks relative to this one
    here.mkdir(parents=True)
    formats = [_prepared(name, folder / f"format {number}") for number, name in enumerate(names)]
    os.chdir(here)
    watch = Watch((here, *_code()))
    _limit_memory()
    signal.signal(signal.SIGPROF, _hang)
    signal.signal(signal.SIGALRM, _hang)
    for one in formats:
        for seed in range(first, first + count):
            _try(one, seed, watch)


def _prepared(name: str, folder: Path) -> Prepared:
    """Writes and reads the sound folder: every module is imported before the limits are set."""
    sound, scratch = folder / "sound", folder / "work"
    sound.mkdir(parents=True)
    FORMATS[name].write(sound)
    FORMATS[name].read(sound, folder / "out")
    # What a path that leaves the folder would find: the same files, fit to be read.
    shutil.copytree(sound, scratch / "outside")
    shutil.copy(next(path for path in sound.rglob("*") if path.is_file()), scratch / "outside/secret.dat")
    return Prepared(name, FORMATS[name], sound, scratch)


def _try(one: Prepared, seed: int, watch: Watch) -> None:
    """Damages one file, reads, and prints what came of it."""
    damaged, out = one.scratch / "in", one.scratch / "out"
    for place in (damaged, out):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(one.sound, damaged)
    line: dict[str, Any] = {"seed": seed, "format": one.name, "kind": mutate(damaged, seed)}
    print(json.dumps(line), flush=True)  # known, should the process die
    began = time.process_time()
    with watch.over(damaged, out):
        line["outcome"] = _outcome(one.chosen, damaged, out / "cohort")
    if watch.strange:
        line["outcome"] = f"opened {', '.join(sorted(set(watch.strange))[:3])}"
    line |= {"cpu": time.process_time() - began, "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    print(json.dumps(line), flush=True)


def _outcome(chosen: Format, damaged: Path, out: Path) -> str:
    signal.setitimer(signal.ITIMER_PROF, SLOWEST)
    signal.setitimer(signal.ITIMER_REAL, STUCK)
    try:
        chosen.read(damaged, out)
        return "read"
    except CohortError as error:
        text = str(error)
        return "refused" if text.strip() and "\n" not in text else f"a message of several lines: {text!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"{SLOWEST} s of CPU" if number == signal.SIGPROF else f"{STUCK} s by the clock")


def _place(error: BaseException) -> str:
    """The innermost line of ours that the error passed."""
    found, trace = "?", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "cohorts" in file.parts:
            found = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _code() -> tuple[Path, ...]:
    """Where code lies, and what the system's libraries look at."""
    checkout = Path(__file__).resolve().parents[1]
    found = {checkout / "tasks", checkout / "tests", Path(sys.prefix), Path(sys.base_prefix) / "lib"}
    found |= {Path(path) for path in sys.path if path.endswith(("site-packages", "lib-dynload"))}
    return tuple(path.resolve() for path in found)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
