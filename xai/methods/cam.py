"""Class activation maps: what each column of the last features adds to the score of a class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocols import ClassActivation, Classifier
from ..scores import LOGIT, ScoreOperator
from .gradients import ROWS_AT_ONCE
from .maps import mean_map, upsampled
from .memory import parts, rows_through


@dataclass(frozen=True)
class CAM:
    """The class activation map ``M_c(t) = sum_k w_k^c f_k(t)`` (Zhou et al., 2016; Vijayarangan et al., Eq. 1).

    It holds of networks that end in the mean over columns and one linear layer, whose bias it leaves out: the mean
    of the map over the columns is the logit less the bias. The columns are brought to the input's points where the
    network says they lie. The map has both signs, and is the same for every channel.

    Of another score than the logit, ``w_k^c`` is the score's slope along the mean of feature ``k``.
    """

    @property
    def name(self) -> str:
        """``cam``."""
        return "cam"

    @classmethod
    def from_name(cls, name: str) -> CAM | None:
        """The explainer where the name is its own, else None."""
        return cls() if name == "cam" else None

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Attribution in the shape of ``inputs (sample, channel, time)``; ``seeds`` are not used.

        The map of a mean of members is the mean of their maps. Raises ValueError for a network of another end.
        """
        return mean_map(model, inputs, lambda member: _of_member(member, inputs, targets, score))


def _of_member(model: Classifier, inputs: Tensor, targets: Tensor, score: ScoreOperator) -> Tensor:
    """The map ``(sample, 1, time)`` of one network."""
    if not isinstance(model, ClassActivation):
        raise ValueError(
            f"cam cannot explain a {type(model).__name__}; expected a network that ends in the mean over columns and "
            "one linear layer, with features, classifier and columns_to_points."
        )
    maps = []
    for part in parts(len(inputs), rows_through(model, inputs, ROWS_AT_ONCE)):
        with torch.no_grad():
            features = model.features(inputs[part])
        weights = _weights(model, features, targets[part], score)
        heat = (weights.unsqueeze(2) * features).sum(dim=1, keepdim=True)
        maps.append(upsampled(model, heat, inputs.shape[2:]).detach())
    return torch.cat(maps)


def _weights(model: ClassActivation, features: Tensor, targets: Tensor, score: ScoreOperator) -> Tensor:
    """The slope ``(sample, feature)`` of each sample's score along the mean of each feature: ``w^c`` of the logit."""
    with torch.inference_mode(False), torch.enable_grad():
        means = features.mean(dim=2).clone().requires_grad_()
        value = score(model.classifier(means), targets.clone()).sum()
        return torch.autograd.grad(value, means)[0]
