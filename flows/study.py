"""What a study is: cohort, network, recipes, and for every scale the jobs with their explainers and measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from tasks.cohorts.store import Cohort
from tasks.errors import UsageError
from tasks.evaluating.evaluation import Job
from tasks.training.member import Recipe
from xai.quality.plan import QualityPlan

Scale = Literal["quick", "full"]


@dataclass(frozen=True)
class Published:
    """An accuracy that a paper prints for a data set: whose, and in which words the set is meant."""

    source: str
    accuracy: float
    note: str = ""


class JobPlan(BaseModel):
    """What one job measures.

    ``contrast``: the pairs of explainers that the job is about. ``primary_metric`` and ``primary_baseline`` decide
    every verdict; without evidence in the cohort ``primary_without_evidence`` takes their place.
    ``thorough_quality``: the costly measures, taken on few samples. ``across_folds``: every member explains
    those few samples, and their maps are compared. ``inspections``: looks into the version beside its heatmaps.
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
    inspections: tuple[str, ...] = ()


class Plan(BaseModel):
    """What one scale of a study does; ``subset`` says it in words, ``reading`` to the study's reader.

    Judged are up to ``per_cell`` samples of each subject and class, and up to ``per_class`` of each class.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    subset: str
    reading: Mapping[str, Any] = {}
    hidden: tuple[int, ...]
    folds: int
    trials: int
    recipe: Recipe
    per_cell: int
    per_class: int | None = None
    thorough_subjects: int = 50
    inspected_per_class: int
    shard_size: int
    jobs: Mapping[Job, JobPlan]


class Study(BaseModel):
    """One entry of the catalogue.

    ``read(folder, key=..., out=...)`` reads recordings into a cohort, subjects pseudonymised with ``key``;
    ``write_phantom(folder, subjects=..., seed=..., **settings)`` writes recordings that ``read`` reads.
    ``options``: what a user may choose, the values of each, the default first: `normalisation`, or an argument of
    ``read``; ``chosen``: those that differ from the default. ``figures``: under which of the paper's numbers a
    figure is kept. ``published``: accuracies to stand beside ours, the paper's own first.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    title: str
    paper: int
    read: Callable[..., Cohort]
    write_phantom: Callable[..., None]
    network: str
    normalisation: str
    options: Mapping[str, tuple[str, ...]] = {}
    figures: Mapping[str, str]
    published: tuple[Published, ...]
    phantom: Plan
    quick: Plan
    full: Plan
    chosen: Mapping[str, str] = {}

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
        reading = {name: value for name, value in chosen.items() if name != "normalisation"}
        return self.model_copy(
            update={
                "chosen": chosen,
                "read": partial(self.read, **reading) if reading else self.read,
                "normalisation": chosen.get("normalisation", self.normalisation),
            }
        )

    def plan(self, data: str | None, scale: Scale) -> Plan:
        """The plan of a scale; phantoms have their own small one unless the full recipe is asked for."""
        if scale == "full":
            return self.full
        return self.phantom if data is None else self.quick
