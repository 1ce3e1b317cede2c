"""LRP as an explainer: one rule, its name and the verb `attribute`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...protocols import Classifier, MeanOfMembers
from ...scores import LOGIT, ScoreOperator
from .names import rule_named
from .plans import AnyRule
from .rules import Epsilon
from .runs import relevances


@dataclass(frozen=True)
class LRP:
    """Layer-wise relevance propagation (Bach et al., 2015) by one rule or composite.

    LSTM layers follow the epsilon rule. Relevance sums to the score less what biases and stabilisers keep;
    `relevance_runs` accounts for that.
    """

    rule: AnyRule = Epsilon()  # noqa: RUF009 - frozen

    @property
    def name(self) -> str:
        """``lrp_<rule>``: ``lrp_epsilon[_e<epsilon>]``, ``lrp_zplus``, ``lrp_composite_epsilon_plus`` and so on."""
        return f"lrp_{self.rule.name}"

    @classmethod
    def from_name(cls, name: str) -> LRP | None:
        """The explainer of that name, None where the name is another's."""
        found = rule_named(name.removeprefix("lrp_")) if name.startswith("lrp_") else None
        return None if found is None else cls(found)

    def attribute(
        self,
        model: Classifier,
        inputs: Tensor,
        targets: Tensor,
        *,
        score: ScoreOperator = LOGIT,
        seeds: Tensor,
    ) -> Tensor:
        """Relevance in the shape of ``inputs (sample, channel, *grid)``; ``seeds`` are not used.

        The relevance of a mean of members is the mean of their relevances. Raises ValueError naming what LRP
        does not support in the model.
        """
        return mean_relevances(model, inputs, targets, [self.rule], score=score)[0]


def mean_relevances(
    model: Classifier, inputs: Tensor, targets: Tensor, rules: Sequence[AnyRule], *, score: ScoreOperator = LOGIT
) -> list[Tensor]:
    """As `relevances`, one per rule from one forward pass; of a mean of members the mean of their relevances."""
    members = model.averaged() if isinstance(model, MeanOfMembers) else [model]
    found = [relevances(member, inputs, targets, rules, score=score) for member in members]
    return [torch.stack(of_rule).mean(dim=0) for of_rule in zip(*found, strict=True)]
