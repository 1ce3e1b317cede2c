"""Class mode: the input that a classifier holds for the purest example of a class, found by ascent.

Simonyan et al. (2014), as used on signals by van der Westhuizen & Lasenby (2017), equation 3:
``argmax_X S_c(X) - penalty * ||X||_2^2``, with the unnormalised score ``S_c``, by RMSProp from a random ``X``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, PROBABILITY
from ..seeding import normal
from .gradients import differentiable

SETTLED = 0.01
"""A search has converged when its last tenth moves the mean objective by less than this part of the whole gain."""


@dataclass(frozen=True)
class ClassModes:
    """What a search has found, a row per start.

    ``inputs (start, channel, *grid)`` in normalised units; ``objective``, ``score`` (logit), ``confidence``
    (probability of the class, 0 to 1) and ``norm`` (Euclidean) of each, ``(start,)``. ``converged (start,)``: the
    mean objective of the last tenth of the steps differs from that of the tenth before by less than `SETTLED` of
    what was gained since the start.
    """

    inputs: Tensor
    objective: Tensor
    score: Tensor
    confidence: Tensor
    norm: Tensor
    converged: Tensor


@dataclass(frozen=True)
class ClassModeSearch:
    """The search of equation 3: RMSProp with ``learning_rate`` for ``steps`` steps from N(0, ``spread``^2).

    ``penalty`` is the paper's lambda, 0.3, on the *sum* of squares over all points. The paper gives neither step
    size nor number of steps nor the start; the defaults are ours. Raises ValueError for a number that is not
    finite or out of range.
    """

    penalty: float = 0.3
    learning_rate: float = 0.01
    steps: int = 1000
    spread: float = 0.1

    def __post_init__(self) -> None:
        for name in ("penalty", "spread"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number of 0 or more.")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate is {self.learning_rate}; expected a number above 0.")
        if self.steps < 20:
            raise ValueError(f"steps is {self.steps}; expected 20 or more, two tenths of two steps each.")

    def find(self, model: Classifier, targets: Tensor, shape: Sequence[int], *, seeds: Tensor) -> ClassModes:
        """Modes of the classes ``targets (start,)``, one per start, all in one batch.

        ``shape`` is ``(channel, *grid)`` of an input; ``seeds (start,)`` int64 draw the starting points. A mode
        depends on its class and seed, not on the others of the batch. The model's parameters are left alone and
        gather no gradient. Raises ValueError where ``targets`` and ``seeds`` differ in length.
        """
        if len(targets) != len(seeds):
            raise ValueError(f"seeds has {len(seeds)} entries; expected one per target, {len(targets)}.")
        with differentiable(model):
            targets = targets.clone()  # one made in inference mode could not be differentiated by
            found = (self.spread * normal(seeds, "class mode", shape)).requires_grad_()
            optimiser = torch.optim.RMSprop([found], lr=self.learning_rate)
            path = []
            for _ in range(self.steps):
                objective = self._objective(LOGIT(model(found), targets), found)
                path.append(objective.detach())
                # of the mode alone: a call of backward would also fill the parameters' gradients
                (found.grad,) = torch.autograd.grad(-objective.sum(), found)
                optimiser.step()
        return self._judged(model, found.detach(), targets, torch.stack(path))

    def _objective(self, score: Tensor, inputs: Tensor) -> Tensor:
        return score - self.penalty * inputs.flatten(1).square().sum(1)

    def _judged(self, model: Classifier, inputs: Tensor, targets: Tensor, path: Tensor) -> ClassModes:
        with torch.no_grad():
            logits = model(inputs)
        score = LOGIT(logits, targets)
        return ClassModes(
            inputs=inputs,
            objective=self._objective(score, inputs),
            score=score,
            confidence=PROBABILITY(logits, targets),
            norm=inputs.flatten(1).norm(dim=1),
            converged=_settled(path),
        )


def _settled(path: Tensor) -> Tensor:
    """Whether objectives ``(step, start)`` have stopped rising: ``(start,)``, see `ClassModes`.

    Means over tenths, because RMSProp with a constant step size ends in a small oscillation, never at rest.
    """
    tenth = len(path) // 10
    last, before = path[-tenth:].mean(0), path[-2 * tenth : -tenth].mean(0)
    return (last - before).abs() <= SETTLED * (last - path[0]).abs()


def nearest(inputs: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each input to its nearest neighbour ``among`` others, and that one's position, ``(input,)`` each.

    Both are ``(sample, channel, *grid)`` in the same units; the distance is the root of the mean square difference
    over all points, so that it is in these units too. Raises ValueError where there is no other.
    """
    if not len(among):
        raise ValueError("among has no samples; expected at least one.")
    distances = torch.cdist(inputs.flatten(1).double(), among.flatten(1).double())
    found = distances.min(dim=1)
    return found.values / inputs.shape[1:].numel() ** 0.5, found.indices


def agreement(inputs: Tensor) -> float:
    """Mean correlation between all pairs of ``inputs (start, ...)``, in [-1, 1]; NaN where there is no pair.

    A constant input has no correlation: its pairs are left out.
    """
    flat = inputs.flatten(1).double()
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat[flat.norm(dim=1) > 0]
    if len(flat) < 2:
        return float("nan")
    flat = flat / flat.norm(dim=1, keepdim=True)
    first, second = torch.triu_indices(len(flat), len(flat), offset=1)
    return float((flat[first] * flat[second]).sum(1).mean())
