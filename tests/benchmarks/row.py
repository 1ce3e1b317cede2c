"""What a row of the table is: a job, who does it, how equal the results must be, and which ratio is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

Results = Sequence[Tensor | None]
"""What a contender found; None where a peer means something else by it, so that it is timed but not compared."""
Run = Callable[[], Results]

NEVER_SLOWER = 0.95
"""What the lower bound of the ratio over any peer must reach."""


@dataclass(frozen=True)
class Setting:
    """Where and on what a row runs; ``small`` is the size of the short form in `make test`."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    small: bool = False

    def put(self, inputs: Tensor) -> Tensor:
        """The inputs where and as the row runs."""
        return inputs.to(self.device, self.dtype)


@dataclass(frozen=True)
class Case:
    """One job, ready to run: ours, and by peer the batchings worth trying.

    ``operations``: of our run, where the work is not the matrix products of torch that can be counted. ``parts``: by
    peer, the part of the job that its run does, where all of it would take too long; its time counts for all.
    """

    ours: Run
    peers: Mapping[str, Mapping[str, Run]]
    operations: float | None = None
    parts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Row:
    """A job of the table.

    ``goals``: the peer's time over ours that is wanted; over every other peer `NEVER_SLOWER`. ``limit``: largest
    difference allowed, in units of the largest value, of the small form in float64; ``rounding``: of what is timed.
    ``saves``: of the work of each peer, counted in operations, ours may take this part at most on the small form.
    ``gpu``: whether any of it runs there.
    """

    name: str
    job: str
    build: Callable[[Setting], Case]
    goals: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    limit: float = 1e-5
    rounding: float = 1e-5
    saves: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    gpu: bool = True

    def goal(self, peer: str) -> float:
        """The ratio wanted over a peer."""
        return self.goals.get(peer, NEVER_SLOWER)
