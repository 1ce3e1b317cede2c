"""Several explainers on one batch: LRP rules share a single forward pass."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..protocols import Classifier, Explainer
from ..scores import LOGIT, ScoreOperator
from .lrp import LRP, mean_relevances


def attribute_all(
    methods: Sequence[Explainer],
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    *,
    score: ScoreOperator = LOGIT,
    seeds: Tensor,
) -> dict[str, Tensor]:
    """Each explainer's attribution ``(sample, channel, *grid)`` by name, equal to its own `attribute`.

    Arguments as those of `Explainer.attribute`.
    """
    rules = [method.rule for method in methods if isinstance(method, LRP)]
    by_rule = iter(mean_relevances(model, inputs, targets, rules, score=score) if rules else ())
    return {
        method.name: next(by_rule)
        if isinstance(method, LRP)
        else method.attribute(model, inputs, targets, score=score, seeds=seeds).detach()
        for method in methods
    }
