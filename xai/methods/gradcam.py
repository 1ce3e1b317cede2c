"""Grad-CAM: where a named layer's features speak for the score, on the grid of the input."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..protocols import Classifier
from ..scores import LOGIT, ScoreOperator
from .gradients import ROWS_AT_ONCE, differentiable
from .maps import mean_map, upsampled
from .memory import parts, rows_through

_SIGNED = "_signed"


@dataclass(frozen=True)
class GradCAM:
    """Grad-CAM (Selvaraju et al., 2017) on the layer of that name, of signals, images and volumes.

    Each feature map of the layer is weighted by the mean of the score's gradient over it; the positive part of
    their sum is brought to the input's grid by linear interpolation. With the lesion sum as score this is
    Seg-Grad-CAM (Vinogradova et al., 2020). It never falls below 0, and is the same for every channel.

    ``signed`` leaves the negative part in: what speaks against the score. Raises ValueError for a layer whose name
    could not be told from that.
    """

    layer: str
    signed: bool = False

    def __post_init__(self) -> None:
        if self.layer.endswith(_SIGNED):
            raise ValueError(f"layer is {self.layer!r}; expected a name that does not end in {_SIGNED!r}.")

    @property
    def name(self) -> str:
        """``gradcam_<layer>[_signed]``, the layer as the network's `named_modules` calls it: ``gradcam_encoders.3``."""
        return f"gradcam_{self.layer}" + (_SIGNED if self.signed else "")

    @classmethod
    def from_name(cls, name: str) -> GradCAM | None:
        """The explainer of that name, None where the name is another's."""
        found = re.fullmatch(r"gradcam_(\w+?(?:\.\w+?)*)(_signed)?", name)
        return cls(found[1], bool(found[2])) if found and not found[1].endswith(_SIGNED) else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used.

        The map of a mean of members is the mean of their maps. Raises ValueError, naming the layers, where the
        model lacks this one, and where the layer returns no features on a grid of as many axes as the inputs'.
        """
        return mean_map(model, inputs, lambda member: self._of_member(member, inputs, targets, score))

    def _of_member(self, model: Classifier, inputs: Tensor, targets: Tensor, score: ScoreOperator) -> Tensor:
        """The map ``(sample, 1, *grid)`` of one network."""
        layer = _layer(model, self.layer)
        rows = rows_through(model, inputs, ROWS_AT_ONCE)
        maps = []
        for part in parts(len(inputs), rows):
            features, slopes = self._features_and_slopes(model, layer, inputs[part], targets[part], score)
            weights = slopes.flatten(2).mean(dim=2).view(*slopes.shape[:2], *[1] * (slopes.ndim - 2))
            heat = (weights * features).sum(dim=1, keepdim=True)
            maps.append(upsampled(model, heat if self.signed else heat.relu(), inputs.shape[2:]))
        return torch.cat(maps)

    def _features_and_slopes(
        self, model: Classifier, layer: nn.Module, inputs: Tensor, targets: Tensor, score: ScoreOperator
    ) -> tuple[Tensor, Tensor]:
        """What the layer returns ``(sample, feature, *grid)``, and the gradient of the score by it."""
        found: list[object] = []

        def keep(module: nn.Module, arguments: object, output: object) -> object:
            found.append(output)
            # What follows may write into its input; it gets a copy.
            return output.clone() if isinstance(output, Tensor) else output

        hook = layer.register_forward_hook(keep)
        try:
            with differentiable(model):
                value = score(model(inputs.detach().clone().requires_grad_()), targets.clone()).sum()
                features = self._on_a_grid(found, inputs)
                (slopes,) = torch.autograd.grad(value, features)
        finally:
            hook.remove()
        return features.detach(), slopes

    def _on_a_grid(self, found: list[object], inputs: Tensor) -> Tensor:
        returned = found[-1] if found else None
        if isinstance(returned, Tensor) and returned.ndim == inputs.ndim:
            return returned
        shape = tuple(returned.shape) if isinstance(returned, Tensor) else type(returned).__name__
        raise ValueError(
            f"Layer {self.layer!r} returns {shape}; Grad-CAM expects (sample, feature, *grid) with "
            f"{inputs.ndim - 2} axes of the grid."
        )


def _layer(model: Classifier, name: str) -> nn.Module:
    layers = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    if name not in layers:
        known = ", ".join(known for known in layers if known)
        raise ValueError(f"gradcam_{name} names layer {name!r}, which the model lacks; expected one of {known}.")
    return layers[name]
