"""Reads damaged folders in a process of its own, within limits, and prints one line of JSON for each.

``python fuzzing.py FORMAT FIRST COUNT FOLDER``: seeds FIRST to FIRST + COUNT - 1 of a format, in scratch below FOLDER.
A line says seed, what was done, outcome ("read", "refused" or what was wrong), CPU seconds and the peak so far.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

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
        self._allowed = tuple(str(path) for path in allowed)
        self.armed = False
        self.strange: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed or event not in ("open", "socket.connect", "subprocess.Popen", "os.system"):
            return
        what = arguments[0]
        if event != "open":
            self.strange.append(event)
        elif isinstance(what, (str, bytes, Path)):
            path = str(Path(what.decode() if isinstance(what, bytes) else what).resolve())
            if not path.startswith(self._allowed):
                self.strange.append(path)


def main(name: str, first: int, count: int, folder: Path) -> None:
    """Fuzzes one format."""
    from fuzzed_formats import FORMATS
    from mutating import mutate

    from tasks.cohorts.errors import CohortError

    chosen = FORMATS[name]
    sound, scratch = folder / "sound", folder / "work"
    sound.mkdir(parents=True)
    chosen.write(sound)
    chosen.read(sound, folder / "out")  # sound, and every module is imported before the limits are set
    # What a path that leaves the folder would find: the same files, fit to be read.
    shutil.copytree(sound, scratch / "outside")
    shutil.copy(next(path for path in sound.rglob("*") if path.is_file()), scratch / "outside/secret.dat")
    here = (
        scratch / "here"
    )  # opened relative to a folder, as when one is removed, is not told apart from the current one
    here.mkdir()
    os.chdir(here)
    watch = Watch((scratch / "in", scratch / "out", here, *_code()))
    _limit_memory()
    signal.signal(signal.SIGPROF, _hang)
    signal.signal(signal.SIGALRM, _hang)
    for seed in range(first, first + count):
        shutil.rmtree(scratch / "in", ignore_errors=True)
        shutil.rmtree(scratch / "out", ignore_errors=True)
        shutil.copytree(sound, scratch / "in")
        kind = mutate(scratch / "in", seed)
        print(json.dumps({"seed": seed, "kind": kind}), flush=True)  # known, should the process die
        watch.strange.clear()
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SLOWEST)
        signal.setitimer(signal.ITIMER_REAL, STUCK)
        watch.armed = True
        try:
            chosen.read(scratch / "in", scratch / "out/cohort")
            outcome = "read"
        except CohortError as error:
            text = str(error)
            outcome = "refused" if text.strip() and "\n" not in text else f"a message of several lines: {text!r}"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {str(error)[:200]} at {_place(error)}"
        finally:
            watch.armed = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        if watch.strange:
            outcome = f"opened {', '.join(sorted(set(watch.strange))[:3])}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = time.process_time() - began
        print(json.dumps({"seed": seed, "kind": kind, "outcome": outcome, "cpu": seconds, "peak_kb": peak}), flush=True)


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
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent)]
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
