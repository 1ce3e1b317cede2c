"""Explainers from the gradient of the score with respect to the input, by captum where it has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Saliency
from torch import Tensor, nn

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from ..seeding import normal
from .memory import parts, rows_through

ROWS_AT_ONCE = 512
"""Inputs differentiated together, at most, by the methods that need several gradients per sample."""


@dataclass(frozen=True)
class Gradient:
    """Gradient of the score: ``dS/dx`` (Simonyan et al., 2014), or its absolute value.

    The signed one says in which direction the score moves, the absolute one how much.
    """

    absolute: bool = False

    @property
    def name(self) -> str:
        """``gradient`` or ``gradient_abs``."""
        return "gradient_abs" if self.absolute else "gradient"

    @classmethod
    def from_name(cls, name: str) -> Gradient | None:
        """The gradient of that name, None where the name is another's."""
        return {found.name: found for found in (cls(), cls(absolute=True))}.get(name)

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used."""
        found = _gradients(model, inputs, targets, score, rows_through(model, inputs, ROWS_AT_ONCE))
        return found.abs() if self.absolute else found


@dataclass(frozen=True)
class GradientXInput:
    """Gradient times input: the first-order estimate of what each point adds over an input of zero."""

    @property
    def name(self) -> str:
        """``gradient_x_input``."""
        return "gradient_x_input"

    @classmethod
    def from_name(cls, name: str) -> GradientXInput | None:
        """The explainer where the name is its own, else None."""
        return cls() if name == "gradient_x_input" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used."""
        return inputs.detach() * _gradients(model, inputs, targets, score, rows_through(model, inputs, ROWS_AT_ONCE))


@dataclass(frozen=True)
class IntegratedGradients:
    """Integrated gradients from an input of zero (Sundararajan et al., 2017), ``steps`` Gauss-Legendre nodes.

    A sample's attributions sum to its score less the score of zeros, up to the quadrature's error.
    """

    steps: int = 50

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; expected 1 or more.")

    @property
    def name(self) -> str:
        """``integrated_gradients[_n<steps>]``; the default is left out."""
        return "integrated_gradients" + (f"_n{self.steps}" if self.steps != 50 else "")

    @classmethod
    def from_name(cls, name: str) -> IntegratedGradients | None:
        """The explainer of that name, None where the name is another's."""
        found = re.fullmatch(r"integrated_gradients(?:_n([1-9]\d*))?", name)
        return cls(int(found[1] or 50)) if found else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used."""
        explainer = CaptumIntegratedGradients(_explained(model, score))
        rows = rows_through(model, inputs, ROWS_AT_ONCE)
        with differentiable(model):
            found = [
                explainer.attribute(
                    _leaf(inputs[part]),
                    additional_forward_args=targets[part].clone(),
                    n_steps=self.steps,
                    internal_batch_size=rows,
                ).detach()
                for part in parts(len(inputs), rows)
            ]
        return torch.cat(found)


@dataclass(frozen=True)
class SmoothGrad:
    """Mean signed gradient over ``draws`` noisy copies (Smilkov et al., 2017).

    The noise is Gaussian with ``noise`` times the standard deviation of the sample itself, over all its
    channels and points, and comes from the sample's seed. captum's `NoiseTunnel` draws from the global
    generator, so that its result depends on the batch; this one does not.
    """

    draws: int = 25
    noise: float = 0.15

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"draws is {self.draws}; expected 1 or more.")
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise is {self.noise}; expected a number of 0 or more.")

    @property
    def name(self) -> str:
        """``smoothgrad[_n<draws>][_s<noise>]``; defaults are left out."""
        draws = f"_n{self.draws}" if self.draws != 25 else ""
        return f"smoothgrad{draws}" + (f"_s{self.noise}" if self.noise != 0.15 else "")

    @classmethod
    def from_name(cls, name: str) -> SmoothGrad | None:
        """The explainer of that name, None where the name is another's."""
        found = re.fullmatch(r"smoothgrad(?:_n([1-9]\d*))?(?:_s(\d+(?:\.\d+)?(?:e-?\d+)?))?", name)
        return cls(int(found[1] or 25), float(found[2] or 0.15)) if found else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``, by ``seeds (sample,)``."""
        spread = inputs.flatten(1).std(1, unbiased=False).view(-1, *[1] * (inputs.dim() - 1)) * self.noise
        total = torch.zeros_like(inputs)
        rows = rows_through(model, inputs, ROWS_AT_ONCE)
        together = max(1, rows // max(1, len(inputs)))
        for first in range(0, self.draws, together):
            draws = range(first, min(first + together, self.draws))
            noise = torch.cat([normal(seeds, f"smoothgrad/{draw}", inputs.shape[1:]) for draw in draws])
            noisy = inputs.repeat(len(draws), *[1] * (inputs.dim() - 1))
            noisy += noise.to(inputs) * spread.repeat(len(draws), *[1] * (inputs.dim() - 1))
            gradient = _gradients(model, noisy, targets.repeat(len(draws)), score, rows)
            total += gradient.unflatten(0, (len(draws), -1)).sum(0)
        return total / self.draws


@contextmanager
def differentiable(model: Classifier) -> Iterator[None]:
    """Lets a gradient pass through the model, whatever mode the caller is in.

    cuDNN runs an RNN backward only in training mode: RNN modules in evaluation mode are put into it with
    their dropout at 0, which changes no value, and are put back in the end. Nothing else is trained:
    other dropouts and batch statistics stay as they are.
    """
    modules = model.modules() if isinstance(model, nn.Module) else ()
    frozen = [module for module in modules if isinstance(module, nn.RNNBase) and not module.training]
    dropouts = [module.dropout for module in frozen]
    try:
        for module in frozen:
            module.training, module.dropout = True, 0.0
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, dropout in zip(frozen, dropouts, strict=True):
            module.training, module.dropout = False, dropout


def _gradients(model: Classifier, inputs: Tensor, targets: Tensor, score: ScoreOperator, rows: int) -> Tensor:
    """Signed gradient of each sample's score in the shape of the inputs, at most ``rows`` samples at a time."""
    explainer = Saliency(_explained(model, score))
    with differentiable(model):
        found = [
            explainer.attribute(_leaf(inputs[part]), abs=False, additional_forward_args=targets[part].clone())
            for part in parts(len(inputs), rows)
        ]
    return torch.cat(found).detach()


def _explained(model: Classifier, score: ScoreOperator) -> Callable[[Tensor, Tensor], Tensor]:
    """The scalar per sample that captum differentiates, ``(sample,)``."""
    return lambda inputs, targets: score(model(inputs), targets)


def _leaf(inputs: Tensor) -> Tensor:
    """A copy of the inputs that gradients end in; the caller's tensor is left alone."""
    return inputs.detach().clone().requires_grad_()
