"""What relevance does at calls without weights: it passes, goes back along copies, or is shared by a sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .contributions import Contributions, LinearMap, stabilised
from .graph import Call, Passed
from .linear_maps import Convolved, LayerMap, summed
from .linear_pass import LinearPass
from .patches import Patches, few_outputs
from .rows import stacked
from .rules import STABILISER, Rule


@dataclass(frozen=True)
class Passing:
    """One signal, changed point by point: relevance passes unchanged. Activations, scaling, a batch norm left alone."""

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the function itself."""
        return function

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`; ValueError where two signals meet or the shape changes."""
        if len(call.inputs) > 1:
            raise ValueError("multiplies or divides two signals; LRP supports one signal and constants there.")
        if call.inputs[0].shape != call.output.shape:
            raise ValueError("changes the shape of its signal point by point; LRP supports equal shapes there.")
        return Passed([relevance])


@dataclass(frozen=True)
class Identity(Passing):
    """As `Passing`, for what does nothing when a network is used: dropout in any mode, a folded batch norm."""

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the first argument comes back."""
        return lambda inputs, *_, **__: inputs


@dataclass(frozen=True)
class Copying:
    """Every output is a copy of one input, or a constant: relevance goes back along the copies.

    Reshaping, slicing, concatenation, nearest upsampling, maxima (the winner takes all). The way back is the
    gradient. With ``constants``, as in padding, what reaches a constant is kept there, and accounted as bias.
    """

    constants: bool = False

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the function itself."""
        return function

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        leaving = _pulled_back(call, relevance)
        return Passed(leaving, (lambda: self._kept(call, relevance)) if self.constants else None)

    def _kept(self, call: Call, relevance: Tensor) -> tuple[Tensor, Tensor]:
        copies = call.run([torch.ones_like(inputs) for inputs in call.inputs])
        constants = call.run([torch.zeros_like(inputs) for inputs in call.inputs])
        bias = summed(relevance * (1 - (copies - constants)))
        return bias, torch.zeros_like(bias)


@dataclass(frozen=True)
class Winning:
    """A max pool: the winner of each window takes all. ``with_winners`` is the pool that also says where they are.

    The same as `Copying`, with the winners looked up once for all rules.
    """

    with_winners: Callable[[Tensor], Any]

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the function itself."""
        return function

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        (inputs,), relevance = call.inputs, relevance.flatten(3)
        winners = self.with_winners(inputs)[1].flatten(2).expand_as(relevance)
        leaving = inputs.new_zeros(len(relevance), *inputs.shape)
        leaving.flatten(3).scatter_add_(3, winners, relevance)
        return Passed([leaving])


@dataclass(frozen=True)
class Summing:
    """A sum of signals with fixed weights: relevance is shared by contribution, stabilised by `STABILISER`.

    Residual additions, average pools, means, linear upsampling. Added constants count as bias.
    """

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the function itself."""
        return function

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        messages = relevance / stabilised(call.output, STABILISER)
        back = _pulled_back(call, messages)
        leaving = [inputs * share for inputs, share in zip(call.inputs, back, strict=True)]
        return Passed(leaving, lambda: self._kept(call, relevance, messages))

    def _kept(self, call: Call, relevance: Tensor, messages: Tensor) -> tuple[Tensor, Tensor]:
        constants = call.run([torch.zeros_like(inputs) for inputs in call.inputs])
        return summed(messages.double() * constants), summed(relevance - messages.double() * call.output)


@dataclass(frozen=True)
class Weighted:
    """A linear map with weights: the rule shares. A convolution with relevance at few outputs is taken there only."""

    linear: LayerMap

    def forward(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As `Operation.forward`: the map, into which a batch norm may have been folded."""
        return lambda inputs: self.linear.apply(inputs, self.linear.weight, self.linear.bias)

    def down(self, call: Call, relevance: Tensor, rules: Sequence[Rule]) -> Passed:
        """As `Operation.down`."""
        linear: LinearMap = self.linear
        (inputs,), total = call.inputs, call.output
        if isinstance(self.linear, Convolved) and self.linear.grid.groups == 1:
            chosen = few_outputs(relevance)
            if chosen is not None:
                linear = Patches.at(self.linear, chosen, inputs)
                total, relevance = total[tuple(chosen)], torch.stack([share[tuple(chosen)] for share in relevance])
        passed = LinearPass.down(Contributions(linear, inputs, total), relevance, rules)
        return Passed([passed.leaving], passed.kept)


def _pulled_back(call: Call, relevance: Tensor) -> list[Tensor]:
    """The gradient of a call, rule by rule: ``(rule, sample, ...)`` for each of its inputs."""
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [inputs.detach().requires_grad_() for inputs in call.inputs]
        output = call.run(leaves)
        found = [torch.autograd.grad(output, leaves, share, retain_graph=True) for share in relevance]
    return [stacked(shares) for shares in zip(*found, strict=True)]
