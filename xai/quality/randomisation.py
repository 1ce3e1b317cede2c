"""Does the attribution depend on what the network learned, and on the class that is asked for?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from ..seeding import draw, generator
from .complexity import entropy
from .faithfulness import pearson
from .perturbation import can_rank

Explain = Callable[[nn.Module], Tensor]
"""Attributions ``(sample, channel, *grid)`` of the same inputs and targets by another network."""


def randomised(model: nn.Module, seed: int) -> Iterator[nn.Module]:
    """A copy of ``model``, from the output down with one more layer drawn anew at every turn.

    The copy is the same object each time; the caller's network stays as it is. A layer is a submodule
    with ``reset_parameters``, taken in the reverse of the order of registration. Raises ValueError where
    there is none.
    """
    copy = deepcopy(model)
    layers = [(name, part) for name, part in copy.named_modules() if hasattr(part, "reset_parameters")]
    if not layers:
        raise ValueError("model has no submodule with reset_parameters; expected at least one layer to draw anew.")
    for name, layer in reversed(layers):
        _draw_anew(layer, generator(seed, f"randomisation:{name}").initial_seed())
        yield copy


def _draw_anew(layer: nn.Module, seed: int) -> None:
    """Draws on the CPU, so that every device gets the same weights; leaves the global generator alone."""
    device = next((parameter.device for parameter in layer.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer.to("cpu")
        layer.reset_parameters()  # type: ignore[operator]
        layer.to(device)


def randomisation_metrics(explain: Explain, model: nn.Module, attributions: Tensor, seed: int) -> dict[str, Tensor]:
    """Cascading and efficient randomisation ``(sample,)`` from one walk down the network.

    ``cascading_randomisation``: rank correlation with the attribution of the randomised network, mean over
    the layers (Adebayo et al., 2018); ``efficient_randomisation``: relative rise of the attribution's
    entropy once all layers are random (Hedström et al., 2024). One draw of weights serves all samples.
    """
    similarities = []
    for network in randomised(model, seed):
        changed = explain(network)
        similarities.append(rank_correlation(attributions, changed))
    return {
        "cascading_randomisation": torch.stack(similarities).mean(dim=0),
        "efficient_randomisation": entropy_rise(attributions, changed),
    }


def entropy_rise(attributions: Tensor, changed: Tensor) -> Tensor:
    """(H(changed) - H(attributions)) / H(attributions) ``(sample,)`` in [-1, inf); NaN for H = 0."""
    before = entropy(attributions)
    rise = (entropy(changed) - before) / before
    undefined = ~can_rank(attributions) | (before == 0)
    return rise.masked_fill(undefined, torch.nan)


def other_classes(seeds: Tensor, targets: Tensor, classes: int) -> Tensor:
    """For each sample another class than its target, ``(sample,)`` int64, drawn evenly.

    Raises ValueError where there is only one class.
    """
    if classes < 2:
        raise ValueError(f"model returns {classes} class; expected 2 or more to explain another one.")
    steps = draw(seeds, "random_logit", lambda generator: torch.randint(1, classes, (), generator=generator))
    return (targets + steps.to(targets.device)) % classes


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation ``(sample,)`` of two attributions; NaN where one of them is constant."""
    ranks = [
        torch.from_numpy(np.asarray(rankdata(values.flatten(1).cpu().numpy(), axis=1))) for values in (first, second)
    ]
    defined = (can_rank(first) & can_rank(second)).cpu()
    return pearson(*ranks).masked_fill(~defined, torch.nan).to(first.device)
