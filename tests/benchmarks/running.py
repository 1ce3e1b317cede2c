"""One row from equality to times: nothing is timed whose results differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from .equality import largest_difference
from .operations import counted, product, product_operations
from .row import NEVER_SLOWER, Results, Row, Run, Setting
from .timing import Times, interleaved, median_ratio, quartiles, quickest

OURS, PRODUCT = "plumbline", "matrix product"
TF32_ROUNDING = 1e-2
"""Largest difference allowed of what is timed where products are rounded to 10 bits."""


class NotEqualError(Exception):
    """A peer found something else."""


@dataclass(frozen=True)
class Outcome:
    """A row against one peer. Times are milliseconds, ``quartile_*`` of them; ``ratio`` is the peer's over ours.

    ``equal`` and ``equal_timed``: largest difference in units of the largest value, of the small form in float64 and
    of what was timed; NaN where the peer means something else. ``bound``: what the job's operations cost at the rate
    of matrix products, ``distance``: our time over it; NaN where the job is not made of them.
    """

    row: str
    job: str
    peer: str
    batching: str
    ours: float
    quartile_low: float
    quartile_high: float
    theirs: float
    their_quartile_low: float
    their_quartile_high: float
    ours_passed: float
    theirs_passed: float
    ratio: float
    ratio_low: float
    ratio_high: float
    goal: float
    rounds: int
    equal: float
    limit: float
    equal_timed: float
    rounding: float
    operations: float
    rate: float
    bound: float
    distance: float

    @property
    def met(self) -> bool:
        """Whether the median reaches the goal; where a peer's speed is all that is asked, whether the bound does."""
        return (self.ratio_low if self.goal == NEVER_SLOWER else self.ratio) >= self.goal

    @property
    def verdict(self) -> str:
        """``met``, or by how many percent of the goal it is missed."""
        if self.met:
            return "met"
        reached = self.ratio_low if self.goal == NEVER_SLOWER else self.ratio
        return f"missed by {100 * (1 - reached / self.goal):.0f} %"


def small_differences(row: Row, setting: Setting) -> dict[str, float]:
    """By peer the largest difference of the small form in float64; NaN where nothing can be compared."""
    case = row.build(replace(setting, dtype=torch.float64, small=True))
    return _differences(case.ours(), {name: next(iter(runs.values())) for name, runs in case.peers.items()})


def run(row: Row, setting: Setting, budget: float) -> Iterator[Outcome]:
    """The row against each of its peers; raises NotEqualError before anything is timed."""
    equal = small_differences(row, setting)
    _require_equal(row, equal, row.limit, "in float64")
    case = row.build(setting)
    case.ours()
    chosen = {name: quickest(runs, device=setting.device) for name, runs in case.peers.items()}
    runs = {name: case.peers[name][batching] for name, batching in chosen.items()}
    rounding = TF32_ROUNDING if torch.backends.cuda.matmul.allow_tf32 and setting.device != "cpu" else row.rounding
    found, operations = counted(case.ours) if case.operations is None else (case.ours(), case.operations)
    equal_timed = _differences(found, runs)
    _require_equal(row, equal_timed, rounding, "in what is timed")
    multiply = product(setting)
    multiply()
    turns = {OURS: case.ours, **runs, PRODUCT: multiply}
    times = interleaved(turns, budget, device=setting.device).whole(case.parts)
    rate = product_operations(setting) / float(np.median(times.of(PRODUCT)))
    for name in runs:
        yield _outcome(row, name, chosen[name], times, operations, rate, equal[name], equal_timed[name], rounding)


def _outcome(
    row: Row, name: str, batching: str, times: Times, operations: float, rate: float, equal: float,
    equal_timed: float, rounding: float,
) -> Outcome:  # fmt: skip
    ours_low, ours, ours_high = (1e3 * value for value in quartiles(times.of(OURS)))
    low, theirs, high = (1e3 * value for value in quartiles(times.of(name)))
    ratio, ratio_low, ratio_high = median_ratio(times.of(name), times.of(OURS))
    passed = 1e3 * np.median(times.passed, axis=0)
    bound = 1e3 * operations / rate if operations else float("nan")
    return Outcome(
        row=row.name,
        job=row.job,
        peer=name,
        batching=batching,
        ours=ours,
        quartile_low=ours_low,
        quartile_high=ours_high,
        theirs=theirs,
        their_quartile_low=low,
        their_quartile_high=high,
        ours_passed=float(passed[times.names.index(OURS)]),
        theirs_passed=float(passed[times.names.index(name)]),
        ratio=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        goal=row.goal(name),
        rounds=len(times.work),
        equal=equal,
        limit=row.limit,
        equal_timed=equal_timed,
        rounding=rounding,
        operations=operations,
        rate=rate,
        bound=bound,
        distance=ours / bound,
    )


def _differences(ours: Results, runs: Mapping[str, Run]) -> dict[str, float]:
    found = {name: largest_difference(ours, run()) for name, run in runs.items()}
    return {name: float("nan") if difference is None else difference for name, difference in found.items()}


def _require_equal(row: Row, differences: Mapping[str, float], limit: float, where: str) -> None:
    for name, difference in differences.items():
        if difference > limit:
            raise NotEqualError(
                f"{row.name}: {name} differs by {difference:.1e} {where}; expected {limit:.0e} at most."
            )
