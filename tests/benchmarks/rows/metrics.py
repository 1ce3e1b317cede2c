"""Quality metrics, against quantus and captum called metric by metric as their users do.

Settings under which they mean the same: quantus removes features in equal steps by descending attribution and leaves
the unperturbed point out; the other order is a call with the negative attributions; logits and probabilities are two
calls. Random subsets and perturbations are drawn before, ours, and handed to all. captum's infidelity is taken with
its best scale. quantus takes float32 only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity_max
from peers import peer
from torch import Tensor, nn

from xai.methods import Gradient
from xai.methods.gradients import differentiable
from xai.methods.memory import rows_at_once
from xai.quality.curves import perturbation_curves, score_emptied
from xai.quality.faithfulness import (
    infidelity,
    perturbation_drops,
    random_perturbations,
    random_subsets,
    sensitivity_n,
    subset_drops,
)
from xai.quality.forward import score_inputs
from xai.quality.measure import measure
from xai.quality.perturbation import descending_ranks
from xai.quality.plan import QualityPlan
from xai.quality.stability import max_sensitivity, random_shifts

from ..networks import STEPS, classes_of, network, random_inputs, seeds_of
from ..row import Case, Results, Row, Setting

QUIET: dict[str, Any] = {"normalise": False, "abs": False, "disable_warnings": True}
BATCH = 64
CURVE_STEPS = 24
SUBSETS, SHARE, PERTURBATIONS, NOISE, DRAWS, RADIUS = 50, 0.125, 20, 0.2, 10, 0.1
TOPS = (1 / 24, 1 / 12, 1 / 8, 1 / 4, 1 / 2)
"""On the even steps, so that quantus's curve has all points of ours."""
PLAN = QualityPlan(
    groups=("faithfulness", "sensitivity", "infidelity", "complexity"),
    baselines=("zero",), steps=CURVE_STEPS, tops=TOPS, subsets=SUBSETS, subset_share=SHARE,
    perturbations=PERTURBATIONS, noise=NOISE,
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """Beats, their network, and the maps of one explainer after another ``(explainer, sample, channel, time)``."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    seeds: Tensor
    maps: Tensor

    @classmethod
    def beats(cls, setting: Setting, samples: int, explainers: int = 1) -> Judged:
        """Random ones; ``setting`` with float32 because quantus makes it of everything."""
        single = Setting(setting.device, torch.float32, setting.small)
        samples, steps = (2, 48) if setting.small else (samples, STEPS)
        model, inputs = network("L", single), random_inputs(single, samples, 1, steps)
        maps = single.put(torch.randn(explainers, *inputs.shape, generator=torch.Generator().manual_seed(2)))
        return cls(model, inputs, classes_of(inputs), seeds_of(inputs), maps)

    @property
    def features(self) -> int:
        return self.inputs[0].numel()

    @property
    def at_once(self) -> int:
        """Rows of a forward pass, as `measure` takes them."""
        return rows_at_once(self.inputs, 512)

    @property
    def whole(self) -> Tensor:
        return score_inputs(self.model, self.inputs, self.targets, self.at_once)

    def quantus(self, metric: Any, maps: Tensor, **more: Any) -> Tensor:
        """The metric's values; it is given copies, because some metrics write into their arguments."""
        found = metric(
            model=self.model,
            x_batch=self.inputs.cpu().numpy().copy(),
            y_batch=self.targets.cpu().numpy().copy(),
            a_batch=maps.cpu().numpy().copy(),
            channel_first=True,
            device=str(self.inputs.device),
            batch_size=BATCH,
            **more,
        )
        return torch.tensor(np.array(found))

    def flipped(self, maps: Tensor, softmax: bool) -> Tensor:
        """quantus's curve ``(sample, step)``, the unperturbed point left out."""
        step = self.features // CURVE_STEPS
        metric = peer("quantus").PixelFlipping(features_in_step=step, perturb_baseline=0.0, **QUIET)
        return self.quantus(metric, maps, softmax=softmax)

    def correlated(self, maps: Tensor, subsets: Tensor) -> Tensor:
        """quantus's faithfulness correlation ``(sample,)`` over these subsets."""
        quantus = peer("quantus")
        metric = quantus.FaithfulnessCorrelation(
            nr_runs=subsets.shape[1], subset_size=subsets.shape[2], perturb_baseline=0.0, return_aggregate=False,
            similarity_func=quantus.similarity_func.correlation_pearson, **QUIET,
        )  # fmt: skip
        with _choosing(subsets):
            return self.quantus(metric, maps, softmax=False)

    def infidel(self, maps: Tensor, noise: Tensor) -> Tensor:
        """captum's infidelity ``(sample,)`` with its best scale, over these perturbations."""
        flat = noise.flatten(0, 1)
        return captum_infidelity(
            self.model, lambda repeated: (flat, repeated - flat), self.inputs, maps,
            target=self.targets, n_perturb_samples=noise.shape[1], normalize=True,
        ).detach()  # fmt: skip

    def subsets(self) -> Tensor:
        size = round(SHARE * self.features)
        return random_subsets(self.seeds, self.features, size, SUBSETS)

    def noise(self) -> Tensor:
        return random_perturbations(self.seeds, PERTURBATIONS, NOISE, like=self.inputs)


@contextmanager
def _choosing(subsets: Tensor) -> Iterator[None]:
    """Lets quantus draw these subsets ``(sample, subset, size)``: run by run, sample by sample."""
    drawn = iter(subsets.transpose(0, 1).flatten(0, 1).cpu().numpy())
    with patch("numpy.random.choice", lambda *_, **__: next(drawn)):
        yield


def _curves(setting: Setting) -> Case:
    judged = Judged.beats(setting, 16)
    maps = judged.maps[0]
    counts = tuple(range(0, judged.features + 1, judged.features // CURVE_STEPS))

    def ours() -> Results:
        emptied = score_emptied(judged.model, judged.inputs, judged.targets, "zero", judged.at_once)
        found = perturbation_curves(
            judged.model, judged.inputs, judged.targets, descending_ranks(maps), "zero", counts,
            whole=judged.whole, emptied=emptied, batch_size=judged.at_once,
        )  # fmt: skip
        return [found.morf[:, 1:, 1], found.lerf[:, 1:, 1]]

    return Case(ours, {"quantus": {"": lambda: [judged.flipped(sign * maps, softmax=True) for sign in (1, -1)]}})


def _correlation(setting: Setting) -> Case:
    judged = Judged.beats(setting, 16)
    maps, subsets = judged.maps[0], judged.subsets()

    def ours() -> Results:
        drops = subset_drops(
            judged.model, judged.inputs, judged.targets, subsets, "zero", whole=judged.whole, batch_size=judged.at_once
        )
        return [sensitivity_n(maps, subsets, drops[..., 0])]

    return Case(ours, {"quantus": {"": lambda: [judged.correlated(maps, subsets)]}})


def _infidelity(setting: Setting) -> Case:
    judged = Judged.beats(setting, 16)
    maps, noise = judged.maps[0], judged.noise()

    def ours() -> Results:
        drops = perturbation_drops(
            judged.model, judged.inputs, judged.targets, noise, whole=judged.whole, batch_size=judged.at_once
        )
        return [infidelity(maps, noise, drops[..., 0])]

    return Case(ours, {"captum": {"": lambda: [judged.infidel(maps, noise)]}})


def _sensitivity(setting: Setting) -> Case:
    judged = Judged.beats(setting, 16)
    shifts = random_shifts(judged.seeds, DRAWS, RADIUS, like=judged.inputs)
    each = torch.arange(len(judged.inputs), device=judged.inputs.device)

    def explain(inputs: Tensor, samples: Tensor) -> Tensor:
        return Gradient().attribute(judged.model, inputs, judged.targets[samples], seeds=judged.seeds[samples])

    def explain_tuples(inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rows = inputs[0] if isinstance(inputs, tuple) else inputs
        with differentiable(judged.model):
            return (explain(rows, each.repeat_interleave(len(rows) // len(each))),)

    def theirs() -> Results:
        moved = shifts.flatten(0, 1)
        return [
            captum_sensitivity_max(
                explain_tuples, judged.inputs, perturb_func=lambda x: x + moved, n_perturb_samples=DRAWS
            ).detach()
        ]

    return Case(
        lambda: [max_sensitivity(explain, judged.inputs, explain(judged.inputs, each), shifts)],
        {"captum": {"": theirs}},
    )


def _metric_set(samples: int, explainers: int, setting: Setting) -> Case:
    """The groups of the job `faithfulness` under the baseline zero, for so many explainers.

    The peers have no name for aopc, abpc, comprehensiveness and sufficiency: they are read off their curves, free.
    """
    judged = Judged.beats(setting, samples, explainers)
    maps = {f"map{number:02d}": values for number, values in enumerate(judged.maps)}

    def ours() -> Results:
        found = measure(judged.model, judged.inputs, judged.targets, maps, PLAN, seeds=judged.seeds)
        return _by_metric(found.scores, list(maps))

    def theirs() -> Results:
        rows = [_peers_metrics(judged, values) for values in judged.maps]
        return [torch.stack(values) for values in zip(*rows, strict=True)]

    return Case(ours, {"quantus and captum": {"": theirs}})


METRICS = (
    "deletion_auc", "insertion_auc", "aopc", "comprehensiveness", "sufficiency", "deletion_auc_probability",
    "insertion_auc_probability", "aopc_probability", "comprehensiveness_probability", "sufficiency_probability",
    "sensitivity_n", "infidelity", "complexity", "gini",
)  # fmt: skip


def _by_metric(scores: pd.DataFrame, explainers: Sequence[str]) -> list[Tensor]:
    """Values ``(explainer, sample)`` of each of `METRICS`."""
    wide = scores.pivot_table(index="explainer", columns=["metric", "sample"], values="value").loc[list(explainers)]
    return [torch.from_numpy(wide[metric].to_numpy()) for metric in METRICS]


def _peers_metrics(judged: Judged, maps: Tensor) -> list[Tensor]:
    """The same of one explainer, each ``(sample,)``, by a call for each curve and metric."""
    quantus, found = peer("quantus"), []
    whole = judged.whole.cpu()
    for place, softmax in enumerate((False, True)):
        morf, lerf = (judged.flipped(sign * maps, softmax) for sign in (1, -1))
        found += _read_off(whole[:, place], morf.double(), lerf.double())
    found.append(judged.correlated(maps, judged.subsets()))
    found.append(judged.infidel(maps, judged.noise()))
    of_size = QUIET | {"abs": True}
    found.append(judged.quantus(quantus.Complexity(**of_size), maps) / np.log(judged.features))
    found.append(judged.quantus(quantus.Sparseness(**of_size), maps))
    return [values.cpu() for values in found]


def _read_off(whole: Tensor, morf: Tensor, lerf: Tensor) -> list[Tensor]:
    """Areas, drops and shares of two curves ``(sample, step)`` that lack their first point ``whole (sample,)``."""
    morf, lerf = (torch.cat([whole[:, None], curve], dim=1) for curve in (morf, lerf))
    tops = [round(share * CURVE_STEPS) for share in TOPS]
    rests = [CURVE_STEPS - top for top in tops]
    return [
        torch.trapezoid(morf, dx=1 / CURVE_STEPS),
        torch.trapezoid(lerf, dx=1 / CURVE_STEPS),
        (whole[:, None] - morf).mean(1),
        (whole[:, None] - morf[:, tops]).mean(1),
        (whole[:, None] - lerf[:, rests]).mean(1),
    ]


SINGLE = 1e-4
"""Limit of what quantus makes of float32: sums of many of them, and differences of sums."""

ROWS = (
    Row("pixel-flipping", "curves of 16 beats, both orders, 24 steps", _curves, limit=SINGLE, rounding=SINGLE,
        saves={"quantus": 1.01}),
    Row("sensitivity-n", f"correlation of 16 beats over {SUBSETS} subsets", _correlation, limit=SINGLE,
        rounding=SINGLE, saves={"quantus": 1.01}),
    Row("infidelity", f"infidelity of 16 beats over {PERTURBATIONS} perturbations", _infidelity, limit=SINGLE,
        rounding=SINGLE, saves={"captum": 1.01}),
    Row("max-sensitivity", f"max-sensitivity of the gradient, 16 beats, {DRAWS} draws", _sensitivity, limit=SINGLE,
        rounding=1e-3, saves={"captum": 1.01}),
    Row("metric-set", "all metrics of faithfulness, 8 beats, 8 explainers", partial(_metric_set, 8, 8),
        goals={"quantus and captum": 3}, limit=SINGLE, rounding=SINGLE, saves={"quantus and captum": 0.33}),
)  # fmt: skip
