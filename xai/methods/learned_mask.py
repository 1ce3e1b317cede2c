"""Learned masks: the few points whose loss costs a class its probability, found by gradient descent.

Fong & Vedaldi (2017); for a recurrent network on signals Vijayarangan et al. (2020), Eq. 2-3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from ..protocols import Classifier
from ..scores import LOGIT, PROBABILITY, ScoreOperator
from .gradients import differentiable
from .memory import parts, rows_through
from .smoothing import smoothed

Objective = Literal["probability", "margin"]
Fill = Literal["smooth", "blur"]
Form = Literal["corrected", "paper"]

SMOOTHING: dict[Fill, float] = {"smooth": 0.01, "blur": 0.05}
"""Deviation of the Gaussian as a share of the axis: of two seconds 20 ms, which leaves the slow waves, and 100 ms."""
STEPS, RESTARTS = 500, 3
SPARSITY, SMOOTHNESS = 1.0, 0.1
"""Weights of the corrected form's mean |m| and TV(m)."""
ROWS_AT_ONCE = 96
"""Masks learned together, at most: more take memory and, on a CPU, no less time each."""
ANY_NUMBER: Mapping[str, int] = {}
"""In place of `memory.QUICKEST_VALUES`; a descent's steps are many and small: fewer masks take more time each."""

_NAME = re.compile(r"learned_mask(_margin)?(?:_v([^_]+?))?(?:_n([1-9]\d*))?(?:_r([1-9]\d*))?(-paper)?")


@dataclass(frozen=True)
class LearnedMask:
    """A mask ``m`` in [0, 1] for each point, learned for each sample: 1 where the class cannot do without it.

    ``form="corrected"`` minimises ``J(m) = mean |m| + 0.1 TV(m) + p((1 - m) x + m k)``: few points, next to each
    other (``TV`` is the mean absolute difference of neighbours), are moved from the input ``x`` towards the baseline
    ``k`` so that the ``objective`` ``p`` falls. Adam at a rate of 0.05 runs for so many ``steps`` from each of
    ``restarts`` even masks, the first of 0.5 and the last of 0.9, and is kept in [0, 1]; of each sample the mask
    with the lowest ``J`` in the end is kept. Several starts, because a class that is nearly certain has no slope
    until enough of the input is gone. The longer it runs the fewer points are left, and those at 0 have no order.

    ``objective`` is the target's probability, which ends at 0, so that a mask cannot gain by deleting more than it
    must, or its ``"margin"`` of logits over the next class, which always has a slope but no end. This is what masks
    are learned by, whatever score is asked for: a logit could fall for ever. Judged by that score they are as any
    other explanation.

    ``value`` is the baseline ``k``: a number in normalised units, where 0 is a signal's mean, or the input under a
    Gaussian, ``"smooth"`` or ``"blur"``, see `SMOOTHING`.

    ``form="paper"`` is as printed: ``J(m) = |1 - m|_1 + 0.001 TV(m) + p((1 - m) x + k (1 - m))``, sums in place of
    means, one start at 0, Adam at 0.001. Its first term asks to delete everything, with a slope that drowns ``p``:
    after 500 steps values are 0.5, give or take a few hundredths, within the evidence as elsewhere. Drawn from its
    own minimum to its own maximum such a mask looks as if it said something.

    Raises ValueError for values outside these.
    """

    objective: Objective = "probability"
    value: float | Fill = 0.0
    steps: int = STEPS
    restarts: int = RESTARTS
    form: Form = "corrected"

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise ValueError(f"objective is {self.objective!r}; expected one of {get_args(Objective)}.")
        known = self.value in get_args(Fill) if isinstance(self.value, str) else isfinite(self.value)
        if not known:
            raise ValueError(f"value is {self.value!r}; expected a finite number or one of {get_args(Fill)}.")
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; expected 1 or more.")
        if self.restarts < 1:
            raise ValueError(f"restarts is {self.restarts}; expected 1 or more.")
        if self.form not in get_args(Form):
            raise ValueError(f"form is {self.form!r}; expected one of {get_args(Form)}.")
        if self.form == "paper" and self.restarts != RESTARTS:
            raise ValueError(f"restarts is {self.restarts}; the form of the paper has one start and expects none.")

    @property
    def name(self) -> str:
        """``learned_mask[_margin][_v<value>][_n<steps>][_r<restarts>][-paper]``; defaults are left out."""
        value = self.value if isinstance(self.value, str) else str(float(self.value)).removesuffix(".0")
        return (
            "learned_mask"
            + ("_margin" if self.objective == "margin" else "")
            + (f"_v{value}" if self.value != 0 else "")
            + (f"_n{self.steps}" if self.steps != STEPS else "")
            + (f"_r{self.restarts}" if self.restarts != RESTARTS else "")
            + ("-paper" if self.form == "paper" else "")
        )

    @classmethod
    def from_name(cls, name: str) -> LearnedMask | None:
        """The mask of that name, None where the name is another's."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        margin, value, steps, restarts, paper = found.groups()
        try:
            return cls(
                objective="margin" if margin else "probability",
                value=cast(Fill, value) if value in get_args(Fill) else float(value or 0),
                steps=int(steps or STEPS),
                restarts=int(restarts or RESTARTS),
                form="paper" if paper else "corrected",
            )
        except ValueError:
            return None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Masks in [0, 1] in the shape of ``inputs (sample, channel, *grid)``.

        ``score`` is not used, see `objective`, nor are ``seeds``. All restarts of a sample are learned together
        with those of others; no term of one mask's objective holds another's. Of a mean of members the mask is
        learned on the mean.
        """
        together = max(1, rows_through(model, inputs, ROWS_AT_ONCE, ANY_NUMBER) // len(self._starts()))
        with differentiable(model):
            found = [
                self._learned(model, inputs[part].detach().clone(), targets[part].clone())
                for part in parts(len(inputs), together)
            ]
        return torch.cat(found)

    def _starts(self) -> Tensor:
        """The value ``(restart,)`` that all points of a mask have at first."""
        return torch.zeros(1) if self.form == "paper" else torch.linspace(0.5, 0.9, self.restarts)

    def _learned(self, model: Classifier, inputs: Tensor, targets: Tensor) -> Tensor:
        """The best mask of each sample, in the shape of ``inputs``."""
        starts = self._starts().to(inputs)
        masks = starts.repeat_interleave(len(inputs)).view(-1, *[1] * (inputs.ndim - 1))
        masks = masks.expand(-1, *inputs.shape[1:]).clone().requires_grad_()
        objective = self._objective(model, inputs, targets, len(starts))
        optimiser = torch.optim.Adam([masks], lr=0.001 if self.form == "paper" else 0.05, fused=True)
        for _ in range(self.steps):
            optimiser.zero_grad()
            objective(masks).sum().backward(inputs=[masks])
            optimiser.step()
            with torch.no_grad():
                masks.clamp_(0, 1)
        with torch.no_grad():
            best = objective(masks).unflatten(0, (len(starts), -1)).argmin(dim=0)
        samples = torch.arange(len(inputs), device=inputs.device)
        return masks.detach().unflatten(0, (len(starts), -1))[best, samples]

    def _objective(
        self, model: Classifier, inputs: Tensor, targets: Tensor, restarts: int
    ) -> Callable[[Tensor], Tensor]:
        """What is minimised ``(restart x sample,)``, of masks ``(restart x sample, channel, *grid)``."""
        baseline = self._baseline(inputs)
        copies = (restarts, *[1] * (inputs.ndim - 1))
        # masks stay in [0, 1], where |m| is m; and (1 - m) x + m k is x - m (x - k)
        whole, gap, targets = inputs.repeat(copies), (inputs - baseline).repeat(copies), targets.repeat(restarts)
        if self.form == "paper":
            printed = (inputs + baseline).repeat(copies)
            return lambda masks: (
                (1 - masks).flatten(1).sum(dim=1)
                + 0.001 * _variation(masks, torch.sum)
                + self._explained(model((1 - masks) * printed), targets)
            )
        return lambda masks: (
            SPARSITY * masks.flatten(1).mean(dim=1)
            + SMOOTHNESS * _variation(masks, torch.mean)
            + self._explained(model(whole - masks * gap), targets)
        )

    def _baseline(self, inputs: Tensor) -> Tensor:
        if isinstance(self.value, str):
            return smoothed(inputs, SMOOTHING[self.value])
        return torch.full_like(inputs, self.value)

    def _explained(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The objective's own score ``(row,)`` of the target."""
        if self.objective == "probability":
            return PROBABILITY(logits, targets)
        scores = LOGIT.of_classes(logits)
        own = targets.unsqueeze(1)
        return (scores.gather(1, own) - scores.scatter(1, own, -torch.inf).amax(dim=1, keepdim=True)).squeeze(1)


def _variation(masks: Tensor, total: Callable[..., Tensor]) -> Tensor:
    """The absolute differences of neighbours ``(row,)``, their sum or their mean, added up over the grid's axes."""
    axes = [axis for axis in range(2, masks.ndim) if masks.shape[axis] > 1]
    found = [total(masks.diff(dim=axis).abs().flatten(1), dim=1) for axis in axes]
    return torch.stack(found).sum(dim=0) if found else masks.new_zeros(len(masks))
