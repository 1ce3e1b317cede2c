"""What a study is: cohort, network, recipes, and for every scale the jobs with their explainers and measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from models.bundle import Task
from tasks.cohorts.store import Cohort
from tasks.errors import UsageError
from tasks.evaluating.evaluation import Job, Mode
from tasks.gating.demands import Demand
from tasks.training.recipe import Recipe
from tasks.training.splits import PaperSplit
from xai.quality.demographics import Factor
from xai.quality.plan import QualityPlan

Scale = Literal["quick", "full"]
TRAINING = "training"
"""The option that chooses between recipes."""


@dataclass(frozen=True)
class Published:
    """An accuracy that a paper prints for a data set: whose, and in which words the set is meant.

    Of a segmentation it is the Dice score in training mode, and ``minutes`` are what a net's training took.
    ``precision``, ``recall`` and ``f1`` are averages over classes, where the paper prints them.
    """

    source: str
    accuracy: float
    note: str = ""
    minutes: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


class JobPlan(BaseModel):
    """What one job measures.

    ``contrast``: the pairs of explainers that the job is about. ``primary_metric`` and ``primary_baseline`` decide
    every verdict; without evidence in the cohort ``primary_without_evidence`` takes their place.
    ``thorough_quality``: the costly measures, taken on few samples. ``across_folds``: every member explains
    those few samples, and their maps are compared. ``shares``: explainers whose relevance is divided among the parts of
    the input, on every tested sample. ``inspections``: looks into the version beside its heatmaps.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    explainers: tuple[str, ...]
    contrast: tuple[tuple[str, str], ...]
    primary_metric: str
    primary_baseline: str
    primary_without_evidence: str | None = None
    quality: QualityPlan
    thorough_quality: QualityPlan | None = None
    across_folds: bool = False
    shares: tuple[str, ...] = ()
    inspections: tuple[str, ...] = ()

    def configuration(self, has_evidence: bool) -> dict[str, Any]:
        """What the job adds to an evaluation's configuration, on a cohort with evidence or without."""
        other = self.primary_without_evidence
        chosen = {name: getattr(self, name) for name in type(self).model_fields if name != "primary_without_evidence"}
        return {**chosen, "primary_metric": self.primary_metric if has_evidence or other is None else other}


class DemographicsPlan(BaseModel):
    """What the job `demographics` regresses: the ``shares`` of these explainers on ``factors`` of the subjects.

    ``random``: columns with random intercepts in the mixed model. ``null_draws``: so often demographics are dealt to
    the subjects at random, to see how often each model finds an effect where there is none.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    shares: tuple[str, ...]
    factors: tuple[Factor, ...]
    random: tuple[str, ...] = ("subject",)
    permutations: int = 10_000
    null_draws: int = 200

    def configuration(self, has_evidence: bool) -> dict[str, Any]:
        """What the job adds to an evaluation's configuration."""
        chosen = {name: getattr(self, name) for name in type(self).model_fields}
        return {"shares": chosen.pop("shares"), "inspections": ("demographics",), "demographics": chosen}


class Plan(BaseModel):
    """What one scale of a study does; ``subset`` says it in words.

    ``reading`` are arguments of the study's reader, ``network`` of its network. ``paper_recipe``: of the mode
    `paper`, where it trains otherwise; ``own_recipe``: of the option ``training=own``, a network's first authors'.

    Judged are up to ``per_cell`` samples of each subject and class, and up to ``per_class`` of each class. Shares of
    relevance are taken on every tested sample, or on up to ``shares_per_cell`` of each member, subject and class.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    subset: str
    reading: Mapping[str, Any] = {}
    network: Mapping[str, Any]
    folds: int
    trials: int
    recipe: Recipe
    paper_recipe: Recipe | None = None
    own_recipe: Recipe | None = None
    per_cell: int
    per_class: int | None = None
    shares_per_cell: int | None = None
    thorough_subjects: int = 50
    inspected_per_class: int
    shard_size: int
    jobs: Mapping[Job, JobPlan | DemographicsPlan]


class Study(BaseModel):
    """One entry of the catalogue.

    ``task``: whether the network gives a class to every sample, or to every voxel of it.
    ``read(folder, key=..., out=...)`` reads recordings into a cohort, subjects pseudonymised with ``key``;
    ``write_phantom(folder, subjects=..., seed=..., **settings)`` writes recordings that ``read`` reads.
    ``paper_split``: what the paper drew at random, ``paper_network``: arguments of the network that it had otherwise.
    ``options``: what a user may choose, the values of each, the default first: `normalisation`, `training` (``own``:
    the plan's ``own_recipe``), a name in ``network_options`` (the network's arguments by value), or an argument of
    ``read``; ``chosen``: those that differ from the default. ``figures``: under which of the paper's numbers a
    figure is kept. ``published``: accuracies to stand beside ours, the paper's own first. ``recordings``: the study
    whose recordings and phantom it reads, where not its own. ``companions``: by role, studies on the same recordings
    that are trained and judged before this one, and whose networks its inspections ask too. ``gate``: what a version
    must meet to be called champion.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    title: str
    paper: int
    task: Task = "classification"
    read: Callable[..., Cohort]
    write_phantom: Callable[..., None]
    network: str
    normalisation: str
    paper_split: PaperSplit = "samples"
    paper_network: Mapping[str, Any] = {}
    options: Mapping[str, tuple[str, ...]] = {}
    network_options: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
    figures: Mapping[str, str]
    published: tuple[Published, ...]
    gate: tuple[Demand, ...]
    phantom: Plan
    quick: Plan
    full: Plan
    chosen: Mapping[str, str] = {}
    recordings: str = ""
    companions: Mapping[str, str] = {}

    @property
    def source(self) -> str:
        """The study whose recordings it reads."""
        return self.recordings or self.name

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that are defined for the study, at every scale."""
        return tuple(self.full.jobs)

    @property
    def defaults(self) -> dict[str, str]:
        """The value of every option that nobody sets."""
        return {name: values[0] for name, values in self.options.items()}

    def with_options(self, given: Mapping[str, str]) -> Self:
        """The study as these options make it; the defaults leave it as it is. Raises UsageError for any other."""
        for name, value in given.items():
            if value not in self.options.get(name, ()):
                allowed = ", ".join(f"{option}={'|'.join(values)}" for option, values in self.options.items())
                raise UsageError(f"option of {self.name} is {name}={value}; expected {allowed or 'none, it has none'}.")
        chosen = {name: value for name, value in sorted(given.items()) if value != self.defaults[name]}
        known = {"normalisation", TRAINING, *self.network_options}
        reading = {name: value for name, value in chosen.items() if name not in known}
        return self.model_copy(
            update={
                "chosen": chosen,
                "read": partial(self.read, **reading) if reading else self.read,
                "normalisation": chosen.get("normalisation", self.normalisation),
            }
        )

    def network_arguments(self, plan: Plan, mode: Mode) -> dict[str, Any]:
        """The arguments of a plan's network, as the mode and the chosen options change them."""
        changes = [values.get(self.chosen.get(name, ""), {}) for name, values in self.network_options.items()]
        if mode == "paper":
            changes.append(self.paper_network)
        return dict(plan.network) | {argument: value for change in changes for argument, value in change.items()}

    def recipe(self, plan: Plan, mode: Mode) -> Recipe:
        """How the plan's network is trained in a mode, as the chosen options change it."""
        if self.chosen.get(TRAINING) == "own" and plan.own_recipe is not None:
            return plan.own_recipe
        return plan.paper_recipe if mode == "paper" and plan.paper_recipe is not None else plan.recipe

    def plan(self, data: str | None, scale: Scale) -> Plan:
        """The plan of a scale; phantoms have their own small one unless the full recipe is asked for."""
        if scale == "full":
            return self.full
        return self.phantom if data is None else self.quick
