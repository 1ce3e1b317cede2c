"""Contenders taking turns, and what their times say: medians, quartiles, and the interval of a paired ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, np.dtype[np.float64]]
Job = Callable[[], object]

SHORTEST = 0.02
"""Seconds: a shorter job is repeated within its turn, or the clock's own grain would show."""
FEWEST, MOST = 5, 60
"""Rounds."""
NARROW = 0.02
"""Rounds end early once every interval is this narrow, in parts of its ratio, to either side."""
RESAMPLES, LEVEL = 2_000, 0.95


@dataclass(frozen=True)
class Times:
    """Seconds ``(round, contender)``: of the processor, and as they passed."""

    names: tuple[str, ...]
    processor: Array
    passed: Array
    on_device: bool

    @property
    def work(self) -> Array:
        """The time that counts: on a GPU as it passed, else the processor's, which a busy machine disturbs less."""
        return self.passed if self.on_device else self.processor

    def whole(self, parts: Mapping[str, float]) -> Times:
        """With the times of the jobs of which only a part was run, by name, brought up to all of it."""
        done = np.array([parts.get(name, 1.0) for name in self.names])
        return replace(self, processor=self.processor / done, passed=self.passed / done)

    def of(self, name: str) -> Array:
        """A contender's seconds ``(round,)`` by the time that counts."""
        return self.work[:, self.names.index(name)]


def interleaved(jobs: Mapping[str, Job], budget: float, *, device: str = "cpu", fewest: int = FEWEST) -> Times:
    """Times all jobs in rounds, the first one moving on by one from round to round.

    Rounds end after ``budget`` seconds, or once all ratios over the first job are known well, but not before
    ``fewest`` and no later than `MOST`. Every job must have run before: nothing here is left out as a warm-up.
    """
    names, times = tuple(jobs), np.empty((0, len(jobs), 2))
    repeats = {name: repeats_for(job, device) for name, job in jobs.items()}
    began = time.perf_counter()
    while len(times) < MOST and not (
        len(times) >= fewest and (time.perf_counter() - began > budget or _known(times[..., 0]))
    ):
        turn = len(times) % len(names)
        found = np.empty((len(names), 2))
        for place in (*range(turn, len(names)), *range(turn)):
            found[place] = seconds(jobs[names[place]], repeats[names[place]], device)
        times = np.concatenate([times, found[None]])
    return Times(names, times[..., 0], times[..., 1], device != "cpu")


def seconds(job: Job, repeats: int, device: str) -> tuple[float, float]:
    """Of one of so many runs: seconds of the processor, and as they passed."""
    _wait_for(device)
    processor, passed = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        job()
    _wait_for(device)
    return (time.process_time() - processor) / repeats, (time.perf_counter() - passed) / repeats


def repeats_for(job: Job, device: str) -> int:
    """How often to run the job in its turn."""
    return max(1, round(SHORTEST / max(seconds(job, 1, device)[1], 1e-6)))


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _known(times: Array) -> bool:
    """Whether every ratio over the first job has a narrow interval."""
    for place in range(1, times.shape[1]):
        ratio, low, high = median_ratio(times[:, place], times[:, 0])
        if max(high - ratio, ratio - low) > NARROW * ratio:
            return False
    return True


def median_ratio(theirs: Array, ours: Array) -> tuple[float, float, float]:
    """Median over the rounds of their time over ours, and its 95 % interval from a bootstrap over rounds."""
    return bootstrapped(theirs / ours, lambda drawn: np.median(drawn, axis=1))


def bootstrapped(values: Array, statistic: Callable[[Array], Array]) -> tuple[float, float, float]:
    """A statistic of ``values (round, ...)`` and its percentile interval; it is given ``(resample, round, ...)``."""
    rows = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(statistic(values[rows]), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(statistic(values[None])[0]), float(low), float(high)


def quickest(jobs: Mapping[str, Job], *, device: str) -> str:
    """The name of the job with the shortest of two runs, taking turns; a single one is not run."""
    if len(jobs) == 1:
        return next(iter(jobs))
    clock = 0 if device == "cpu" else 1
    best: dict[str, float] = {}
    for _ in range(2):
        for name, job in jobs.items():
            best[name] = min(best.get(name, np.inf), seconds(job, 1, device)[clock])
    return min(best, key=best.__getitem__)


def quartiles(values: Sequence[float] | Array) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(median), float(high)
