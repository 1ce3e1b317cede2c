"""zennit as a peer: its rules, composites and attributor, asked as ours are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from peers import peer
from torch import Tensor, nn

from xai.methods.lrp import AlphaBeta, AnyRule, Epsilon, Flat, Gamma, WSquare, ZBox

Start = Callable[[Tensor], Tensor]


def zennit(part: str) -> Any:
    """``zennit.<part>``; skips the tests that need it where zennit is not installed."""
    peer("zennit")
    return importlib.import_module(f"zennit.{part}")


def hook_of(rule: AnyRule) -> Any:
    """The peer's form of a rule. It lets biases take part in w-square, which the paper's equation does not."""
    rules = zennit("rules")
    build: Mapping[type, Any] = {
        Epsilon: lambda: rules.Epsilon(rule.epsilon),  # type: ignore[union-attr]
        AlphaBeta: lambda: rules.AlphaBeta(rule.alpha, rule.beta),  # type: ignore[union-attr]
        Gamma: lambda: rules.Gamma(rule.gamma),  # type: ignore[union-attr]
        ZBox: lambda: rules.ZBox(rule.low, rule.high),  # type: ignore[union-attr]
        WSquare: lambda: rules.WSquare(zero_params="bias"),
        Flat: lambda: rules.Flat(),
    }
    return build[type(rule)]()


def relevance_by(composite: Any, model: nn.Module, inputs: Tensor, relevance: Tensor | Start) -> Tensor:
    """The peer's relevance of ``inputs`` where the outputs hold ``relevance (sample, ...)``, given or worked out."""
    attribution = zennit("attribution")
    with attribution.Gradient(model=model, composite=composite) as attributor:
        _, found = attributor(inputs.clone(), relevance)
    return found.detach()


def everywhere(rule: AnyRule, canonizers: Any = None) -> Any:
    """The peer's composite of one rule in all linear maps, sums by contribution, and all else passed."""
    composites, types, rules = zennit("composites"), zennit("types"), zennit("rules")
    layer_map = [
        (types.Activation, rules.Pass()),
        (types.BatchNorm, rules.Pass()),
        (types.AvgPool, rules.Norm()),
        (types.Linear, hook_of(rule)),
    ]
    return composites.LayerMapComposite(layer_map, canonizers=canonizers)


def start_at(outputs: Tensor, targets: Tensor) -> Tensor:
    """Relevance of the outputs ``(sample, class)``: the target's logit."""
    return torch.zeros_like(outputs).scatter(1, targets[:, None], outputs.detach().gather(1, targets[:, None]))
