"""Gradient against occlusion on windows of several lengths.

The paper's remark: derivatives fare better where sequences are short, because the first-order approximation is
then more suitable (van der Westhuizen & Lasenby, 2017, section 5.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from ..methods.gradients import Gradient, GradientXInput
from ..methods.occlusion import Occlusion, window_scores
from ..protocols import Classifier
from ..scores import LOGIT
from .faithfulness import pearson
from .measure import measure
from .plan import QualityPlan

GRADIENTS = (Gradient(absolute=True), Gradient(), GradientXInput())
OCCLUSION = "occlusion"
AGREEMENT = "linear_agreement"
SPREAD = "spread"
AREAS = ("deletion_auc", "deletion_auc_probability")
COLUMNS = ("sample", "length", "explainer", "metric", "value")
PLAN = QualityPlan(groups=("faithfulness",), baselines=("zero",), steps=10, tops=(0.5,))


def cropped(inputs: Tensor, length: int, origin: int) -> Tensor:
    """The ``length`` steps of ``inputs (sample, channel, time)`` around step ``origin``, as far as the ends allow."""
    start = min(max(origin - length // 2, 0), inputs.shape[2] - length)
    return inputs[..., start : start + length]


def by_length(
    model: nn.Module, inputs: Tensor, targets: Tensor, *, seeds: Tensor, lengths: Sequence[int], origin: int, width: int
) -> pd.DataFrame:
    """How faithful gradients and occlusion are on windows cropped to each of the ``lengths`` around ``origin``.

    ``inputs (sample, channel, time)`` are normalised, and the network takes any length. Occlusion (value 0) has
    windows of ``width`` steps, or half the length where that is less. Returns one row per sample, length,
    explainer and metric: the areas under the deletion curves (baseline 0, logit and probability); for no
    explainer (""), ``spread``, by how much the target's logit of whole and emptied input differ, in size; for
    gradient_x_input, ``linear_agreement``: Pearson's correlation over the windows of the fall in logit that the first
    order predicts, the sum of gradient x input over the window, with the actual one. NaN where undefined.
    """
    tables = []
    for length in lengths:
        if not 1 <= length <= inputs.shape[2]:
            raise ValueError(f"lengths holds {length}; expected 1 to {inputs.shape[2]} steps.")
        short = cropped(inputs, length, origin)
        tables.append(_at_length(model, short, targets, seeds, occlusion_for(length, width)).assign(length=length))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def occlusion_for(length: int, width: int) -> Occlusion:
    """Occlusion of ``width`` steps, at most half the length; a point lies in about four windows."""
    width = min(width, max(1, length // 2))
    return Occlusion(width, -(-width // 4))


def _at_length(model: nn.Module, inputs: Tensor, targets: Tensor, seeds: Tensor, occlusion: Occlusion) -> pd.DataFrame:
    logits = occlusion.window_logits(model, inputs)
    maps = {how.name: how.attribute(model, inputs, targets, seeds=seeds) for how in GRADIENTS}
    agreement = linear_agreement(occlusion, logits, maps["gradient_x_input"], targets)
    maps[OCCLUSION] = occlusion.attribution_of(logits, targets, inputs)
    return pd.concat(
        [
            _areas_and_spread(model, inputs, targets, maps, seeds),
            _rows("gradient_x_input", AGREEMENT, agreement),
        ]
    )


def linear_agreement(occlusion: Occlusion, logits: Tensor, gradient_x_input: Tensor, targets: Tensor) -> Tensor:
    """Correlation ``(sample,)`` over windows of the fall in logit that the gradient predicts with the actual one.

    ``logits`` are those of ``occlusion.window_logits`` (value 0, channels joint) on the same inputs.
    """
    scores = window_scores(logits, targets, LOGIT)[:, 0].double()
    falls = scores[:, :1] - scores[:, 1:]
    predicted = occlusion.windows_on(gradient_x_input).sums(gradient_x_input.double().sum(1)).flatten(1)
    return pearson(predicted, falls)


def _areas_and_spread(
    model: nn.Module, inputs: Tensor, targets: Tensor, maps: Mapping[str, Tensor], seeds: Tensor
) -> pd.DataFrame:
    measured = measure(model, inputs, targets, maps, PLAN, seeds=seeds)
    areas = measured.scores[measured.scores["metric"].isin(AREAS)].drop(columns="baseline")
    with torch.no_grad():
        ends = [_target_logits(model, values, targets) for values in (inputs, torch.zeros_like(inputs))]
    return pd.concat([areas, _rows("", SPREAD, (ends[0] - ends[1]).abs())])


def _target_logits(model: Classifier, inputs: Tensor, targets: Tensor) -> Tensor:
    return LOGIT(model(inputs).double(), targets)


def _rows(explainer: str, metric: str, values: Tensor) -> pd.DataFrame:
    return pd.DataFrame(
        {"sample": range(len(values)), "explainer": explainer, "metric": metric, "value": values.cpu().numpy()}
    )
