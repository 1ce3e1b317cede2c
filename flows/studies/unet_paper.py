"""What the studies of Tjoa et al. (2019) share: recipes, explainers and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.evaluating.evaluation import Job
from tasks.gating.demands import usual_demands
from tasks.training.recipe import Recipe
from xai.methods import VOLUME_CONTROLS
from xai.quality.metric import Group
from xai.quality.perturbation import Baseline
from xai.quality.plan import QualityPlan

from ..study import JobPlan

# Maps are scaled to [0, 1] each, where 0 is air and, in three of the six, the core of a stroke: a voxel put to zero
# becomes a lesion. The mean of its map is what says least, so it is the primary baseline.
BASELINES: tuple[Baseline, ...] = ("mean", "zero")
FAITHFULNESS: tuple[Group, ...] = ("faithfulness", "sensitivity", "complexity", "localisation")
LOCALISED_BY = "relevance_rank_area_corrected"
GATE = usual_demands(LOCALISED_BY)
PHANTOM_QUALITY = QualityPlan(
    groups=("faithfulness", "complexity", "localisation"), steps=2, tops=(0.1,), baselines=("mean",)
)
QUICK_QUALITY = QualityPlan(groups=FAITHFULNESS, steps=4, tops=(0.05, 0.2), baselines=BASELINES, subsets=20)
FULL_QUALITY = QualityPlan(groups=FAITHFULNESS, steps=20, baselines=BASELINES)
THOROUGH = QualityPlan(groups=("stability",), draws=2)

PHANTOM_RECIPE = Recipe(
    learning_rate=3e-3,
    decay="linear",
    batch_size=4,
    clip=1.0,
    epochs=30,
    patience=None,
    per_class=None,
    dropout=0.0,
    loss="dice_cross_entropy",
    monitor="validation_dice",
)
QUICK_RECIPE = replace(PHANTOM_RECIPE, learning_rate=1e-3, epochs=40)
FULL_RECIPE = replace(QUICK_RECIPE, learning_rate=2e-4, batch_size=1, epochs=80)


def papers_way(recipe: Recipe) -> Recipe:
    """As the paper trains: one case at a time on the cross-entropy alone, every epoch, Adam with betas 0.5, 0.9."""
    return replace(
        recipe, decay="none", batch_size=1, clip=0, betas=(0.5, 0.9), loss="cross_entropy", monitor="validation_loss"
    )


CORRECT, PAPER = "lrp_composite_zplus_box_l0_h1", "lrp_tjoa-paper"
"""The propagation that the paper means, and the one that its code carries out."""
DEFECTS = (
    "lrp_tjoa_first-published",
    "lrp_tjoa_first-head",
    "lrp_tjoa_skip-legacy",
    "lrp_tjoa_start-both",
    "lrp_tjoa_norms-identity",
    "lrp_tjoa_inputs-signed",
)
"""The correct propagation with one of the paper's defects each."""
FILTERED = (f"{CORRECT}_pass0-0.2", f"{CORRECT}_clamp0.05")
GRADCAM = "gradcam_decoders.1"
"""On the layer whose grid is half as fine as the input's."""


@dataclass(frozen=True)
class Explainers:
    """What a scale affords: occlusion by ``supervoxels``, ``gradients``, and LRP by ``rules``."""

    supervoxels: str
    gradients: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, without controls."""
        return (*self.gradients, *self.rules, GRADCAM, self.supervoxels)


FEW = Explainers(
    "occlusion_supervoxels_n8",
    ("gradient", "gradient_x_input", "integrated_gradients_n5"),
    (CORRECT, "lrp_epsilon", PAPER),
)
ALL = Explainers(
    "occlusion_supervoxels_n32",
    ("gradient", "gradient_abs", "gradient_x_input", "integrated_gradients_n10", "smoothgrad_n8"),
    (CORRECT, "lrp_epsilon", "lrp_zplus", "lrp_gamma_g0.25", PAPER),
)


def jobs(
    explainers: Explainers,
    quality: QualityPlan,
    *,
    thorough: QualityPlan | None,
    looks: tuple[str, ...],
    rule_looks: tuple[str, ...],
) -> Mapping[Job, JobPlan]:
    """The jobs that rank explainers; occlusion is set against the gradient, the rules against each other.

    ``quality`` and ``thorough`` are those of `faithfulness`. ``looks`` and ``rule_looks``: inspections of the jobs
    `inclusivity` and `lrp-rules`.
    """
    occlusion, rules = explainers.supervoxels, tuple(dict.fromkeys((*explainers.rules, *DEFECTS)))
    return {
        "faithfulness": JobPlan(
            explainers=(*explainers.names, *VOLUME_CONTROLS),
            contrast=((occlusion, "gradient"), (occlusion, CORRECT)),
            primary_metric="deletion_auc",
            primary_baseline="mean",
            quality=quality,
            thorough_quality=thorough,
        ),
        "lrp-rules": JobPlan(
            explainers=(*rules, "gradient_x_input", *VOLUME_CONTROLS),
            contrast=((CORRECT, PAPER), (CORRECT, "lrp_epsilon"), (CORRECT, "gradient_x_input")),
            primary_metric="deletion_auc",
            primary_baseline="mean",
            quality=replace(quality, groups=("faithfulness", "complexity", "localisation"), baselines=("mean",)),
            across_folds=True,
            shares=(CORRECT, "lrp_epsilon", PAPER),
            inspections=rule_looks,
        ),
        "inclusivity": JobPlan(
            explainers=(*explainers.names, *FILTERED, *VOLUME_CONTROLS),
            contrast=((CORRECT, PAPER), (CORRECT, "gradient"), (FILTERED[1], CORRECT)),
            primary_metric=LOCALISED_BY,
            primary_baseline="",
            primary_without_evidence="input_inclusivity_area_corrected",
            quality=QualityPlan(groups=("localisation",)),
            inspections=looks,
        ),
    }
