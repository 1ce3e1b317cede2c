"""One call that measures everything of a plan, sharing sorts and forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor, nn

from ..methods.memory import parts, rows_through
from ..protocols import Explainer
from ..scores import LOGIT, ScoreOperator
from .complexity import complexity, gini
from .curves import Curves, Grid, curve_metrics, grid_for, perturbation_curves, score_emptied
from .explaining import attribute
from .faithfulness import (
    infidelity,
    perturbation_drops,
    random_perturbations,
    random_subsets,
    sensitivity_n,
    subset_drops,
)
from .forward import SCALARS, scalar_index, score_inputs
from .localisation import input_metrics, localisation_metrics
from .metric import PROBABILITY_SUFFIX, Group
from .perturbation import Baseline, can_rank, descending_ranks
from .plan import NEED_EXPLAINERS, QualityPlan
from .randomisation import other_classes, randomisation_metrics, rank_correlation
from .stability import max_sensitivity, random_shifts
from .tables import CURVE_COLUMNS, Measurement, Row, concatenated, curve_table, joined, score_table

FEATURE_BYTES = 10**9
"""What the ranks, random subsets and perturbations of the samples measured together may take."""


@dataclass(frozen=True)
class _Case:
    """The arguments of `measure`, checked."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    attributions: Mapping[str, Tensor]
    plan: QualityPlan
    score: ScoreOperator
    seeds: Tensor
    explainers: Mapping[str, Explainer]
    evidence: Tensor | None
    batch_size: int

    @cached_property
    def whole(self) -> Tensor:
        """Scores ``(sample, 2)`` of the whole inputs."""
        return score_inputs(self.model, self.inputs, self.targets, self.batch_size)

    def of(self, part: slice) -> _Case:
        """The same questions to some of the samples."""
        return replace(
            self,
            inputs=self.inputs[part],
            targets=self.targets[part],
            attributions={name: values[part] for name, values in self.attributions.items()},
            seeds=self.seeds[part],
            evidence=None if self.evidence is None else self.evidence[part],
        )


def measure(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    attributions: Mapping[str, Tensor],
    plan: QualityPlan,
    *,
    score: ScoreOperator = LOGIT,
    seeds: Tensor,
    explainers: Mapping[str, Explainer] | None = None,
    evidence: Tensor | None = None,
    batch_size: int = 512,
) -> Measurement:
    """Measures every metric of the plan for every explainer and sample, of classifiers and of segmenters.

    ``inputs (sample, channel, *grid)`` are normalised, ``targets (sample,)`` the explained classes,
    ``attributions`` by explainer of the shape of the inputs, ``seeds (sample,)`` int64. Every point of
    every channel is a feature. ``score`` must be what was explained; the curve metrics are also reported in
    probability, from the same forward passes, under names ending in ``_probability``. ``explainers`` are
    needed by the groups stability and randomisation. ``evidence`` is a mask of the shape of the
    inputs, or without the channel axis, which then holds for every channel. A constant or non-finite
    attribution has no order: its metrics are NaN, but for complexity and gini of a constant that is not 0.
    At most ``batch_size`` inputs go through the network at once, of volumes fewer (see `rows_through`).

    Raises ValueError for shapes that do not fit, a network in training mode, missing explainers and a score that
    the curves are not read in.
    """
    _check(model, inputs, targets, attributions, plan, score, seeds, explainers)
    case = _Case(
        model=model,
        inputs=inputs.detach(),
        targets=targets,
        attributions={name: values.detach().to(inputs.device) for name, values in attributions.items()},
        plan=plan,
        score=score,
        seeds=seeds.to(inputs.device),
        explainers=explainers or {},
        evidence=None if evidence is None else _on_every_channel(evidence, inputs),
        batch_size=rows_through(model, inputs, batch_size),
    )
    together = max(1, FEATURE_BYTES // _feature_bytes(inputs, plan))
    return joined((_measured(case.of(part)), part.start) for part in parts(len(inputs), together))


def _measured(case: _Case) -> Measurement:
    rows: list[Row] = []
    curves: list[pd.DataFrame] = []
    if "faithfulness" in case.plan.groups:
        for found, table in _faithfulness(case):
            rows.extend(found)
            curves.append(table)
    for group, measured in _GROUPS.items():
        if group in case.plan.groups:
            rows.extend(measured(case))
    return Measurement(score_table(rows), concatenated(curves, CURVE_COLUMNS))


def _faithfulness(case: _Case) -> Iterator[tuple[list[Row], pd.DataFrame]]:
    """Curves and their metrics; one sort per explainer, one run of the ends for all of them."""
    grid = grid_for(case.inputs[0].numel(), case.plan.steps, case.plan.tops)
    emptied = {
        baseline: score_emptied(case.model, case.inputs, case.targets, baseline, case.batch_size)
        for baseline in case.plan.baselines
    }
    for name, attributions in case.attributions.items():
        ranks = descending_ranks(attributions)
        unranked = ~can_rank(attributions)
        for baseline in case.plan.baselines:
            curves = perturbation_curves(
                case.model,
                case.inputs,
                case.targets,
                ranks,
                baseline,
                grid.counts,
                whole=case.whole,
                emptied=emptied[baseline],
                batch_size=case.batch_size,
            )
            hidden = unranked.view(-1, 1, 1)
            curves = Curves(curves.morf.masked_fill(hidden, torch.nan), curves.lerf.masked_fill(hidden, torch.nan))
            yield (
                _curve_rows(name, baseline, curves, grid, case.score),
                curve_table(name, baseline, curves, grid),
            )


def _curve_rows(name: str, baseline: Baseline, curves: Curves, grid: Grid, score: ScoreOperator) -> list[Row]:
    """The metrics in the explained scalar by their plain name, in probability by its own."""
    rows: list[Row] = []
    for scalar in SCALARS:
        if scalar.name not in (score.name, "probability"):
            continue
        suffix = "" if scalar.name == score.name else PROBABILITY_SUFFIX
        place = scalar_index(scalar)
        values = curve_metrics(curves.morf[..., place], curves.lerf[..., place], grid)
        rows.extend((name, metric + suffix, baseline, value) for metric, value in values.items())
    return rows


def _sensitivity(case: _Case) -> Iterator[Row]:
    features = case.inputs[0].numel()
    size = max(1, round(case.plan.subset_share * features))
    subsets = random_subsets(case.seeds, features, size, case.plan.subsets)
    place = scalar_index(case.score)
    for baseline in case.plan.baselines:
        drops = subset_drops(
            case.model,
            case.inputs,
            case.targets,
            subsets,
            baseline,
            whole=case.whole,
            batch_size=case.batch_size,
        )
        for name, attributions in case.attributions.items():
            values = sensitivity_n(attributions, subsets, drops[..., place])
            yield name, "sensitivity_n", baseline, _where_ranked(values, attributions)


def _infidelity(case: _Case) -> Iterator[Row]:
    perturbations = random_perturbations(case.seeds, case.plan.perturbations, case.plan.noise, like=case.inputs)
    drops = perturbation_drops(
        case.model, case.inputs, case.targets, perturbations, whole=case.whole, batch_size=case.batch_size
    )[..., scalar_index(case.score)]
    for name, attributions in case.attributions.items():
        values = infidelity(attributions, perturbations, drops)
        yield name, "infidelity", "", _where_ranked(values, attributions)


def _stability(case: _Case) -> Iterator[Row]:
    shifts = random_shifts(case.seeds, case.plan.draws, case.plan.radius, like=case.inputs)
    for name, attributions in case.attributions.items():

        def explain(inputs: Tensor, samples: Tensor, name: str = name) -> Tensor:
            return _explain(case, name, case.model, inputs, case.targets[samples], case.seeds[samples])

        yield name, "max_sensitivity", "", max_sensitivity(explain, case.inputs, attributions, shifts)


def _randomisation(case: _Case) -> Iterator[Row]:
    with torch.inference_mode():
        classes = case.model(case.inputs[:1]).shape[1]
    others = other_classes(case.seeds, case.targets, classes)
    for name, attributions in case.attributions.items():
        values = randomisation_metrics(
            lambda network, name=name: _explain(case, name, network, case.inputs, case.targets, case.seeds),  # type: ignore[misc]
            case.model,
            attributions,
            case.plan.randomisation_seed,
        )
        other = _explain(case, name, case.model, case.inputs, others, case.seeds)
        values["random_logit"] = rank_correlation(attributions, other)
        for metric, value in values.items():
            yield name, metric, "", value


def _complexity(case: _Case) -> Iterator[Row]:
    for name, attributions in case.attributions.items():
        yield name, "complexity", "", complexity(attributions)
        yield name, "gini", "", gini(attributions)


def _localisation(case: _Case) -> Iterator[Row]:
    for name, attributions in case.attributions.items():
        found = input_metrics(attributions, case.inputs)
        if case.evidence is not None:
            found |= localisation_metrics(attributions, case.evidence)
        for metric, value in found.items():
            yield name, metric, "", value


_GROUPS: dict[Group, Callable[[_Case], Iterable[Row]]] = {
    "sensitivity": _sensitivity,
    "infidelity": _infidelity,
    "stability": _stability,
    "randomisation": _randomisation,
    "complexity": _complexity,
    "localisation": _localisation,
}


def _explain(case: _Case, name: str, model: nn.Module, inputs: Tensor, targets: Tensor, seeds: Tensor) -> Tensor:
    return attribute(
        case.explainers[name],
        model,
        inputs,
        targets,
        score=case.score,
        seeds=seeds,
        batch_size=case.batch_size,
    )


def _feature_bytes(inputs: Tensor, plan: QualityPlan) -> int:
    """What the ranks, subsets and perturbations of one sample take; the perturbations also in float64."""
    per_feature = 16 + 8 * plan.subsets * plan.subset_share + plan.perturbations * (inputs.element_size() + 8)
    return max(1, round(inputs[0].numel() * per_feature))


def _where_ranked(values: Tensor, attributions: Tensor) -> Tensor:
    return values.masked_fill(~can_rank(attributions), torch.nan)


def _on_every_channel(evidence: Tensor, inputs: Tensor) -> Tensor:
    """Evidence as a bool mask of the shape of the inputs."""
    mask = evidence.to(inputs.device).bool()
    if mask.shape == inputs.shape[:1] + inputs.shape[2:]:
        mask = mask.unsqueeze(1)
    if mask.shape not in (inputs.shape, inputs[:, :1].shape):
        raise ValueError(
            f"evidence has shape {tuple(evidence.shape)}; expected {tuple(inputs.shape)}, "
            "with or without the channel axis."
        )
    return mask.expand_as(inputs)


def _check(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    attributions: Mapping[str, Tensor],
    plan: QualityPlan,
    score: ScoreOperator,
    seeds: Tensor,
    explainers: Mapping[str, Explainer] | None,
) -> None:
    if inputs.ndim < 3 or len(inputs) == 0:
        raise ValueError(f"inputs have shape {tuple(inputs.shape)}; expected (sample, channel, *grid), not empty.")
    for argument, values in (("targets", targets), ("seeds", seeds)):
        if values.shape != inputs.shape[:1]:
            raise ValueError(f"{argument} have shape {tuple(values.shape)}; expected ({len(inputs)},), one per sample.")
    for name, values in attributions.items():
        if values.shape != inputs.shape:
            raise ValueError(
                f"attributions of {name} have shape {tuple(values.shape)}; expected {tuple(inputs.shape)}."
            )
    if score not in SCALARS:
        known = ", ".join(scalar.name for scalar in SCALARS)
        raise ValueError(f"score is {score.name!r}; expected one of {known}, which the curves are read in.")
    if model.training:
        raise ValueError("model is in training mode; expected model.eval(), for scores must not be random.")
    again = [group for group in plan.groups if group in NEED_EXPLAINERS]
    missing = [name for name in attributions if name not in (explainers or {})]
    if again and missing:
        raise ValueError(f"explainers lack {missing[0]!r}; expected one per attribution for {again[0]}.")
